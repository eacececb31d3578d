"""One page of charts, complete in itself: no script, and nothing that is loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from tradesense.entrypoints.plots.marks import Table, tag, text

COLOURS = (("#0072b2", "#56b4e9"), ("#d55e00", "#e69f00"), ("#009e73", "#2bc79b"), ("#aa4499", "#dd88cc"))
"""On light and on dark ground; they differ for the colour-blind as well (Okabe and Ito, Tol)."""

POLICY = "default-src 'none'; style-src 'unsafe-inline'"


class Figure(Struct, frozen=True, kw_only=True):
    """A chart, and the table that says the same."""

    title: str = ""
    """Where its section's does not say it."""
    svg: str
    table: Table


class Section(Struct, frozen=True, kw_only=True):
    """A part of the page."""

    title: str
    text: str
    figures: tuple[Figure, ...]


def page(title: str, introduction: str, facts: Mapping[str, str], sections: Sequence[Section]) -> str:
    """The whole page as HTML.

    :param facts: what has to be known to judge the numbers, such as the machine.
    """
    known = "".join(tag("dt", text(name)) + tag("dd", text(value)) for name, value in facts.items())
    body = [
        tag("h1", text(title)),
        tag("p", text(introduction)),
        tag("section", tag("h2", "Run"), tag("dl", known)) if known else "",
        *(_section(one) for one in sections),
    ]
    head = (
        '<meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{text(POLICY)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
    )
    head += tag("title", text(title)) + tag("style", _style())
    return "<!doctype html>\n" + tag("html", tag("head", head), tag("body", tag("main", *body)), lang="en") + "\n"


def alone(svg: str) -> str:
    """A chart with its style sheet in it, for where there is no page around it."""
    opening, _, rest = svg.partition(">")
    return f"{opening}>{tag('style', _style())}{rest}"


def _section(section: Section) -> str:
    figures = "".join(_figure(figure) for figure in section.figures)
    return tag("section", tag("h2", text(section.title)), tag("p", text(section.text)), figures)


def _figure(figure: Figure) -> str:
    heading = tag("h3", text(figure.title)) if figure.title else ""
    table = tag("figcaption", tag("div", figure.table.html(), class_="wide"))
    return tag("figure", heading, figure.svg, table)


def _style() -> str:
    """The style sheet. Every chart takes its colours from here."""
    light = "".join(f"--s{number}:{colours[0]};" for number, colours in enumerate(COLOURS))
    dark = "".join(f"--s{number}:{colours[1]};" for number, colours in enumerate(COLOURS))
    uses = "".join(f".s{number}{{--c:var(--s{number})}}" for number in range(len(COLOURS)))
    return (
        f":root{{--ink:#1b1f24;--faint:#59636e;--rule:#d1d9e0;--ground:#fff;{light}}}"
        f"@media(prefers-color-scheme:dark){{:root{{--ink:#e6edf3;--faint:#9da7b3;--rule:#3d444d;--ground:#0d1117;{dark}}}}}"
        "body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,sans-serif}"
        "main{max-width:60rem;margin:0 auto;padding:1rem}"
        "h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.5rem}h3{font-size:1rem}"
        "dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1.5rem}dt{color:var(--faint)}dd{margin:0}"
        "figure{margin:1.5rem 0}svg{width:100%;height:auto}.wide{overflow-x:auto}"
        "table{border-collapse:collapse;font-size:.875rem;font-variant-numeric:tabular-nums;width:100%}"
        "caption{text-align:left;color:var(--faint);padding:.3rem 0}"
        "th,td{padding:.2rem .6rem;border-bottom:1px solid var(--rule);text-align:right}"
        "th:first-child{text-align:left}"
        "text{font:12px system-ui,sans-serif;fill:var(--ink)}.tick,.axis,.value{fill:var(--faint);font-size:11px}"
        ".end{text-anchor:end}.middle{text-anchor:middle}"
        ".grid{stroke:var(--rule)}"
        f"{uses}.bar,.mark{{fill:var(--c)}}.line{{fill:none;stroke:var(--c);stroke-width:2}}"
        ".whisker{stroke:var(--c);stroke-width:3;opacity:.5}"
    )
