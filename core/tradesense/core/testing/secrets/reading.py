"""What is asked of every secrets provider: reading and listing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest

from tradesense.core.capabilities import Capability
from tradesense.core.errors import SecretDenied, SecretNotFound, SecretStoreMalformed, SecretStoreUnavailable
from tradesense.core.secrets.models import Retention
from tradesense.core.secrets.ports import SecretStore
from tradesense.core.sensitive import Secret
from tradesense.core.testing.base import Contract, Make, every, fresh, opened, together
from tradesense.core.testing.checks import Call, Calls, interrupt, refuse_when_closed, refuse_when_unreachable

NAMES = ("a", "a-b", "a.b", "a/b", "a/c/d", "a0", "aB", "a_b", "ab", "b", "B", "z/y/x")
"""Names whose order a folder walk or a language's collation gets wrong."""
UNICODE = "Zürich ☃ 漢字 𝄞 \r\n\t \"'\\ e\u0301"


class ReadingTests(Contract):
    """The part of the contract that read-only providers have as well."""

    port = SecretStore

    @pytest.fixture
    def seed(self) -> Mapping[str, str]:
        """Path and value of secrets to read. A read-only provider overrides it with at least three that exist."""
        if Capability.WRITE not in self.capabilities:
            pytest.fail(f"{type(self).__name__} is read-only and must override the fixture `seed`", pytrace=False)
        base = fresh("seed")
        return {f"{base}/{name}": f"value of {name}: {UNICODE}" for name in NAMES}

    @pytest.fixture
    def unreachable(self) -> Make[SecretStore] | None:
        """Override this where there is a server: like ``adapter``, with nothing answering at the other end."""
        return None

    @pytest.fixture
    def denied(self) -> Make[SecretStore] | None:
        """Override this where there are credentials: like ``adapter``, with credentials that may do nothing."""
        return None

    @pytest.fixture
    def foreign(self) -> Sequence[str]:
        """Override this where others can write: paths of entries in forms that hold no value of ours."""
        return ()

    async def test_a_secret_is_read_as_it_is(self, adapter: Make[SecretStore], seed: Mapping[str, str]) -> None:
        async with opened(adapter()) as store:
            await self._stock(store, seed)
            for path, value in seed.items():
                found = await store.get(path)
                assert (found.path, found.value, found.version) == (path, Secret(value), 1)
                assert found.created_at is None or found.created_at.utcoffset() == timedelta(0)

    async def test_an_absent_secret_is_not_found(
        self, adapter: Make[SecretStore], seed: Mapping[str, str], foreign: Sequence[str]
    ) -> None:
        async with opened(adapter()) as store:
            await self._stock(store, seed)
            for path in (fresh("absent"), f"{fresh('absent')}/deep/er", f"{max(seed)}/below"):
                with pytest.raises(SecretNotFound):
                    await store.get(path)
            for path in foreign:  # no absence: a chain would go on to a weaker value
                with pytest.raises(SecretStoreMalformed):
                    await store.get(path)

    async def test_a_list_is_in_code_point_order(self, adapter: Make[SecretStore], seed: Mapping[str, str]) -> None:
        async with opened(adapter()) as store:
            await self._stock(store, seed)
            found = await _listed(store, _folder(seed))
            assert found == sorted(found)
            assert [path for path in found if path in seed] == sorted(seed)

    @pytest.mark.parametrize("limit", [1, 2, 5, 1000])
    async def test_pages_hold_every_path_exactly_once(
        self, adapter: Make[SecretStore], seed: Mapping[str, str], limit: int
    ) -> None:
        async with opened(adapter()) as store:
            await self._stock(store, seed)
            cursor, found = None, list[str]()
            while True:
                page = await store.list(_folder(seed), cursor=cursor, limit=limit)
                assert len(page.items) <= limit
                found.extend(page.items)
                assert len(found) == len(set(found)), "a path came twice"
                if (cursor := page.cursor) is None:
                    break
            assert [path for path in found if path in seed] == sorted(seed)

    async def test_a_prefix_may_end_anywhere(self, adapter: Make[SecretStore], seed: Mapping[str, str]) -> None:
        async with opened(adapter()) as store:
            await self._stock(store, seed)
            one = min(seed)
            for prefix in {"", _folder(seed), one[:1], one[: len(one) // 2 + 1].rstrip("./-_"), one}:
                found = await _listed(store, prefix)
                assert all(path.startswith(prefix) for path in found)
                assert {path for path in seed if path.startswith(prefix)} <= set(found)

    async def test_a_list_goes_on_behind_any_path(self, adapter: Make[SecretStore], seed: Mapping[str, str]) -> None:
        async with opened(adapter()) as store:
            await self._stock(store, seed)
            folder = _folder(seed)
            everything = await _listed(store, folder)
            for cursor in (f"{folder}{'0' * 100}", f"{folder}a/zzz", f"{folder}m", f"{folder}{'z' * 100}"):
                page = await store.list(folder, cursor=cursor, limit=1000)
                assert [path for path in page.items if path in seed] == [
                    path for path in everything if path in seed and path > cursor
                ]

    async def test_an_unknown_prefix_is_an_empty_page(self, adapter: Make[SecretStore]) -> None:
        async with opened(adapter()) as store:
            for prefix in (fresh("nothing"), f"{fresh('nothing')}/", f"{fresh('nothing')}/deep/er/"):
                page = await store.list(prefix)
                assert (page.items, page.cursor) == ((), None)

    async def test_many_reads_at_once_are_each_answered(
        self, adapter: Make[SecretStore], seed: Mapping[str, str]
    ) -> None:
        async with opened(adapter()) as store:
            await self._stock(store, seed)
            paths = [*seed] * (1 + 50 // len(seed))
            found = await together(len(paths), lambda number: store.get(paths[number]))
            assert [getattr(one, "value", one) for one in found] == [Secret(seed[path]) for path in paths]

    async def test_a_cancelled_call_leaves_it_usable(self, adapter: Make[SecretStore], seed: Mapping[str, str]) -> None:
        async with opened(adapter()) as store:
            await self._stock(store, seed)
            path, value = next(iter(seed.items()))
            await interrupt(lambda: store.get(path))
            await interrupt(lambda: store.list(_folder(seed)))
            found = await together(20, lambda _: store.get(path), seconds=self.patience)
            assert [getattr(one, "value", one) for one in found] == [Secret(value)] * 20

    async def test_a_closed_store_says_so(self, adapter: Make[Any]) -> None:
        await refuse_when_closed(adapter(), self._calls())

    async def test_an_unreachable_store_is_unavailable_and_nothing_is_absent(
        self, unreachable: Make[Any] | None
    ) -> None:
        await refuse_when_unreachable(unreachable, SecretStoreUnavailable, self._calls())

    async def test_refused_credentials_are_denied(
        self, denied: Make[SecretStore] | None, seed: Mapping[str, str]
    ) -> None:
        if denied is None:
            pytest.skip("there is no fixture `denied`: the adapter has no credentials that could be refused")
        async with opened(denied()) as store:
            for path in (next(iter(seed)), fresh("absent")):
                with pytest.raises(SecretDenied):
                    await store.get(path)
            with pytest.raises(SecretDenied):
                await store.list()

    async def _stock(self, store: SecretStore, seed: Mapping[str, str]) -> None:
        """Write the seed, where it is not there already."""
        if Capability.WRITE in self.capabilities:
            for path, value in seed.items():
                await store.put(path, Secret(value))  # type: ignore[attr-defined]  # what the capability says

    def _calls(self) -> Calls:
        calls: dict[str, Call] = {
            "get": lambda store: store.get("a"),
            "list": lambda store: store.list(),
        }
        if Capability.WRITE in self.capabilities:
            calls["put"] = lambda store: store.put("a", Secret("x"))
            calls["delete"] = lambda store: store.delete("a")
        if Capability.VERSIONS in self.capabilities:
            calls["get_version"] = lambda store: store.get_version("a", 1)
            calls["versions"] = lambda store: store.versions("a")
        if Capability.UNDELETE in self.capabilities:
            calls["undelete"] = lambda store: store.undelete("a")
            calls["destroy"] = lambda store: store.destroy("a")
        if Capability.ERASE in self.capabilities:
            calls["delete_versions"] = lambda store: store.delete_versions("a", [1])
            calls["undelete_versions"] = lambda store: store.undelete_versions("a", [1])
            calls["destroy_versions"] = lambda store: store.destroy_versions("a", [1])
        if Capability.METADATA in self.capabilities:
            calls["metadata"] = lambda store: store.metadata("a")
            calls["describe"] = lambda store: store.describe("a", {})
        if Capability.RETENTION in self.capabilities:
            calls["retention"] = lambda store: store.retention("a")
            calls["retain"] = lambda store: store.retain("a", Retention())
        if Capability.ENVELOPES in self.capabilities:
            calls["key_counts"] = lambda store: store.key_counts()
            calls["held"] = lambda store: store.held().__aenter__()
            calls["rewrap"] = lambda store: store.rewrap()
        if Capability.ROTATION in self.capabilities:
            calls["pending"] = lambda store: store.pending("a")
            calls["stage"] = lambda store: store.stage("a", Secret("x"))
            calls["promote"] = lambda store: store.promote("a", 1)
        return calls


async def _listed(store: SecretStore, prefix: str) -> list[str]:
    return await every(lambda cursor: store.list(prefix, cursor=cursor, limit=1000))


def _folder(seed: Mapping[str, str]) -> str:
    """The folder that all paths of the seed lie in, with its slash; empty when there is none."""
    first, last = min(seed), max(seed)
    same = next((place for place, pair in enumerate(zip(first, last, strict=False)) if len(set(pair)) > 1), len(first))
    return first[: first.rfind("/", 0, same) + 1]
