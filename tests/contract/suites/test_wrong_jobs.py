"""The suite of the jobs room catches adapters that are wrong on purpose."""

from __future__ import annotations


def test_the_suites_tell_right_from_wrong(judge):
    judge("wrong_jobs.py")
