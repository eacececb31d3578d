"""The contract of :class:`ExperimentStore`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tradesense.core.capabilities import Capability
from tradesense.core.errors import DatabaseUnavailable
from tradesense.core.flags.models import Conversion, Exposure, Tallies, Tally
from tradesense.core.flags.ports import ExperimentStore
from tradesense.core.testing.base import Contract, Joined, Make, fresh, joined, opened, requires, together
from tradesense.core.testing.checks import Calls, interrupt, refuse_when_closed, refuse_when_unreachable, rolled_back

SUBJECT = "Zürich ☃ 漢字 𝄞 \r\n\t \"'\\ e\u0301"
BEGAN = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
METRIC = "bought"
CALLS: Calls = {
    "expose": lambda store: store.expose(_shown("f", "a", "u")),
    "convert": lambda store: store.convert(_did("f", "u")),
    "metrics": lambda store: store.metrics("f"),
    "tally": lambda store: store.tally("f", METRIC),
}


def _shown(flag: str, variant: str, *people: str, after: float = 0) -> list[Exposure]:
    at = BEGAN + timedelta(seconds=after)
    return [Exposure(flag=flag, variant=variant, targeting_key=person, at=at) for person in people]


def _did(flag: str, *people: str, metric: str = METRIC, after: float = 1) -> list[Conversion]:
    at = BEGAN + timedelta(seconds=after)
    return [Conversion(flag=flag, metric=metric, targeting_key=person, at=at) for person in people]


def _tallies(mixed: int = 0, **counts: tuple[int, int]) -> Tallies:
    return Tallies(
        variants=tuple(
            Tally(variant=variant, exposed=exposed, converted=converted)
            for variant, (exposed, converted) in counts.items()
        ),
        mixed=mixed,
    )


class ExperimentStoreContract(Contract):
    """What every :class:`ExperimentStore` must do."""

    port = ExperimentStore

    @pytest.fixture
    def unreachable(self) -> Make[ExperimentStore] | None:
        """Override this where there is a server: like ``adapter``, with nothing answering at the other end."""
        return None

    async def test_people_are_counted_by_variant(self, adapter: Make[ExperimentStore]) -> None:
        async with opened(adapter()) as store:
            flag, other = fresh("flag"), fresh("flag")
            await store.expose([*_shown(flag, "b", "u1", "u2"), *_shown(flag, "a", "u3", SUBJECT, "u5")])
            await store.expose(_shown(other, "a", "u9"))
            await store.convert([*_did(flag, "u1", SUBJECT), *_did(other, "u2", "u9"), *_did(flag, "stranger")])
            assert await store.tally(flag, METRIC) == _tallies(a=(3, 1), b=(2, 1))
            assert await store.tally(other, METRIC) == _tallies(a=(1, 1))
            assert await store.tally(fresh("flag"), METRIC) == _tallies()

    async def test_who_comes_again_counts_once(self, adapter: Make[ExperimentStore]) -> None:
        async with opened(adapter()) as store:
            flag = fresh("flag")
            for _ in range(2):
                await store.expose(_shown(flag, "a", "u1", "u1", "u2"))
                await store.convert(_did(flag, "u1", "u1"))
            assert await store.tally(flag, METRIC) == _tallies(a=(2, 1))

    async def test_what_was_done_before_the_first_exposure_does_not_count(self, adapter: Make[ExperimentStore]) -> None:
        async with opened(adapter()) as store:
            flag = fresh("flag")
            await store.convert([*_did(flag, "early", after=-1), *_did(flag, "both", after=-1)])
            await store.convert(_did(flag, "same", after=0))
            await store.expose(_shown(flag, "a", "early", "both", "same"))
            assert await store.tally(flag, METRIC) == _tallies(a=(3, 1))
            await store.convert(_did(flag, "both", after=5))
            assert await store.tally(flag, METRIC) == _tallies(a=(3, 2))

    async def test_the_order_of_arrival_does_not_matter(self, adapter: Make[ExperimentStore]) -> None:
        async with opened(adapter()) as store:
            flag = fresh("flag")
            await store.convert(_did(flag, "u1", after=3))
            await store.convert(_did(flag, "u1", after=-3))
            await store.expose(_shown(flag, "a", "u1", after=9))
            assert await store.tally(flag, METRIC) == _tallies(a=(1, 0))
            await store.expose(_shown(flag, "a", "u1", after=2))
            await store.expose(_shown(flag, "a", "u1", after=8))
            assert await store.tally(flag, METRIC) == _tallies(a=(1, 1))

    async def test_who_was_shown_two_variants_is_left_out(self, adapter: Make[ExperimentStore]) -> None:
        async with opened(adapter()) as store:
            flag = fresh("flag")
            await store.expose([*_shown(flag, "a", "u1", "u2"), *_shown(flag, "b", "u2", "u3")])
            await store.expose(_shown(flag, "c", "u2"))
            await store.convert(_did(flag, "u1", "u2", "u3"))
            assert await store.tally(flag, METRIC) == _tallies(mixed=1, a=(1, 1), b=(1, 1))

    async def test_metrics_are_counted_apart(self, adapter: Make[ExperimentStore]) -> None:
        async with opened(adapter()) as store:
            flag = fresh("flag")
            await store.expose(_shown(flag, "a", "u1", "u2"))
            await store.convert([*_did(flag, "u1", metric="z"), *_did(flag, "u1", "u2", metric="B")])
            await store.convert(_did(fresh("flag"), "u1", metric="other"))
            assert list(await store.metrics(flag)) == ["B", "z"]
            assert await store.tally(flag, "z") == _tallies(a=(2, 1))
            assert await store.tally(flag, "B") == _tallies(a=(2, 2))
            assert await store.tally(flag, "never") == _tallies(a=(2, 0))

    async def test_nothing_to_take_is_no_error(self, adapter: Make[ExperimentStore]) -> None:
        async with opened(adapter()) as store:
            await store.expose(())
            await store.convert([])

    async def test_many_at_once_are_all_taken(self, adapter: Make[ExperimentStore]) -> None:
        async with opened(adapter()) as store:
            flag = fresh("flag")
            people = [f"u{number}" for number in range(1200)]

            async def take(number: int) -> None:
                # Each overlaps with its neighbours, and in another order.
                some = people[number * 100 : number * 100 + 200][:: 1 if number % 2 else -1]
                await store.expose(_shown(flag, "a", *some))
                await store.convert(_did(flag, *some[:1]))

            assert await together(12, take) == [None] * 12
            await store.expose(_shown(flag, "a", *people))
            await store.convert(_did(flag, *people))
            assert await store.tally(flag, METRIC) == _tallies(a=(1200, 1200))

    async def test_a_cancelled_call_takes_all_or_nothing(self, adapter: Make[ExperimentStore]) -> None:
        async with opened(adapter()) as store:
            flags: list[str] = []

            async def expose() -> None:
                flags.append(fresh("flag"))
                await store.expose(_shown(flags[-1], "a", *(f"u{number}" for number in range(100))))

            await interrupt(expose)
            await store.expose(_shown(fresh("flag"), "b", "after"))
            for flag in flags:
                assert (await store.tally(flag, METRIC)) in (_tallies(), _tallies(a=(100, 0))), "a part is missing"

    async def test_a_closed_store_says_so(self, adapter: Make[Any]) -> None:
        await refuse_when_closed(adapter(), CALLS)

    async def test_an_unreachable_store_is_unavailable(self, unreachable: Make[Any] | None) -> None:
        await refuse_when_unreachable(unreachable, DatabaseUnavailable, CALLS)

    @requires(Capability.PERSISTENT)
    async def test_what_was_taken_outlives_the_adapter(self, adapter: Make[ExperimentStore]) -> None:
        flag = fresh("flag")
        async with opened(adapter()) as store:
            await store.expose(_shown(flag, "a", "u1"))
            await store.convert(_did(flag, "u1"))
        async with opened(adapter()) as store:
            assert await store.tally(flag, METRIC) == _tallies(a=(1, 1))

    @requires(Capability.SHARED)
    async def test_two_stores_fill_one_record(self, adapter: Make[ExperimentStore]) -> None:
        async with opened(adapter()) as one, opened(adapter()) as two:
            flag = fresh("flag")
            await one.expose(_shown(flag, "a", "u1", "u2"))
            await two.expose(_shown(flag, "a", "u2", "u3"))
            await two.convert(_did(flag, "u1"))
            assert await one.tally(flag, METRIC) == _tallies(a=(3, 1))

    @requires(Capability.TRANSACTIONAL)
    async def test_a_rolled_back_transaction_leaves_nothing(
        self, adapter: Make[ExperimentStore], transactions: Joined
    ) -> None:
        async with joined(adapter, transactions) as (store, unit):
            flag = fresh("flag")
            await store.expose(_shown(flag, "a", "u1"))
            async with rolled_back(unit):
                await store.expose(_shown(flag, "a", "u2"))
                await store.convert(_did(flag, "u1"))
            async with unit.begin():
                await store.expose(_shown(flag, "a", "u3"))
            assert await store.tally(flag, METRIC) == _tallies(a=(2, 0))
