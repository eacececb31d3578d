from __future__ import annotations

import sys
from datetime import UTC, datetime
from io import StringIO

import pytest

from tradesense.entrypoints.cli.output import safe, show_one, show_rows

ROWS = [{"name": "a", "many": ("x", "y"), "flag": True}, {"name": "longer", "many": (), "flag": False}]


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_a_table_is_aligned_text_when_nobody_watches(capsys):
    show_rows(ROWS, ["name", "many", "flag"], "table")
    assert capsys.readouterr().out == "NAME    MANY  FLAG\na       x, y  yes\nlonger  -     no\n"
    show_rows([], ["name"], "table")
    assert capsys.readouterr().out == "NAME\n"


def test_a_table_is_drawn_on_a_terminal(monkeypatch: pytest.MonkeyPatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "60")
    show_rows([{"name": "[red]a\x1b[2J"}], ["name"], "table")
    assert "[red]a\\x1b[2J" in terminal.getvalue()


def test_json_holds_all_of_a_row(capsys):
    show_rows([{"name": "a", "hidden": datetime(2026, 1, 2, tzinfo=UTC)}], ["name"], "json")
    assert capsys.readouterr().out == '[\n  {\n    "name": "a",\n    "hidden": "2026-01-02T00:00:00Z"\n  }\n]\n'
    show_one({"a": None}, "json")
    assert capsys.readouterr().out == '{\n  "a": null\n}\n'


def test_one_object_is_a_line_for_each_field(capsys):
    show_one({"a": None, "long": {"k": 1}}, "table")
    assert capsys.readouterr().out == 'a     -\nlong  {"k":1}\n'


@pytest.mark.parametrize(
    ("text", "shown"), [("plain Ü", "plain Ü"), ("a\nb", "a\\nb"), ("\x1b[31m", "\\x1b[31m"), ("\u202ex", "\\u202ex")]
)
def test_no_text_controls_the_terminal(text: str, shown: str):
    assert safe(text) == shown
