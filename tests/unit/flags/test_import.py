"""Many flags are written at once, or none of them."""

from __future__ import annotations

import pytest

from flagkit import administered, flag
from tradesense.core.audit.models import Actor
from tradesense.core.errors import DatabaseUnavailable, InvalidFlag
from tradesense.core.flags.models import Prerequisite
from tradesense.core.testing.checks import ManualClock

ADA = Actor(kind="operator", id="ada")


class FailsAfter:
    """A store that is away from one write on."""

    def __init__(self, store, writes):
        self._store, self._left = store, writes

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def put(self, *args, **kwargs):
        self._left -= 1
        if self._left < 0:
            raise DatabaseUnavailable("away")
        return await self._store.put(*args, **kwargs)


async def actions(services):
    return [one.entry.action for one in (await services.trail.read(limit=1000)).items]


async def test_an_import_is_one_change_of_flags_that_may_need_each_other():
    needs = flag(key="a", prerequisites=(Prerequisite(flag="b", variants=("on",)),))
    async with administered(ManualClock()) as services:
        written = await services.flags.adopt([needs, flag(key="b")], actor=ADA)
        assert [(one.flag.key, one.revision) for one in written] == [("a", 1), ("b", 1)]
        assert await actions(services) == ["flags.put", "flags.put", "flags.import"]
        assert (await services.flags.evaluate("b", {})).variant == "off"
        with pytest.raises(InvalidFlag, match=r"c\.prerequisites"):
            await services.flags.adopt(
                [flag(key="d"), flag(key="c", prerequisites=needs.prerequisites * 21)], actor=ADA
            )
        assert len((await services.flags.list()).items) == 2


async def test_an_import_that_fails_on_the_way_leaves_nothing():
    async with administered(ManualClock(), flags=lambda store: FailsAfter(store, 2)) as services:
        with pytest.raises(DatabaseUnavailable):
            await services.flags.adopt([flag(key=f"f{number}") for number in range(3)], actor=ADA)
        assert (await services.flags.list()).items == ()
        assert await actions(services) == []
