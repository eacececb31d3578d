from __future__ import annotations

import pytest

from tradesense.entrypoints.container import open_container
from tradesense.settings.load import load


@pytest.fixture
async def platform(tmp_path):
    """A whole platform in memory."""
    async with open_container(load({"ENVIRONMENT": "testing"}, directory=tmp_path).settings) as services:
        yield services
