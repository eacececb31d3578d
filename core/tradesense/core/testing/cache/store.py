"""The contract of ``CacheStore``."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tradesense.core.cache.models import MAX_KEY
from tradesense.core.cache.ports import CacheStore
from tradesense.core.capabilities import Capability
from tradesense.core.errors import CacheUnavailable
from tradesense.core.testing.base import Contract, Make, eventually, fresh, opened, requires, together
from tradesense.core.testing.checks import (
    Advance,
    Calls,
    interrupt,
    refuse_when_closed,
    refuse_when_unreachable,
    unchanged,
)

LONG = 60.0
SHORT = 0.4
GRAIN = 0.05
"""Seconds by which a server's clock may lag behind, because it looks at it once in a while."""
CALLS: Calls = {
    "get": lambda store: store.get("a"),
    "set": lambda store: store.set("a", b"x", LONG),
    "get_many": lambda store: store.get_many(["a"]),
    "set_many": lambda store: store.set_many({"a": b"x"}, LONG),
    "delete": lambda store: store.delete("a"),
    "expire": lambda store: store.expire("a", LONG),
    "remaining": lambda store: store.remaining(["a"]),
}


class CacheStoreContract(Contract):
    """What every :class:`CacheStore` must do. It must be large enough not to drop what a test has just written."""

    port = CacheStore

    @pytest.fixture
    def advance(self) -> Advance | None:
        """Override this when the adapter takes a Clock: let seconds pass. Otherwise they really pass."""
        return None

    @pytest.fixture
    def unreachable(self) -> Make[CacheStore] | None:
        """Override this where there is a server: like ``adapter``, with nothing answering at the other end."""
        return None

    async def test_a_value_is_kept(self, adapter: Make[CacheStore]) -> None:
        async with opened(adapter()) as store:
            key = fresh()
            assert await store.get(key) is None
            await store.set(key, b"one", LONG)
            assert await store.get(key) == b"one"
            await store.set(key, b"two", LONG)
            assert await store.get(key) == b"two"

    @pytest.mark.parametrize(
        "value", [b"", b"\x00", bytes(range(256)), b"x" * 1_048_576], ids=["empty", "zero", "all bytes", "1 MiB"]
    )
    async def test_any_bytes_come_back_unchanged(self, adapter: Make[CacheStore], value: bytes) -> None:
        async with opened(adapter()) as store:
            one, two = fresh(), fresh()
            await store.set(one, value, LONG)
            await store.set_many({two: value}, LONG)
            assert unchanged(await store.get(one), value)
            assert unchanged(dict(await store.get_many([one, two])), {one: value, two: value})

    async def test_any_key_is_a_key_of_its_own(self, adapter: Make[CacheStore]) -> None:
        async with opened(adapter()) as store:
            base = fresh("K")
            ends = ("", " ", "*", "?", "[a]", "%", "_", "{x}", ":", "/", "a", "A", "ä", "a\u0308", "漢字", "𝄞", "'\"\\")
            keys = [f"{base}{end}" for end in ends] + [f"{base}{'𝄞' * (MAX_KEY - len(base))}"]
            for number, key in enumerate(keys):
                await store.set(key, f"{number}".encode(), LONG)
            assert await store.get_many(keys) == {key: f"{number}".encode() for number, key in enumerate(keys)}
            assert await store.delete(f"{base}*") == 1
            assert await store.get(f"{base}a") is not None

    async def test_an_expired_value_is_never_served(self, adapter: Make[CacheStore], advance: Advance | None) -> None:
        async with opened(adapter()) as store:
            # A key of its own for each way to ask: an adapter may drop what it finds expired.
            many, again, counted, late, one = (fresh() for _ in range(5))
            await store.set_many({many: b"x", again: b"x", counted: b"x", late: b"x"}, SHORT)
            await store.set(one, b"x", SHORT)
            assert await store.get(one) == b"x"
            await self._until_gone(store, one, SHORT, advance)
            assert await store.get_many([many]) == {}
            assert await store.expire(again, LONG) is False
            assert await store.delete(counted) == 0
            assert await store.get(late) is None

    async def test_a_value_lasts_to_the_millisecond(self, adapter: Make[CacheStore], advance: Advance | None) -> None:
        async with opened(adapter()) as store:
            key = fresh()
            if advance is None:
                began = time.monotonic()
                await store.set(key, b"x", 0.3)
                await eventually(lambda: _gone(store, key), seconds=self.patience)
                assert time.monotonic() - began >= 0.3 - 0.01, "it went before its time"
                return
            await store.set(key, b"x", 1.5)
            advance(1.499)
            assert await store.get(key) == b"x"
            advance(0.001)
            assert await store.get(key) is None

    async def test_setting_again_replaces_the_time(self, adapter: Make[CacheStore], advance: Advance | None) -> None:
        async with opened(adapter()) as store:
            longer, shorter = fresh(), fresh()
            await store.set(longer, b"short", SHORT)
            await store.set(longer, b"long", LONG)
            await store.set(shorter, b"long", LONG)
            await store.set(shorter, b"short", SHORT)
            await self._until_gone(store, shorter, SHORT, advance)
            assert await store.get(longer) == b"long"

    async def test_expire_gives_a_new_time(self, adapter: Make[CacheStore], advance: Advance | None) -> None:
        async with opened(adapter()) as store:
            longer, shorter, absent = fresh(), fresh(), fresh()
            await store.set(longer, b"x", SHORT)
            await store.set(shorter, b"x", LONG)
            assert await store.expire(longer, LONG) is True
            assert await store.expire(shorter, SHORT) is True
            assert await store.expire(absent, LONG) is False
            assert await store.get(absent) is None
            await self._until_gone(store, shorter, SHORT, advance)
            assert await store.get(longer) == b"x"

    async def test_it_says_how_long_a_value_lasts(self, adapter: Make[CacheStore], advance: Advance | None) -> None:
        async with opened(adapter()) as store:
            kept, ends, absent = fresh(), fresh(), fresh()
            await store.set(kept, b"x", LONG)
            await store.set(ends, b"x", SHORT)
            left = await store.remaining([kept, ends, absent])
            assert set(left) <= {kept, ends}
            assert LONG / 2 < left[kept] <= LONG + GRAIN
            await self._until_gone(store, ends, SHORT, advance)
            later = await store.remaining([kept, ends])
            assert set(later) == {kept}
            assert later[kept] <= left[kept] - SHORT + GRAIN, "it is not what is left"
            assert await store.expire(kept, LONG * 2)
            assert LONG < (await store.remaining([kept]))[kept] <= LONG * 2 + GRAIN
            assert await store.remaining([]) == {}

    async def test_get_many_leaves_out_what_is_absent(self, adapter: Make[CacheStore]) -> None:
        async with opened(adapter()) as store:
            keys = [fresh() for _ in range(4)]
            await store.set_many({keys[0]: b"0", keys[2]: b"2"}, LONG)
            assert await store.get_many(keys) == {keys[0]: b"0", keys[2]: b"2"}
            assert await store.get_many([keys[2], keys[2]]) == {keys[2]: b"2"}
            assert await store.get_many([keys[1]]) == {}

    async def test_nothing_to_do_is_no_error(self, adapter: Make[CacheStore]) -> None:
        async with opened(adapter()) as store:
            assert await store.get_many([]) == {}
            await store.set_many({}, LONG)
            assert await store.delete() == 0

    async def test_delete_counts_what_was_present(self, adapter: Make[CacheStore]) -> None:
        async with opened(adapter()) as store:
            keys = [fresh() for _ in range(5)]
            await store.set_many(dict.fromkeys(keys[:3], b""), LONG)
            assert await store.delete(keys[3]) == 0
            assert await store.delete(*keys) == 3
            assert await store.delete(*keys) == 0
            assert await store.get_many(keys) == {}

    async def test_many_at_once_are_not_mixed_up(self, adapter: Make[CacheStore]) -> None:
        async with opened(adapter()) as store:
            keys = [fresh() for _ in range(100)]

            async def there_and_back(number: int) -> bytes | None:
                await store.set(keys[number], f"{number}".encode(), LONG)
                return await store.get(keys[number])

            assert await together(100, there_and_back) == [f"{number}".encode() for number in range(100)]

    async def test_writes_at_once_leave_one_of_them_whole(self, adapter: Make[CacheStore]) -> None:
        async with opened(adapter()) as store:
            key = fresh()
            values = [bytes([number]) * 5000 for number in range(50)]
            assert await together(50, lambda number: store.set(key, values[number], LONG)) == [None] * 50
            assert await store.get(key) in values

    async def test_a_cancelled_call_leaves_it_usable(self, adapter: Make[CacheStore]) -> None:
        async with opened(adapter()) as store:
            keys = [fresh() for _ in range(20)]
            await interrupt(lambda: store.set(keys[0], b"cancelled", LONG))
            await interrupt(lambda: store.get_many(keys))
            await interrupt(lambda: store.get(keys[0]))
            await store.set_many({key: key.encode() for key in keys}, LONG)
            found = await together(20, lambda number: store.get(keys[number]), seconds=self.patience)
            assert found == [key.encode() for key in keys]

    async def test_a_closed_store_says_so(self, adapter: Make[Any]) -> None:
        await refuse_when_closed(adapter(), CALLS)

    async def test_an_unreachable_store_is_unavailable_and_nothing_is_absent(
        self, unreachable: Make[Any] | None
    ) -> None:
        await refuse_when_unreachable(unreachable, CacheUnavailable, CALLS)

    @requires(Capability.SHARED)
    async def test_two_adapters_see_each_others_values(self, adapter: Make[CacheStore]) -> None:
        async with opened(adapter()) as one, opened(adapter()) as two:
            key = fresh()
            await one.set(key, b"by one", LONG)
            assert await two.get(key) == b"by one"
            await two.set(key, b"by two", LONG)
            assert await one.get(key) == b"by two"
            assert await one.delete(key) == 1
            assert await two.get(key) is None

    @requires(Capability.PERSISTENT)
    async def test_what_is_kept_outlives_the_adapter(self, adapter: Make[CacheStore]) -> None:
        key = fresh()
        async with opened(adapter()) as store:
            await store.set(key, b"kept", LONG)
        async with opened(adapter()) as store:
            assert await store.get(key) == b"kept"

    async def _until_gone(self, store: CacheStore, key: str, ttl: float, advance: Advance | None) -> None:
        """Let ``ttl`` seconds pass. Served after that, the value fails the test at once."""
        if advance is not None:
            advance(ttl)
            assert await store.get(key) is None, "it was served after its time"
            return
        ends = time.monotonic() + ttl + GRAIN

        async def gone() -> bool:
            asked = time.monotonic()
            absent = await _gone(store, key)
            assert absent or asked <= ends, "it was served after its time"
            return absent

        await eventually(gone, seconds=self.patience)


async def _gone(store: CacheStore, key: str) -> bool:
    """The value is gone."""
    return await store.get(key) is None
