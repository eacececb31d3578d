"""Options that cannot be meant are refused."""

from __future__ import annotations

import pytest

from tradesense.core.cache.options import EntryOptions


@pytest.mark.parametrize(
    "wrong",
    [
        {"ttl": 0},
        {"ttl": -1},
        {"ttl": 31 * 86_400},
        {"ttl": 29 * 86_400, "fail_safe": 2 * 86_400},
        {"jitter": 0.6},
        {"eager": 1},
        {"throttle": 0},
        {"sliding": -1},
        {"soft_timeout": -1},
        {"negative_ttl": -1},
        {"size": -1},
        {"sliding": 5, "fail_safe": 5},
    ],
)
def test_options_that_cannot_be_meant_are_refused(wrong):
    with pytest.raises(ValueError, match=r"\w"):
        EntryOptions(**wrong)
