"""The suites of clock, randomness and identifiers catch adapters that are wrong on purpose."""

from __future__ import annotations


def test_the_suites_tell_right_from_wrong(judge):
    judge("wrong_ambient.py")
