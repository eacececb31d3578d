"""Plugins that raise, hang, exit and leak, wherever they can: the start fails in time and names them, or goes on.

Each is a distribution of its own on the path of a real process.
"""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from platform_process import Done, Runner, serving

PROMISE = 10.0
"""Seconds within which a start fails, beside what the same start takes on this machine with a plugin that is well."""

PROVIDER = """
from tradesense.core.secrets import SecretStore
from tradesense.plugins import Adapter, hookimpl

@hookimpl
def tradesense_adapters():
    return [Adapter(port=SecretStore, name="hostile", factory="hostile_factory:make", summary="Hostile")]
"""

FACTORY = """
import asyncio, threading
from tradesense.adapters.memory.secrets import MemorySecretStore
from tradesense.adapters.memory import _state

def block():
    threading.Event().wait(60)

class Store(MemorySecretStore):
    async def __aenter__(self):
        {enter}
        return await super().__aenter__()

    async def __aexit__(self, *error):
        {leave}
        await super().__aexit__(*error)

def make(settings, context):
    {make}
    return Store(_state.MemoryState(), clock=context.clock)
"""


def factory(*, enter: str = "pass", leave: str = "pass", make: str = "pass") -> str:
    return FACTORY.format(enter=enter, leave=leave, make=make)


HANG = "import threading; threading.Event().wait(60)"
RAISE = "raise RuntimeError('canary-6620\\n\\x1b[31mred')"

WELL = "is well"
CASES: dict[str, tuple[str, str, str]] = {
    "raises at import": (RAISE, "", "RuntimeError"),
    "exits at import": ("exit()", "", "SystemExit"),
    "hangs at import": (HANG, "", "did not load within 5 s"),
    "was written for another API": (PROVIDER.replace("summary=", "api=(7, 9), summary="), "", "port API"),
    "offers what another one offers": (PROVIDER.replace('"hostile"', '"memory"'), factory(), "is offered by"),
    "raises where its factory is imported": (PROVIDER, RAISE, "RuntimeError"),
    "exits where its factory is imported": (PROVIDER, "raise SystemExit(0)", "SystemExit"),
    "hangs where its factory is imported": (PROVIDER, HANG, "did not build SecretStore 'hostile' within 7 s"),
    "raises in its factory": (PROVIDER, factory(make=RAISE), "RuntimeError"),
    "exits in its factory": (PROVIDER, factory(make="raise SystemExit(0)"), "SystemExit"),
    "hangs in its factory": (PROVIDER, factory(make="block()"), "did not build SecretStore 'hostile' within 7 s"),
    "raises when it is opened": (PROVIDER, factory(enter=RAISE), "RuntimeError"),
    "exits when it is opened": (PROVIDER, factory(enter="raise SystemExit(0)"), "SystemExit"),
    "waits when it is opened": (PROVIDER, factory(enter="await asyncio.sleep(60)"), "did not open within 7 s"),
    "blocks when it is opened": (PROVIDER, factory(enter="block()"), "did not open within 7 s"),
    "raises when it is closed": (PROVIDER, factory(leave=RAISE), "RuntimeError"),
    WELL: (PROVIDER, factory(), ""),
}
TOLD_BY_TEXT = {"raises at import", "raises where its factory is imported"}
"""Before a plugin is told any setting, its text is told, on one line."""


def install(folder: Path, module: str, factory_module: str = "") -> Runner:
    """A process's folder, with the distribution on its path."""
    site = folder / "site"
    information = site / "tradesense_hostile-1.2.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: tradesense-hostile\nVersion: 1.2\n")
    (information / "entry_points.txt").write_text("[tradesense.plugins]\nhostile = hostile_module\n")
    (site / "hostile_module.py").write_text(textwrap.dedent(module))
    (site / "hostile_factory.py").write_text(textwrap.dedent(factory_module))
    return Runner(folder)


