"""The contract of :class:`ChangeStore`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from tradesense.core.capabilities import Capability
from tradesense.core.errors import ChangeConflict, ChangeNotFound, DatabaseUnavailable, InvalidInput
from tradesense.core.flags.models import Flag, Segment
from tradesense.core.flags.ports import ChangeStore
from tradesense.core.flags.requests import ChangeRequest, Party, State
from tradesense.core.testing.base import Contract, Joined, Make, every, fresh, joined, opened, requires, together
from tradesense.core.testing.checks import Calls, refuse_when_closed, refuse_when_unreachable, rolled_back

TEXT = "Zürich ☃ 漢字 𝄞 \r\n\t \"'\\ e\u0301"
BEGAN = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def _request(number: int, **changes: Any) -> ChangeRequest:
    fields: dict[str, Any] = {
        "id": str(UUID(int=number)),
        "kind": "flag",
        "key": "f",
        "base": 3,
        "proposed_by": Party(kind="user", id="ada"),
        "proposed_at": BEGAN,
    }
    fields.update(changes)
    return ChangeRequest(**fields)


def _ids() -> list[int]:
    """Numbers in ascending order that no other test uses."""
    first = int(fresh("")[1:], 16) << 16
    return list(range(first, first + 20))


def _scheduled(number: int, after: float) -> ChangeRequest:
    return _request(number, state=State.SCHEDULED, not_before=BEGAN + timedelta(seconds=after))


def _next(request: ChangeRequest, state: State) -> ChangeRequest:
    return msgspec.structs.replace(request, state=state, version=request.version + 1)


CALLS: Calls = {
    "add": lambda store: store.add(_request(1)),
    "get": lambda store: store.get(str(UUID(int=1))),
    "list": lambda store: store.list(),
    "replace": lambda store: store.replace(_next(_request(1), State.APPLIED)),
    "due": lambda store: store.due(BEGAN, limit=1),
}


class ChangeStoreContract(Contract):
    """What every :class:`ChangeStore` must do."""

    port = ChangeStore

    @pytest.fixture
    def unreachable(self) -> Make[ChangeStore] | None:
        """Override this where there is a server: like ``adapter``, with nothing answering at the other end."""
        return None

    async def test_a_request_is_kept_as_it_is(self, adapter: Make[ChangeStore]) -> None:
        async with opened(adapter()) as store:
            flag = Flag(key="f", variants={"a": {"deep": [1, 1.0, None]}, TEXT: False}, default_variant=TEXT)
            plain, rich, removal = _ids()[:3]
            wanted = [
                _request(plain, kind="segment", segment=Segment(key="f", included=(TEXT,))),
                _request(
                    rich,
                    flag=flag,
                    reason=TEXT,
                    not_before=BEGAN,
                    state=State.REJECTED,
                    approved_by=Party(kind="user", id=TEXT),
                    ended_by=Party(kind="worker"),
                    ended_at=BEGAN,
                    note=TEXT,
                    version=7,
                ),
                _request(removal),
            ]
            for one in wanted:
                await store.add(one)
            flag.variants.clear()
            flag.variants.update({"a": {"deep": [1, 1.0, None]}, TEXT: False})
            for one in wanted:
                assert await store.get(one.id) == one

    async def test_what_was_given_out_cannot_change_the_request(self, adapter: Make[ChangeStore]) -> None:
        async with opened(adapter()) as store:
            (number, *_) = _ids()
            wanted = _request(number, flag=Flag(key="f", variants={"a": 1}, default_variant="a"))
            await store.add(wanted)
            for found in (wanted, await store.get(wanted.id)):
                assert found.flag is not None
                found.flag.variants.clear()
            kept = (await store.get(wanted.id)).flag
            assert kept is not None
            assert kept.variants == {"a": 1}

    async def test_an_absent_request_is_not_found(self, adapter: Make[ChangeStore]) -> None:
        async with opened(adapter()) as store:
            for absent in (str(UUID(int=_ids()[0])), "", TEXT):
                with pytest.raises(ChangeNotFound):
                    await store.get(absent)

    async def test_requests_are_listed_oldest_first_and_by_state(self, adapter: Make[ChangeStore]) -> None:
        async with opened(adapter()) as store:
            numbers = _ids()[:5]
            states = [State.PENDING, State.APPLIED, State.PENDING, State.SCHEDULED, State.PENDING]
            added = [_request(number, state=state) for number, state in zip(numbers, states, strict=True)]
            for one in reversed(added):
                await store.add(one)
            ours = {one.id for one in added}

            async def listed(state: State | None, limit: int) -> list[ChangeRequest]:
                found = await every(lambda cursor: store.list(state=state, cursor=cursor, limit=limit))
                return [one for one in found if one.id in ours]

            for limit in (1, 2, 1000):
                assert await listed(None, limit) == added
                assert await listed(State.PENDING, limit) == [added[0], added[2], added[4]]
            assert await listed(State.WITHDRAWN, 2) == []

    async def test_a_cursor_that_was_not_given_out_is_refused(self, adapter: Make[ChangeStore]) -> None:
        async with opened(adapter()) as store:
            with pytest.raises(InvalidInput):
                await store.list(cursor="no id")

    async def test_a_step_is_taken_from_the_one_before_alone(self, adapter: Make[ChangeStore]) -> None:
        async with opened(adapter()) as store:
            first = _request(_ids()[0])
            await store.add(first)
            second = _next(first, State.REJECTED)
            await store.replace(second)
            for stale in (second, _next(first, State.APPLIED), _next(_next(second, State.APPLIED), State.APPLIED)):
                with pytest.raises(ChangeConflict):
                    await store.replace(stale)
            assert await store.get(first.id) == second
            with pytest.raises(ChangeConflict):
                await store.replace(_next(_request(_ids()[0]), State.APPLIED))

    async def test_of_many_steps_at_once_one_is_taken(self, adapter: Make[ChangeStore]) -> None:
        async with opened(adapter()) as store:
            first = _request(_ids()[0])
            await store.add(first)
            ends = await together(8, lambda _: store.replace(_next(first, State.APPLIED)))
            assert [type(end) for end in ends if end is not None] == [ChangeConflict] * 7
            assert (await store.get(first.id)).version == 2  # the second

    async def test_what_is_scheduled_is_due_at_its_time(self, adapter: Make[ChangeStore]) -> None:
        async with opened(adapter()) as store:
            one, two, three, four, five = _ids()[:5]
            # Long ago, so that what other tests left is not in between.
            early = timedelta(days=365 * 40)
            added = [_scheduled(one, 2), _scheduled(two, 1), _scheduled(three, 1), _scheduled(four, 2.000001)]
            added = [msgspec.structs.replace(each, not_before=(each.not_before or BEGAN) - early) for each in added]
            for each in (*added, _request(five, not_before=BEGAN - early)):
                await store.add(each)
            now = BEGAN - early + timedelta(seconds=2)

            async def due(limit: int) -> list[str]:
                return [each.id for each in await store.due(now, limit=limit)]

            expected = [added[1].id, added[2].id, added[0].id]
            assert await due(1000) == expected
            assert await due(2) == expected[:2]
            await store.replace(_next(added[1], State.APPLIED))
            await store.replace(_next(added[2], State.WITHDRAWN))
            assert await due(1000) == expected[2:]
            await store.replace(_next(added[0], State.FAILED))
            await store.replace(_next(added[3], State.FAILED))

    async def test_a_closed_store_says_so(self, adapter: Make[Any]) -> None:
        await refuse_when_closed(adapter(), CALLS)

    async def test_an_unreachable_store_is_unavailable(self, unreachable: Make[Any] | None) -> None:
        await refuse_when_unreachable(unreachable, DatabaseUnavailable, CALLS)

    @requires(Capability.PERSISTENT)
    async def test_a_request_outlives_the_adapter(self, adapter: Make[ChangeStore]) -> None:
        wanted = _request(_ids()[0])
        async with opened(adapter()) as store:
            await store.add(wanted)
        async with opened(adapter()) as store:
            assert await store.get(wanted.id) == wanted

    @requires(Capability.SHARED)
    async def test_two_stores_hold_one_list(self, adapter: Make[ChangeStore]) -> None:
        async with opened(adapter()) as one, opened(adapter()) as two:
            wanted = _request(_ids()[0])
            await one.add(wanted)
            await two.replace(_next(wanted, State.APPLIED))
            with pytest.raises(ChangeConflict):
                await one.replace(_next(wanted, State.APPLIED))

    @requires(Capability.TRANSACTIONAL)
    async def test_a_rolled_back_transaction_leaves_nothing(
        self, adapter: Make[ChangeStore], transactions: Joined
    ) -> None:
        async with joined(adapter, transactions) as (store, unit):
            kept, other = (_request(number) for number in _ids()[:2])
            await store.add(kept)
            async with rolled_back(unit):
                await store.add(other)
                await store.replace(_next(kept, State.APPLIED))
            assert await store.get(kept.id) == kept
            with pytest.raises(ChangeNotFound):
                await store.get(other.id)
            async with unit.begin():
                await store.replace(_next(kept, State.APPLIED))
            assert (await store.get(kept.id)).state is State.APPLIED
