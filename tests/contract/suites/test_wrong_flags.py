"""The flags suites catch adapters that are wrong on purpose."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    "wrong", ["wrong_flags.py", "wrong_definitions.py", "wrong_experiments.py", "wrong_changes.py"]
)
def test_the_suites_tell_right_from_wrong(judge, wrong):
    judge(wrong)
