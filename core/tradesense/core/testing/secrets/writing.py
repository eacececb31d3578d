"""What is asked of a provider that can be written: one current value per path, and compare-and-set."""

from __future__ import annotations

from typing import ClassVar

import pytest

from tradesense.core.capabilities import Capability
from tradesense.core.errors import SecretConflict, SecretNotFound, SecretTooLarge
from tradesense.core.secrets.models import MAX_VALUE
from tradesense.core.secrets.ports import SecretStore, WritableSecretStore
from tradesense.core.sensitive import Secret
from tradesense.core.testing.base import Contract, Make, eventually, every, fresh, opened, requires, together
from tradesense.core.testing.checks import interrupt, unchanged
from tradesense.core.testing.secrets.reading import UNICODE


class WritingTests(Contract):
    """The part of the contract for ``Capability.WRITE``, ``BINARY`` and ``CAS``."""

    port = SecretStore
    largest: ClassVar[int] = MAX_VALUE
    """Bytes of the largest value that the provider holds. Less than the port takes has to be said, never hidden."""

    @requires(Capability.WRITE)
    async def test_what_is_written_is_current(self, adapter: Make[WritableSecretStore]) -> None:
        async with opened(adapter()) as store:
            path = f"{fresh()}/of/some-depth"
            for value in ("one", "two", "three"):
                version = await store.put(path, Secret(value))
                found = await store.get(path)
                assert (found.value, found.version) == (Secret(value), version)
            assert (await store.list(path)).items == (path,)

    @requires(Capability.WRITE)
    @pytest.mark.parametrize("value", ["", " ", UNICODE, "x" * MAX_VALUE, "é" * (MAX_VALUE // 2)], ids=len)
    async def test_a_value_comes_back_unchanged(self, adapter: Make[WritableSecretStore], value: str) -> None:
        async with opened(adapter()) as store:
            await self._there_and_back(store, Secret(value))

    @requires(Capability.WRITE, Capability.BINARY)
    @pytest.mark.parametrize(
        "value", [bytes(range(256)), b"\x00", b"\xff\xfe", b"\xc3\x28" * (MAX_VALUE // 2)], ids=len
    )
    async def test_any_bytes_come_back_unchanged(self, adapter: Make[WritableSecretStore], value: bytes) -> None:
        async with opened(adapter()) as store:
            await self._there_and_back(store, Secret(value))

    @requires(Capability.WRITE)
    async def test_a_value_of_the_largest_size_is_held(self, adapter: Make[WritableSecretStore]) -> None:
        async with opened(adapter()) as store:
            await self._there_and_back(store, Secret("x" * self.largest))

    async def _there_and_back(self, store: WritableSecretStore, value: Secret) -> None:
        """A value comes back as it was written, or nothing is written of one that is too large for the provider."""
        path = fresh()
        if len(value) > self.largest:
            with pytest.raises(SecretTooLarge):
                await store.put(path, value)
            with pytest.raises(SecretNotFound):
                await store.get(path)
            return
        await store.put(path, value)
        assert unchanged((await store.get(path)).value.reveal_bytes(), value.reveal_bytes())

    @requires(Capability.WRITE)
    async def test_a_path_and_a_path_below_it_are_two_secrets(self, adapter: Make[WritableSecretStore]) -> None:
        async with opened(adapter()) as store:
            path = fresh()
            await store.put(f"{path}/below", Secret("below"))
            with pytest.raises(SecretNotFound):
                await store.get(path)
            await store.put(path, Secret("above"))
            assert (await store.get(path)).value == Secret("above")
            assert (await store.get(f"{path}/below")).value == Secret("below")
            await store.delete(path)
            assert (await store.get(f"{path}/below")).value == Secret("below")

    @requires(Capability.WRITE)
    async def test_a_deleted_secret_is_not_found(self, adapter: Make[WritableSecretStore]) -> None:
        async with opened(adapter()) as store:
            path = fresh()
            await store.put(path, Secret("old"))
            await store.delete(path)
            with pytest.raises(SecretNotFound):
                await store.get(path)
            assert (await store.list(path)).items == ()
            await store.put(path, Secret("new"))
            assert (await store.get(path)).value == Secret("new")
            assert (await store.list(path)).items == (path,)

    @requires(Capability.WRITE)
    async def test_what_is_absent_cannot_be_deleted(self, adapter: Make[WritableSecretStore]) -> None:
        async with opened(adapter()) as store:
            path = fresh()
            with pytest.raises(SecretNotFound):
                await store.delete(path)
            await store.put(path, Secret("x"))
            await store.delete(path)
            with pytest.raises(SecretNotFound):
                await store.delete(path)

    @requires(Capability.WRITE)
    @pytest.mark.parametrize("other", ["adds", "deletes"])
    async def test_paging_holds_while_another_writes(self, adapter: Make[WritableSecretStore], other: str) -> None:
        async with opened(adapter()) as store:
            base = fresh()
            stays = [f"{base}/{number:02}" for number in range(1, 10)]
            for path in (*stays, f"{base}/005"):
                await store.put(path, Secret("x"))
            first = await store.list(f"{base}/", limit=4)
            if other == "adds":
                await store.put(f"{base}/00", Secret("new and early"))
                await store.put(f"{base}/10", Secret("new and late"))
            else:
                await store.delete(f"{base}/005")
            rest = await every(lambda cursor: store.list(f"{base}/", cursor=cursor or first.cursor, limit=4))
            found = [*first.items, *rest]
            assert [path for path in found if path in stays] == stays

    @requires(Capability.WRITE)
    async def test_many_writes_at_once_all_arrive(self, adapter: Make[WritableSecretStore]) -> None:
        async with opened(adapter()) as store:
            base = fresh()
            written = await together(50, lambda number: store.put(f"{base}/{number}", Secret(f"value {number}")))
            assert written == [1] * 50
            for number in range(50):
                assert (await store.get(f"{base}/{number}")).value == Secret(f"value {number}")

    @requires(Capability.WRITE)
    async def test_a_cancelled_write_leaves_it_usable(self, adapter: Make[WritableSecretStore]) -> None:
        async with opened(adapter()) as store:
            path = fresh()
            await interrupt(lambda: store.put(path, Secret("cancelled")))

            async def written() -> bool:
                """A write holds once those that were cancelled on their way to a server have arrived there."""
                await store.put(path, Secret("done"))
                return (await store.get(path)).value == Secret("done")

            await eventually(written, seconds=self.patience)

    @requires(Capability.WRITE, Capability.CAS)
    async def test_a_write_that_expects_nothing_needs_an_absent_secret(
        self, adapter: Make[WritableSecretStore]
    ) -> None:
        async with opened(adapter()) as store:
            path = fresh()
            assert await store.put(path, Secret("first"), cas=0) == 1
            with pytest.raises(SecretConflict):
                await store.put(path, Secret("second"), cas=0)
            assert (await store.get(path)).value == Secret("first")
            await store.delete(path)
            await store.put(path, Secret("third"), cas=0)
            assert (await store.get(path)).value == Secret("third")

    @requires(Capability.WRITE, Capability.CAS)
    async def test_a_write_that_expects_another_version_is_a_conflict(self, adapter: Make[WritableSecretStore]) -> None:
        async with opened(adapter()) as store:
            path = fresh()
            with pytest.raises(SecretConflict):
                await store.put(path, Secret("never"), cas=1)
            with pytest.raises(SecretNotFound):
                await store.get(path)
            old = await store.put(path, Secret("old"))
            current = await store.put(path, Secret("current"), cas=old)
            for wrong in (old, current + 1, current + 100):
                with pytest.raises(SecretConflict):
                    await store.put(path, Secret("never"), cas=wrong)
            found = await store.get(path)
            assert (found.value, found.version) == (Secret("current"), current)
            await store.delete(path)
            with pytest.raises(SecretConflict):
                await store.put(path, Secret("never"), cas=current)

    @requires(Capability.WRITE, Capability.CAS)
    @pytest.mark.parametrize(("expected", "count"), [(0, 50), (1, 200)], ids=["absent", "present"])
    async def test_of_many_writes_that_expect_one_version_one_wins(
        self, adapter: Make[WritableSecretStore], expected: int, count: int
    ) -> None:
        """Half of them come from another adapter, as from another process."""
        async with opened(adapter()) as one, opened(adapter()) as other:
            path = fresh()
            if expected:
                assert await one.put(path, Secret("before")) == expected
            ended = await together(
                count,
                lambda number: (one, other)[number % 2].put(path, Secret(f"{number}"), cas=expected),
                seconds=60,
            )
            winners = [number for number, end in enumerate(ended) if not isinstance(end, BaseException)]
            assert len(winners) == 1
            assert {type(end) for number, end in enumerate(ended) if number not in winners} == {SecretConflict}
            for store in (one, other):
                found = await store.get(path)
                assert (found.value, found.version) == (Secret(f"{winners[0]}"), ended[winners[0]])
