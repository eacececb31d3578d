"""What `tradesense doctor` looks at, from the interpreter outwards: each step needs the ones before it."""

from __future__ import annotations

import asyncio
import platform
import sys
from importlib.metadata import version
from typing import Any

from tradesense.core.errors import ConfigurationError, SettingsInvalid, TradeSenseError, Unavailable
from tradesense.core.telemetry.models import Status
from tradesense.core.telemetry.service import Report
from tradesense.entrypoints.cli.failures import CONFIGURATION, FAILED, UNAVAILABLE
from tradesense.entrypoints.cli.session import loaded
from tradesense.entrypoints.container import open_container
from tradesense.entrypoints.database import current_database, needed
from tradesense.plugins.manager import Plugins
from tradesense.settings.load import Loaded, load_plugins
from tradesense.settings.sections import missing

Finding = dict[str, Any]


class Examination:
    """The findings so far, and the exit code of the worst."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.code = 0

    def note(self, check: str, status: str, detail: str = "") -> None:
        """Add a finding."""
        self.findings.append({"check": check, "status": status, "detail": detail})

    def fault(self, check: str, error: TradeSenseError) -> None:
        """Add what ``error`` tells. The first fault sets the exit code: later ones may follow from it."""
        self.note(check, "wrong", error.line())
        self._fail(_code(error))

    def read_settings(self) -> Loaded | None:
        """The settings, if the platform could be started with them."""
        try:
            found = loaded()
        except SettingsInvalid as error:
            for problem in error.problems:
                self.note(f"setting {problem.key}", _word(problem.level), _detail(problem))
            self._fail(CONFIGURATION)
            self._read_plugins()
            return None
        except ConfigurationError as error:
            self.fault("plugins", error)
            return None
        self.note("environment", "ok", f"{found.settings.environment} (from {found.origins['environment']})")
        self.list_plugins(found.plugins)
        for problem in found.problems:
            self.note(f"setting {problem.key}", _word(problem.level), _detail(problem))
        return found

    def list_plugins(self, plugins: Plugins) -> None:
        """Each plugin that was found, and the distributions that its adapters would need."""
        for one in plugins.found:
            lacks: dict[str, str] = {}
            for offer in plugins.registry.offers():
                for requirement in missing(offer.adapter) if offer.plugin == one.name else []:
                    extra = f"'{requirement.package}[{requirement.extra}]'" if requirement.extra else ""
                    lacks[requirement.distribution] = f"pip install {extra or requirement.distribution}"
            state = "warning" if one.state == "failed" else "ok"
            hints = [f"without {name}: {command}" for name, command in lacks.items()]
            detail = "; ".join(filter(None, [f"{one.distribution} {one.version}", one.state, one.why, *hints]))
            self.note(f"plugin {one.name}", state, detail)

    async def ask_database(self, found: Loaded) -> None:
        """Whether the schema is this release's."""
        try:
            revision, head = await current_database(found.settings)
        except TradeSenseError as error:
            self.fault("database", error)
            return
        if revision == head:
            self.note("database", "ok", f"the schema is at {revision}")
        else:
            self.note("database", "wrong", f"the schema is at {revision}, not {head}; run `tradesense db upgrade`")
            self._fail(FAILED)

    async def ask_health(self, found: Loaded) -> None:
        """Whether everything that was chosen can be opened and answers."""
        try:
            async with open_container(found.settings, plugins=found.plugins) as services:
                for port, what in sorted(services.bindings.items()):
                    self.note(f"port {port}", "ok", what)
                self._report(await services.health.report())
        except TradeSenseError as error:
            self.fault("start", error)

    def _report(self, report: Report) -> None:
        words = {Status.UP: "ok", Status.DEGRADED: "degraded", Status.DOWN: "wrong"}
        for one, meaning in zip(report.checks, report.meanings, strict=True):
            self.note(f"health of {one.name}", words[meaning], one.detail)
        if report.status is Status.DOWN:
            self._fail(UNAVAILABLE)

    def _read_plugins(self) -> None:
        try:
            self.list_plugins(load_plugins())
        except ConfigurationError as error:
            self.note("plugins", "wrong", error.line())

    def _fail(self, code: int) -> None:
        self.code = self.code or code


def examine() -> tuple[list[Finding], int]:
    """All findings, and the exit code."""
    examination = Examination()
    examination.note("python", "ok", f"{platform.python_version()} on {platform.platform()}, {sys.executable}")
    examination.note("tradesense", "ok", version("tradesense"))
    found = examination.read_settings()
    if found is not None:
        asyncio.run(_ask(examination, found))
    return examination.findings, examination.code


async def _ask(examination: Examination, found: Loaded) -> None:
    if needed(found.settings):
        await examination.ask_database(found)
    await examination.ask_health(found)


def _code(error: TradeSenseError) -> int:
    if isinstance(error, ConfigurationError):
        return CONFIGURATION
    return UNAVAILABLE if isinstance(error, Unavailable) else FAILED


def _word(level: str) -> str:
    return {"error": "wrong", "warning": "warning"}.get(level, "ok")


def _detail(problem: Any) -> str:
    return f"{problem.message} (from {problem.origin}); {problem.mend}"
