"""The secrets suites catch adapters that are wrong on purpose."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("name", ["wrong_secrets.py", "wrong_recovery.py", "wrong_keys.py", "wrong_rotators.py"])
def test_the_suites_tell_right_from_wrong(judge, name):
    judge(name)