def chosen(folder: Path) -> dict[str, str]:
    return {
        "ENVIRONMENT": "testing",
        "PYTHONPATH": str(folder / "site"),
        "TRADESENSE_SECRETS__PROVIDER": "hostile",
    }


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], tuple[Done, float]]]:
    """How a command ended with each plugin, and after how many seconds. Those that hang do so at the same time."""

    def run(case: str) -> tuple[Done, float]:
        folder = tmp_path_factory.mktemp("hostile")
        module, factory_module, _ = CASES[case]
        runner = install(folder, module, factory_module)
        began = time.monotonic()
        return runner("secrets", "list", env=chosen(folder)), time.monotonic() - began

    begun: dict[str, Future[tuple[Done, float]]] = {}
    with ThreadPoolExecutor(max_workers=3) as pool:

        def result(case: str) -> tuple[Done, float]:
            if not begun:
                slow_first = sorted(CASES, key=lambda case: "did not" not in CASES[case][2])
                begun.update({each: pool.submit(run, each) for each in slow_first})
            return begun[case].result(timeout=100)

        yield result


def test_a_plugin_that_is_well_is_used(done: Callable[[str], tuple[Done, float]]) -> None:
    assert done(WELL)[0].code == 0


@pytest.mark.parametrize("case", sorted(CASES.keys() - {WELL}))
def test_F21_a_plugin_that_fails_ends_the_start_in_time_and_is_named_on_one_line(
    done: Callable[[str], tuple[Done, float]], case: str
) -> None:
    ended, seconds = done(case)
    (line,) = ended.err.splitlines()
    assert ended.code == 78, ended
    assert CASES[case][2] in line
    assert "hostile" in line
    assert "tradesense-hostile" in line
    assert "Traceback" not in line
    assert line.isprintable()
    assert ("canary" in line) is (case in TOLD_BY_TEXT)
    assert ended.out == ""
    assert seconds < PROMISE + done(WELL)[1], f"it took {seconds:.1f} s"


@pytest.mark.parametrize("processes", ["1", "2"])
@pytest.mark.parametrize("case", ["raises at import", "raises in its factory", "exits when it is opened"])
def test_F21_a_server_says_the_same_line_once(tmp_path: Path, case: str, processes: str) -> None:
    module, factory_module, said = CASES[case]
    runner = install(tmp_path, module, factory_module)
    ended = runner("serve", "--port", "0", "--processes", processes, env=chosen(tmp_path))
    line, *more = [line for line in ended.err.splitlines() if not line.startswith("warning: ")]
    assert not more
    assert line.startswith("error: ")
    assert said in line
    assert "tradesense-hostile 1.2" in line
    assert line.isprintable()
    assert ended.code == 78


@pytest.mark.parametrize("case", ["raises at import", "exits at import", "hangs at import"])
def test_F21_an_optional_plugin_that_fails_leaves_the_platform_whole(tmp_path: Path, case: str) -> None:
    runner = install(tmp_path, *CASES[case][:2])
    env = {**chosen(tmp_path), "TRADESENSE_SECRETS__PROVIDER": "memory", "TRADESENSE_PLUGINS__OPTIONAL": '["hostile"]'}
    assert runner("secrets", "list", env=env).code == 0
    listed = runner("plugins", "list", env=env)
    assert "hostile" in listed.out
    assert "failed" in listed.out


def test_F21_a_plugin_that_leaks_a_task_and_cannot_be_closed_does_not_keep_the_server_from_ending(
    tmp_path: Path,
) -> None:
    leak = "self.leaked = asyncio.create_task(asyncio.sleep(3600))"
    install(tmp_path, PROVIDER, factory(enter=leak, leave=RAISE))
    with serving({**chosen(tmp_path), "TRADESENSE_TELEMETRY__LOG_FORMAT": "json"}, folder=tmp_path) as server:
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < PROMISE
    assert "plugin 'hostile' raised RuntimeError while it was to close" in server.output
    assert "canary" not in server.output
    assert "Traceback" not in server.output
