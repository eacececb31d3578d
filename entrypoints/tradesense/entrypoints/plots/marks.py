"""Elements and numbers as text."""

from __future__ import annotations

from html import escape
from math import floor, log10

from msgspec import Struct

STEPS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
DIGITS = 3


def tag(name: str, *content: str, **attributes: str | float) -> str:
    """One element. Attributes are escaped; ``_`` in their names becomes ``-``, and goes at the end of a name.

    ``content`` is markup: what is text must come through :func:`text`.
    """
    written = "".join(f' {_attribute(key)}="{text(_value(value))}"' for key, value in attributes.items())
    return f"<{name}{written}>{''.join(content)}</{name}>" if content else f"<{name}{written}/>"


def text(raw: str) -> str:
    """``raw`` as character data, quotes included."""
    return escape(raw, quote=True)


def coordinate(value: float) -> str:
    """A position in a drawing, to a hundredth."""
    written = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if written == "-0" else written


def shown(value: float) -> str:
    """A number for people, to three digits: ``1.23 M``, ``45.6 k``, ``0.27``."""
    for size, letter in STEPS:
        if abs(value) >= size:
            return f"{rounded(value / size)} {letter}"
    return rounded(value)


def rounded(value: float) -> str:
    """``value`` to three digits, without an exponent."""
    if value == 0:
        return "0"
    places = max(0, DIGITS - 1 - floor(log10(abs(value))))
    written = f"{value:.{places}f}"
    return written.rstrip("0").rstrip(".") if "." in written else written


class Table(Struct, frozen=True, kw_only=True):
    """What a chart shows, in words and numbers. The first cell of each row says what the row is about."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def html(self) -> str:
        """The table as markup."""
        head = "".join(tag("th", text(cell), scope="col") for cell in self.head)
        rows = "".join(_row(row) for row in self.rows)
        caption, body = tag("caption", text(self.caption)), tag("tbody", rows)
        return tag("table", caption, tag("thead", tag("tr", head)), body)


def _row(cells: tuple[str, ...]) -> str:
    name, *values = cells
    return tag("tr", tag("th", text(name), scope="row"), *(tag("td", text(value)) for value in values))


def _attribute(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _value(value: str | float) -> str:
    return value if isinstance(value, str) else coordinate(value)
