"""The telemetry suites catch adapters that are wrong on purpose."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("name", ["wrong_telemetry.py", "wrong_reporting.py", "wrong_health.py"])
def test_the_suites_tell_right_from_wrong(judge, name):
    judge(name)
