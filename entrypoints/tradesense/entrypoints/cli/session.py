"""What most commands need: the settings, the container open around their work, and who is asking."""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from tradesense.entrypoints.cli.guards import within_guard
from tradesense.entrypoints.cli.output import say

if TYPE_CHECKING:
    from tradesense.core.audit.models import Actor
    from tradesense.core.paging import Page
    from tradesense.entrypoints.services import Services
    from tradesense.settings.load import Loaded

T = TypeVar("T")


def loaded(options: Mapping[str, Any] | None = None) -> Loaded:
    """The settings of this process.

    :raises SettingsInvalid: with all that is wrong.
    """
    from tradesense.settings.load import load  # noqa: PLC0415  # heavy: a command's `--help` need not pay for it

    return load(options=options)


def work(job: Callable[[Services], Awaitable[T]], *, keeps: str = "") -> T:
    """Open the container, do ``job`` with its services, close it, and return what the job returned.

    :param keeps: the setting that chooses where the job's result is kept; it is told when that is this process alone.
    """
    from tradesense.entrypoints.container import open_container  # noqa: PLC0415  # heavy, as above

    found = loaded()
    if keeps and not _keeps(found, keeps):
        say(f"warning: {keeps} is {attrgetter(keeps)(found.settings)!r}: what this command does ends with it")

    async def run() -> T:
        async with open_container(found.settings, plugins=found.plugins) as services:
            return await job(services)

    with within_guard():
        return asyncio.run(run())


def operator() -> Actor:
    """Who the audit trail says that it was: this user of the operating system."""
    from tradesense.core.audit.models import Actor  # noqa: PLC0415  # heavy, as above

    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that has no name
        name = str(os.getuid())
    return Actor(kind="operator", id=name)


class Listing(Protocol[T]):
    """A service's way to read a page of a list."""

    def __call__(self, *, cursor: str | None, limit: int) -> Awaitable[Page[T]]:
        """The page that begins at ``cursor``."""
        ...


async def pages(read: Listing[T]) -> AsyncIterator[T]:
    """Every item of a list, page by page."""
    cursor: str | None = None
    while True:
        page = await read(cursor=cursor, limit=1000)
        for item in page.items:
            yield item
        if (cursor := page.cursor) is None:
            return


def _keeps(found: Loaded, setting: str) -> bool:
    from tradesense.core.capabilities import Capability  # noqa: PLC0415  # heavy, as above
    from tradesense.settings.sections import CHOICES  # noqa: PLC0415  # the same

    name = attrgetter(setting)(found.settings)
    offer = found.plugins.registry.choose(CHOICES[setting], name, key=setting)
    return Capability.PERSISTENT in offer.adapter.capabilities
