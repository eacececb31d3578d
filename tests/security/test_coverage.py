"""Every promise and every experiment has a test by its name, but for those whose part is still to come."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
ROWS = {f"R{number:02}" for number in range(1, 65)} | {f"F{number:02}" for number in range(1, 26)}
NAMED = re.compile(r"def test_((?:[RF]\d\d_)+)")

AWAITED = {
    "second factors": {"R16", "R30", "R31", "R32", "R33", "R34", "R36", "R37"},
    "OAuth2": {"R39", "R40", "R41", "R42", "R43", "R44", "R45", "F23"},
    "export and import of the configuration": {"R64", "F15"},
    "sweeps of everything that is there": {"F17", "F25"},
}
"""Rows without a test of their name yet, by what they wait for. A row that gets one leaves this table."""


def rows_with_tests() -> set[str]:
    return {
        row
        for file in TESTS.rglob("test_*.py")
        for found in NAMED.findall(file.read_text())
        for row in found.strip("_").split("_")
    }


def test_every_row_has_a_test_by_its_name_or_is_awaited() -> None:
    awaited = set().union(*AWAITED.values())
    assert not ROWS - rows_with_tests() - awaited, "these have no test"
    assert not awaited & rows_with_tests(), "these have one, and are no longer awaited"
    assert not rows_with_tests() - ROWS, "there are no such rows"
