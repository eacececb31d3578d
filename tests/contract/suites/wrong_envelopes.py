"""Stores of envelopes that are wrong on purpose, and the tests that must catch them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from memorystores import Right, Stores
from tradesense.adapters.memory.secrets import MemorySecretStore
from tradesense.core.capabilities import Capability
from tradesense.core.secrets.models import Rewrapped
from tradesense.core.sensitive import Secret

THREE_FOR_EACH_RULE = True

COUNTED, REWRAPPED = "test_envelopes_are_counted_by_their_keys", "test_rewrapping_ends_and_changes_no_value"
HELD = "test_nothing_is_sealed_while_the_store_is_held"
ABILITIES = Stores.capabilities | {Capability.ENVELOPES}


class Enveloped(MemorySecretStore):
    """The memory adapter as though each value were in an envelope of an old key, until it is rewrapped."""

    def __init__(self, state, *, clock):
        super().__init__(state, clock=clock)
        self.sealed = vars(state).setdefault("sealed", {})
        self.turn = vars(state).setdefault("turn", asyncio.Lock())

    @asynccontextmanager
    async def held(self):
        self.check_open()
        async with self.turn:
            yield

    async def put(self, path, value, *, cas=None, by=""):
        async with self.turn:
            return await self.add(path, value, cas=cas, by=by)

    async def add(self, path, value, *, cas=None, by=""):
        version = await super().put(path, value, cas=cas, by=by)
        self.sealed[path, version] = "old"
        return version

    async def key_counts(self):
        self.check_open()
        keys = [*self.sealed.values()]
        return {key: keys.count(key) for key in keys}

    async def rewrap(self, *, limit=100, after=None):
        self.check_open()
        old = sorted(place for place, key in self.sealed.items() if key == "old" and place > (after or ("", 0)))[:limit]
        self.sealed |= dict.fromkeys(old, "new")
        return Rewrapped(count=len(old), after=old[-1] if len(old) == limit else None)


class Envelopes(Stores):
    capabilities = ABILITIES
    Store = Enveloped


class TestRight(Right):
    capabilities = ABILITIES
    Store = Enveloped

    @pytest.fixture
    def unreachable(self):
        return None


class TestCountsSecretsAndNotVersions(Envelopes):
    caught_by = (COUNTED,)

    class Store(Enveloped):
        async def key_counts(self):
            return dict.fromkeys(await super().key_counts(), 1)


class TestNamesKeysThatSealNothing(Envelopes):
    caught_by = (COUNTED,)

    class Store(Enveloped):
        async def key_counts(self):
            return {"spare": 0, **await super().key_counts()}


class TestCountsWithoutAName(Envelopes):
    caught_by = (COUNTED,)

    class Store(Enveloped):
        async def key_counts(self):
            return {"": sum((await super().key_counts()).values())}


class TestForgetsWhatIsUnderTheOldKey(Envelopes):
    caught_by = (COUNTED,)

    class Store(Enveloped):
        async def key_counts(self):
            return {key: count for key, count in (await super().key_counts()).items() if key == "new"}


class TestRewrapsForEver(Envelopes):
    caught_by = (REWRAPPED,)

    class Store(Enveloped):
        async def rewrap(self, *, limit=100, after=None):
            await super().rewrap(limit=limit, after=after)
            return Rewrapped(count=len(self.sealed))


class TestGoesOnInAllEternity(Envelopes):
    caught_by = (REWRAPPED,)

    class Store(Enveloped):
        async def rewrap(self, *, limit=100, after=None):
            found = await super().rewrap(limit=limit, after=after)
            return Rewrapped(count=found.count, after=("a", 1)) if limit == 1 else found


class TestLosesWhatItRewraps(Envelopes):
    caught_by = (REWRAPPED,)

    class Store(Enveloped):
        async def rewrap(self, *, limit=100, after=None):
            found = await super().rewrap(limit=limit, after=after)
            if found.count:
                for path, _ in self.sealed:
                    await self.delete(path)
            return found


class TestSealsTheEnvelopeAndNotTheValue(Envelopes):
    caught_by = (REWRAPPED,)

    class Store(Enveloped):
        async def rewrap(self, *, limit=100, after=None):
            found = await super().rewrap(limit=limit, after=after)
            for path, _ in [*self.sealed][: found.count]:
                await MemorySecretStore.put(
                    self, path, Secret(b"sealed " + (await self.get(path)).value.reveal_bytes())
                )
            return found


class TestHoldsNobodyBack(Envelopes):
    caught_by = (HELD,)

    class Store(Enveloped):
        @asynccontextmanager
        async def held(self):
            yield


class TestHoldsItsOwnProcessBackAlone(Envelopes):
    caught_by = (HELD,)

    class Store(Enveloped):
        def __init__(self, state, *, clock):
            super().__init__(state, clock=clock)
            self.turn = asyncio.Lock()


class TestHoldsForEverWhatWentWrong(Envelopes):
    caught_by = (HELD,)

    class Store(Enveloped):
        @asynccontextmanager
        async def held(self):
            await self.turn.acquire()
            yield
            self.turn.release()
