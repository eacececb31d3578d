"""The secrets suites catch adapters that are wrong on purpose."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    "names",
    [("wrong_secrets.py", "wrong_recovery.py", "wrong_clocks.py"), ("wrong_keys.py",), ("wrong_rotators.py",)],
    ids=["stores", "keys", "rotators"],
)
def test_the_suites_tell_right_from_wrong(judge, names):
    judge(*names)
