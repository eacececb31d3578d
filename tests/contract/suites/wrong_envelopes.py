"""Stores of envelopes that are wrong on purpose, and the tests that must catch them."""

from __future__ import annotations

import pytest

from memorystores import Right, Stores
from tradesense.adapters.memory.secrets import MemorySecretStore
from tradesense.core.capabilities import Capability
from tradesense.core.sensitive import Secret

THREE_FOR_EACH_RULE = True

COUNTED, REWRAPPED = "test_envelopes_are_counted_by_their_keys", "test_rewrapping_ends_and_changes_no_value"
ABILITIES = Stores.capabilities | {Capability.ENVELOPES}


class Enveloped(MemorySecretStore):
    """The memory adapter as though each value were in an envelope of an old key, until it is rewrapped."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.sealed = {}

    async def put(self, path, value, *, cas=None, by=""):
        version = await super().put(path, value, cas=cas, by=by)
        self.sealed[path, version] = "old"
        return version

    async def key_counts(self):
        self.check_open()
        keys = [*self.sealed.values()]
        return {key: keys.count(key) for key in keys}

    async def rewrap(self, *, limit=100):
        self.check_open()
        old = [place for place, key in self.sealed.items() if key == "old"][:limit]
        self.sealed |= dict.fromkeys(old, "new")
        return len(old)


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
        async def rewrap(self, *, limit=100):
            await super().rewrap(limit=limit)
            return len(self.sealed)


class TestLosesWhatItRewraps(Envelopes):
    caught_by = (REWRAPPED,)

    class Store(Enveloped):
        async def rewrap(self, *, limit=100):
            done = await super().rewrap(limit=limit)
            if done:
                for path, _ in self.sealed:
                    await self.delete(path)
            return done


class TestSealsTheEnvelopeAndNotTheValue(Envelopes):
    caught_by = (REWRAPPED,)

    class Store(Enveloped):
        async def rewrap(self, *, limit=100):
            done = await super().rewrap(limit=limit)
            for path, _ in [*self.sealed][:done]:
                await MemorySecretStore.put(
                    self, path, Secret(b"sealed " + (await self.get(path)).value.reveal_bytes())
                )
            return done
