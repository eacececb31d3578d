from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from otlp import collecting


@pytest.fixture
def collector():
    with collecting() as server:
        yield server
