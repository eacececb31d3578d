"""The conformance suites of others, read where they lie: beside the repository, or where a variable says."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

VARIABLE = "TRADESENSE_CONFORMANCE"
HERE = Path(__file__).parents[1]


def folder(name: str) -> Path | None:
    """The suite of this name, `None` where there is none."""
    given = os.environ.get(VARIABLE)
    found = (Path(given) if given else HERE.parent / "shared" / "conformance") / name
    return found if found.is_dir() else None


@dataclass(frozen=True)
class Scenario:
    """One scenario with its outline filled in."""

    name: str
    tags: frozenset[str]
    steps: tuple[str, ...]
    tables: dict[int, list[dict[str, str]]] = field(default_factory=dict)
    """The table below a step, by the step's position."""


def scenarios(text: str) -> list[Scenario]:
    """The scenarios of a Gherkin feature: backgrounds, outlines with several examples, tags and tables."""
    return _Reader().read(text)


class _Reader:
    """Reads line by line; what Gherkin has beyond that, no suite here uses."""

    def __init__(self):
        self.feature_tags, self.waiting = frozenset(), frozenset()
        self.background, self.found = [], []
        self.current = None

    def read(self, text):
        for line in map(str.strip, text.splitlines()):
            if line and not line.startswith("#"):
                self._line(line)
        self._end()
        return self.found

    def _line(self, line):
        word, _, rest = line.partition(":")
        if line.startswith("@"):
            self.waiting |= frozenset(tag.removeprefix("@") for tag in line.split())
        elif word == "Feature":
            self.feature_tags, self.waiting = self.waiting, frozenset()
        elif word == "Background":
            self.current = {"background": True, "steps": self.background}
        elif word in {"Scenario", "Scenario Outline"}:
            self._end()
            steps = list(self.background)
            self.current = {"name": rest.strip(), "tags": self.waiting, "steps": steps, "tables": {}, "examples": []}
            self.waiting = frozenset()
        elif word == "Examples":
            self.current["examples"].append((self.waiting, []))
            self.waiting = frozenset()
        elif line.startswith("|"):
            self._row([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        elif line.split()[0] in {"Given", "And", "When", "Then"}:
            self.current["steps"].append(line.split(maxsplit=1)[1])

    def _row(self, cells):
        if self.current.get("examples"):
            self.current["examples"][-1][1].append(cells)
        else:
            self.current["tables"].setdefault(len(self.current["steps"]) - 1, []).append(cells)

    def _end(self):
        one = self.current
        if one is None or "background" in one:
            return
        tables = {at: _named(rows) for at, rows in one["tables"].items()}
        tags = self.feature_tags | one["tags"]
        if not one["examples"]:
            self.found.append(Scenario(one["name"], tags, tuple(one["steps"]), tables))
        for more, rows in one["examples"]:
            for values in _named(rows):
                steps = tuple(_filled(step, values) for step in one["steps"])
                name = f"{one['name']} {' '.join(values.values())}"
                self.found.append(Scenario(name, tags | more, steps, tables))
        self.current = None


def _named(rows):
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def _filled(step, values):
    for name, value in values.items():
        step = step.replace(f"<{name}>", value)
    return step
