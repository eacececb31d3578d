"""Parts are opened in order and closed in reverse; one that hangs or raises is named, and nothing is left behind."""

from __future__ import annotations

import asyncio
import signal
import threading
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tradesense.core.errors import PluginFailed, PluginTimedOut, SecretStoreUnavailable
from tradesense.entrypoints import opening
from tradesense.entrypoints.opening import opened
from tradesense.plugins.bounds import Owner, bounded

OWNER = Owner(plugin="acme", distribution="tradesense-acme", version="3")


class Part:
    """Does at its beginning and its end what it is told, and notes both."""

    def __init__(self, name: str, seen: list[str], *, enter: Any = None, leave: Any = None) -> None:
        self.name, self.seen, self.enter, self.leave = name, seen, enter, leave

    async def __aenter__(self) -> None:
        self.seen.append(f"+{self.name}")
        await _do(self.enter)

    async def __aexit__(self, *error: object) -> bool:
        self.seen.append(f"-{self.name}")
        await _do(self.leave)
        return True  # which may not hide what ended the work


async def _do(what: Any) -> None:
    if isinstance(what, BaseException):
        raise what
    if what is not None and (waiting := what()) is not None:
        await waiting


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "OPEN_SECONDS", 0.2)
    monkeypatch.setattr(opening, "GRACE_SECONDS", 0.1)


async def test_F21_parts_are_closed_in_reverse_order_though_one_cannot_be_opened() -> None:
    seen: list[str] = []
    parts = [Part("a", seen), Part("b", seen, leave=KeyError("canary")), Part("c", seen, enter=RuntimeError("canary"))]

    async def open_all() -> None:
        async with AsyncExitStack() as stack:
            for part in parts:
                await stack.enter_async_context(opened(part, OWNER))

    with pytest.raises(PluginFailed) as caught:
        await open_all()
    assert seen == ["+a", "+b", "+c", "-b", "-a"]
    assert caught.value.detail == "plugin 'acme' raised RuntimeError while it was to open"
    assert caught.value.origin == "tradesense-acme 3"
    assert "canary" not in caught.value.line()


async def test_what_ended_the_work_goes_on_whatever_a_part_makes_of_it() -> None:
    for leave in (None, ValueError("x"), SystemExit(0)):
        with pytest.raises(ZeroDivisionError):
            async with opened(Part("a", [], leave=leave), OWNER):
                raise ZeroDivisionError


@pytest.mark.parametrize("error", [ValueError("canary"), SystemExit(0), TimeoutError()])
async def test_a_part_that_cannot_be_closed_is_named(error: BaseException) -> None:
    with pytest.raises(PluginFailed, match="while it was to close"):
        async with opened(Part("a", [], leave=error), OWNER):
            pass


async def test_our_own_errors_are_left_as_they_are() -> None:
    with pytest.raises(SecretStoreUnavailable, match="away"):
        async with opened(Part("a", [], enter=SecretStoreUnavailable("away")), OWNER):
            pass


@pytest.mark.parametrize(
    "hang", [lambda: asyncio.sleep(60), lambda: threading.Event().wait(60)], ids=["waiting", "blocking"]
)
@pytest.mark.parametrize("when", ["open", "close"])
async def test_F21_a_part_that_hangs_is_named(quick: None, hang: Any, when: str) -> None:
    del quick
    before = signal.getsignal(signal.SIGALRM)
    part = Part("a", [], **{"enter" if when == "open" else "leave": hang})
    with pytest.raises(PluginTimedOut, match=f"'acme' did not {when} within 0.2 s"):
        async with opened(part, OWNER):
            pass
    assert signal.getsignal(signal.SIGALRM) is before


async def test_a_cancelled_opening_is_cancelled() -> None:
    begun = asyncio.Event()

    async def wait() -> None:
        begun.set()
        await asyncio.Event().wait()

    async def open_it() -> None:
        async with opened(Part("a", [], enter=wait), OWNER):
            pass

    task = asyncio.create_task(open_it())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_F21_of_two_plugins_the_one_that_hangs_is_named() -> None:
    inner, released = Owner(plugin="inner", distribution="d", version="1"), threading.Event()

    def failed(error: BaseException) -> Any:
        return OWNER.failed(error)

    def call() -> None:
        bounded(released.wait, inner, "build", seconds=0.3, failed=failed)

    with pytest.raises(PluginTimedOut, match="'inner' did not build"):
        bounded(call, OWNER, "build", seconds=0.3, failed=failed)
    released.set()
