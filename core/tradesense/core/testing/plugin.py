"""The pytest plugin that lets no contract be skipped, and ends a run of contract suites with a scorecard.

It is loaded by every pytest run of an environment that has TradeSense, so it imports nothing of it, and does nothing
unless a contract ran. Under pytest-xdist the process that collects the reports writes the card.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

CONTRACT = "tradesense_contract"
"""The property of a report that tells its contract."""
ADAPTER = "tradesense_adapter"
"""The property that tells the class of the adapter."""
UNDECLARED = "tradesense_undeclared"
"""The property that tells for lack of which capability a test was skipped."""

_SUITES = "tradesense.core.testing."


@dataclass(slots=True)
class Card:
    """What one contract class came to."""

    contract: str
    room: str
    port: str
    capabilities: list[str]
    title: str = ""
    """How tables name the adapter and what it was tested on; empty where the class says nothing."""
    adapter: str = ""
    """The class of the adapter; empty when the test that tells it did not run."""
    passed: int = 0
    proved: list[str] = field(default_factory=list[str])
    """The tests that passed."""
    failed: list[str] = field(default_factory=list[str])
    xfailed: dict[str, str] = field(default_factory=dict[str, str])
    """The tests that the author knows to fail, and why."""
    undeclared: dict[str, str] = field(default_factory=dict[str, str])
    """The tests left out, and the capability that the adapter does not declare."""
    skipped: list[str] = field(default_factory=list[str])
    """Tests left out for any other reason."""

    def line(self) -> str:
        """The card on one line."""
        counts = [f"{self.passed} passed"]
        for count, word in (
            (len(self.failed), "failed"),
            (len(self.xfailed), "xfailed"),
            (len(self.undeclared), "not declared"),
            (len(self.skipped), "skipped"),
        ):
            if count:
                counts.append(f"{count} {word}")
        declared = ", ".join(self.capabilities) or "none"
        name = f"{self.adapter or 'unknown'} ({self.contract.rpartition('.')[2]})"
        return f"{self.port:<18} {name:<50} {', '.join(counts)}; capabilities: {declared}"


class Scorecard:
    """Gathers the reports of the contract tests of a run."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._cards: dict[str, Card] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a report towards its contract."""
        properties = dict(report.user_properties)
        told = properties.get(CONTRACT)
        if told is None:
            return
        facts: dict[str, Any] = json.loads(str(told))
        node, bracket, arguments = report.nodeid.partition("[")  # where any text may stand, colons too
        place, _, test = node.rpartition("::")
        card = self._cards.setdefault(f"{place}:{facts['contract']}", Card(**facts))
        card.adapter = str(properties.get(ADAPTER, card.adapter))
        self._count(card, report, f"{test}{bracket}{arguments}", str(properties.get(UNDECLARED, "")))

    def _count(self, card: Card, report: pytest.TestReport, test: str, undeclared: str) -> None:
        reason = getattr(report, "wasxfail", None)
        if report.skipped and reason is not None:
            card.xfailed[test] = str(reason)
        elif report.skipped and undeclared:
            card.undeclared[test] = undeclared
        elif report.skipped:
            card.skipped.append(test)
        elif report.failed:
            card.failed.append(test)
        elif report.when == "call":
            card.passed += 1
            card.proved.append(test)

    def cards(self) -> list[Card]:
        """The cards, by room, port and adapter. Tests stand in alphabetical order, as workers end in any."""
        for card in self._cards.values():
            for tests in (card.proved, card.failed, card.skipped):
                tests.sort()
            for reasons in (card.xfailed, card.undeclared):
                ordered = sorted(reasons.items())
                reasons.clear()
                reasons.update(ordered)
        return sorted(self._cards.values(), key=lambda card: (card.room, card.port, card.adapter, card.contract))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Write the file that was asked for."""
        if self._path is not None:
            text = json.dumps([asdict(card) for card in self.cards()], indent=2, ensure_ascii=False)
            Path(self._path).write_text(f"{text}\n", encoding="utf-8")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the cards, if a contract ran."""
        cards = self.cards()
        if cards:
            terminalreporter.section("TradeSense contracts")
            for card in cards:
                terminalreporter.write_line(card.line(), red=bool(card.failed))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names the scorecard's file."""
    parser.getgroup("tradesense").addoption(
        "--tradesense-scorecard", metavar="FILE", help="write what each contract class came to as JSON"
    )


def pytest_itemcollected(item: pytest.Item) -> None:
    """Note of each contract test whose it is, so that one that is skipped before it begins is counted as well."""
    describe = getattr(getattr(item, "cls", None), "describe_contract", None)
    if describe is not None:
        item.user_properties.append((CONTRACT, describe()))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Make a failure of a contract's test that was left out, but by the contract itself or by a known shortcoming.

    Marks on a class or a module would turn a whole contract off, its guard included, and so would a fixture that skips
    because a service is down.
    """
    report = yield
    properties = dict(item.user_properties)
    if report.skipped and CONTRACT in properties and not _may_be_left_out(item, call, report):
        reason = getattr(report, "wasxfail", None)
        if reason is None:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
        else:
            del report.wasxfail
        report.outcome = "failed"
        report.longrepr = (
            f"{reason or 'left out'}\n"
            "A contract may not be skipped: mend what is missing, start the service that is down, or mark single tests "
            'with @pytest.mark.xfail(reason="…")'
        )
    return report


def _may_be_left_out(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> bool:
    if hasattr(report, "wasxfail"):
        return any(mark.name == "xfail" for mark in item.own_markers)
    if UNDECLARED in dict(item.user_properties):
        return True
    return report.when == "call" and call.excinfo is not None and _skipped_by_the_contract(item, call.excinfo)


def _skipped_by_the_contract(item: pytest.Item, raised: pytest.ExceptionInfo[BaseException]) -> bool:
    """Whether a contract's own code found that there is nothing to test, as where an adapter has no other end."""
    cls: type[Any] = getattr(item, "cls", object)
    contracts = {parent.__module__ for parent in cls.__mro__[1:] if "port" in vars(parent)}
    modules = [str(entry.frame.f_globals.get("__name__", "")) for entry in raised.traceback]
    by = [name for name in modules if name.partition(".")[0] not in {"_pytest", "pluggy"}][-1:]
    return any(name in contracts or name.startswith(_SUITES) for name in by)


def pytest_configure(config: pytest.Config) -> None:
    """Begin to gather, in the process that reports come together in."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Scorecard(config.getoption("--tradesense-scorecard")), "tradesense-scorecard")
