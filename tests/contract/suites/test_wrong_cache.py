"""The cache suites catch adapters that are wrong on purpose."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    "name", ["wrong_cache.py", "wrong_compressors.py", "wrong_leases.py", "wrong_fences.py", "wrong_topics.py"]
)
def test_the_suites_tell_right_from_wrong(judge, name):
    judge(name)
