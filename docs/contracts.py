"""What the contract suites of a room came to, kept in the repository, and the tables that are made of it.

`python docs/contracts.py secrets` runs the room's suites over its adapters and writes `docs/contracts/secrets.json`.
What follows the room goes to pytest, as in `-k "a_new_rule"`, and what was run then replaces just that of the record.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tradesense.core import testing

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "docs" / "contracts"

PASSED = "passed"
NOTHING = "nothing to ask"
"""The suite found that the adapter has not what the rule is about, as no server that could be away."""

Outcomes = dict[str, dict[str, str]]
"""By rule and adapter: `PASSED`, `NOTHING`, or the capability that the adapter does not declare."""


def folded(cards: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """By port: what each adapter declares, and what came of each rule.

    :raises ValueError: a rule was broken, or nothing ran.
    """
    ports: dict[str, dict[str, Any]] = {}
    for card in cards:
        if title := card["title"]:
            if card["failed"] or card["xfailed"]:
                raise ValueError(f"{title} breaks {', '.join([*card['failed'], *card['xfailed']])}")
            port = ports.setdefault(card["port"], {"adapters": {}, "rules": {}})
            port["adapters"][title] = card["capabilities"]
            for rule, outcome in _outcomes(card):
                port["rules"].setdefault(rule, {})[title] = outcome
    if not ports:
        raise ValueError("no contract with a title was run")
    return ports


def _outcomes(card: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Of every rule; a test that was run with several arguments is one."""
    told = [(test, PASSED) for test in card["proved"]]
    told += [(test, NOTHING) for test in card["skipped"]]
    told += card["undeclared"].items()
    return {test.partition("[")[0]: outcome for test, outcome in told}.items()


def written(ports: Mapping[str, Mapping[str, Any]]) -> str:
    """As it is kept: sorted, one adapter and one rule on a line."""
    parts: list[str] = []
    for name, port in sorted(ports.items()):
        sections = [f'    "{key}": {{\n{_lines(port[key])}\n    }}' for key in ("adapters", "rules")]
        parts.append(f'  "{name}": {{\n' + ",\n".join(sections) + "\n  }")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _lines(entries: Mapping[str, Any]) -> str:
    return ",\n".join(
        f"      {json.dumps(key)}: {json.dumps(value, sort_keys=True)}" for key, value in sorted(entries.items())
    )


def kept(room: str) -> dict[str, dict[str, Any]]:
    """What the last recorded run came to."""
    found: dict[str, dict[str, Any]] = json.loads((KEPT / f"{room}.json").read_text(encoding="utf-8"))
    return found


def tables(room: str) -> str:
    """Of each port of the room: how many rules every adapter has passed, by what the rules are about, and each rule."""
    return "\n".join(
        part
        for name, port in kept(room).items()
        for part in (
            f"`{name}`: rules that were passed, by the capability that they are about\n",
            _by_capability(name, port["adapters"], port["rules"]),
            "<details><summary>Every rule</summary>\n",
            _by_rule(port["adapters"], port["rules"]),
            "</details>\n",
        )
    )


def needs(port: str) -> dict[str, tuple[str, ...]]:
    """What an adapter has to declare for each rule of the port's contract; the last is what the rule is about."""
    contract = getattr(testing, f"{port}Contract")
    return {
        name: tuple(capability.value for capability in getattr(test, "required_capabilities", ()))
        for parent in reversed(contract.__mro__)
        for name, test in vars(parent).items()
        if name.startswith("test_")
    }


def _by_capability(port: str, adapters: Iterable[str], rules: Outcomes) -> str:
    about: dict[str, list[str]] = {"": []}
    for rule, capabilities in sorted(needs(port).items(), key=lambda item: item[1][-1:]):
        about.setdefault(capabilities[-1] if capabilities else "", []).append(rule)
    rows = [_head("about", adapters)]
    for capability, these in about.items():
        title = f"`{capability}`" if capability else "every adapter"
        rows.append(_row(title, [_share([rules[rule][name] for rule in these]) for name in adapters]))
    return "\n".join(rows) + "\n"


def _share(outcomes: Sequence[str]) -> str:
    """How many rules have passed, of those that the adapter could be asked about."""
    passed, asked = outcomes.count(PASSED), len(outcomes) - outcomes.count(NOTHING)
    return f"{passed} of {asked}" if passed else "-"


def _by_rule(adapters: Mapping[str, Sequence[str]], rules: Outcomes) -> str:
    shown = {PASSED: "yes", NOTHING: ""}
    rows = [_head("rule", adapters)]
    for rule, outcomes in rules.items():
        text = rule.removeprefix("test_").replace("_", " ")
        rows.append(_row(text, [shown.get(outcomes[name], f"no `{outcomes[name]}`") for name in adapters]))
    return "\n".join(rows) + "\n"


def _head(first: str, adapters: Iterable[str]) -> str:
    names = [first, *(f"`{name.partition(' ')[0]}`{''.join(name.partition(' ')[1:])}" for name in adapters)]
    return f"{_row(names[0], names[1:])}\n|{'---|' * len(names)}"


def _row(first: str, cells: Sequence[str]) -> str:
    return "| " + " | ".join([first, *cells]) + " |"


def merged(old: Mapping[str, Mapping[str, Any]], new: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The record with what was run now in place of what stood there; rules that are no more are left out."""
    ports: dict[str, dict[str, Any]] = {}
    for name in old.keys() | new.keys():
        sides = [side[name] for side in (old, new) if name in side]
        adapters = {title: declared for side in sides for title, declared in side["adapters"].items()}
        rules: Outcomes = {rule: {} for rule in needs(name)}
        for side in sides:
            for rule, outcomes in side["rules"].items():
                rules.get(rule, {}).update(outcomes)
        ports[name] = {"adapters": adapters, "rules": rules}
    return ports


def _run(room: str, arguments: Sequence[str]) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        card = Path(folder) / "scorecard.json"
        words = ["-q", "-n", "0", "--benchmark-disable", f"--tradesense-scorecard={card}", *arguments]
        subprocess.run(  # noqa: S603  # our own interpreter and our own tests
            [sys.executable, "-m", "pytest", *words, f"tests/contract/test_{room}.py"], cwd=ROOT, check=True
        )
        found: list[dict[str, Any]] = json.loads(card.read_text(encoding="utf-8"))
        return found


def main() -> int:
    """Record the room's run."""
    room, *arguments = sys.argv[1:]
    ports = folded(_run(room, arguments))
    KEPT.mkdir(exist_ok=True)
    if arguments:
        ports = merged(kept(room), ports)
    (KEPT / f"{room}.json").write_text(written(ports), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
