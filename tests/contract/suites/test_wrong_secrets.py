"""The secrets suites catch adapters that are wrong on purpose."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    "names",
    [
        ("secrets", "reads", "writes", "staging", "recovery", "absences", "clocks", "envelopes"),
        ("keys", "rings", "ciphers", "rotators"),
    ],
    ids=["stores", "keys"],
)
def test_the_suites_tell_right_from_wrong(judge, names):
    judge(*(f"wrong_{name}.py" for name in names))
