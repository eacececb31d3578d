"""The contract of :class:`ExposureSink`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tradesense.core.capabilities import Capability
from tradesense.core.errors import DatabaseUnavailable
from tradesense.core.flags.models import Exposure
from tradesense.core.flags.ports import ExposureSink
from tradesense.core.testing.base import Contract, Joined, Make, fresh, joined, opened, requires, together
from tradesense.core.testing.checks import interrupt, refuse_when_closed, refuse_when_unreachable, rolled_back

SUBJECT = "Zürich ☃ 漢字 𝄞 \r\n\t \"'\\ e\u0301"
Recorded = Callable[[Any], Awaitable[Sequence[Exposure]]]
"""What the fixture ``recorded`` returns: for a sink, the exposures that it has taken."""


class ExposureSinkContract(Contract):
    """What every :class:`ExposureSink` must do. Override ``recorded`` where the exposures can be read back."""

    port = ExposureSink

    @pytest.fixture
    def recorded(self) -> Recorded | None:
        """Override this: return a callable that takes a sink and waits for the exposures that it has taken."""
        return None

    @pytest.fixture
    def unreachable(self) -> Make[ExposureSink] | None:
        """Override this where there is a server: like ``adapter``, with nothing answering at the other end."""
        return None

    async def test_every_exposure_is_taken(self, adapter: Make[ExposureSink], recorded: Recorded | None) -> None:
        async with opened(adapter()) as sink:
            exposures = _exposures(3, targeting_key=SUBJECT)
            await sink.record(exposures[:2])
            await sink.record(exposures[2:])
            await self._holds(recorded, sink, exposures)

    async def test_the_same_exposure_twice_is_two(self, adapter: Make[ExposureSink], recorded: Recorded | None) -> None:
        async with opened(adapter()) as sink:
            (one,) = _exposures(1)
            await sink.record([one, one])
            await sink.record([one])
            await self._holds(recorded, sink, [one] * 3)

    async def test_nothing_to_record_is_no_error(self, adapter: Make[ExposureSink]) -> None:
        async with opened(adapter()) as sink:
            await sink.record([])
            await sink.record(())

    async def test_many_at_once_are_all_taken(self, adapter: Make[ExposureSink], recorded: Recorded | None) -> None:
        async with opened(adapter()) as sink:
            exposures = _exposures(1000)
            assert await together(50, lambda at: sink.record(exposures[at * 20 : at * 20 + 20])) == [None] * 50
            await self._holds(recorded, sink, exposures)

    async def test_a_cancelled_record_takes_all_or_nothing(
        self, adapter: Make[ExposureSink], recorded: Recorded | None
    ) -> None:
        async with opened(adapter()) as sink:
            exposures = _exposures(100)
            await interrupt(lambda: sink.record(exposures))
            after = _exposures(1)
            await sink.record(after)
            await self._holds(recorded, sink, after)
            if recorded is not None:
                taken = [one for one in await recorded(sink) if one.flag == exposures[0].flag]
                counts = {taken.count(one) for one in exposures}
                assert len(counts) == 1, "a part of what was recorded at once is missing"

    async def test_a_closed_sink_says_so(self, adapter: Make[Any]) -> None:
        await refuse_when_closed(adapter(), {"record": lambda sink: sink.record(_exposures(1))})

    async def test_an_unreachable_sink_is_unavailable(self, unreachable: Make[Any] | None) -> None:
        await refuse_when_unreachable(
            unreachable, DatabaseUnavailable, {"record": lambda sink: sink.record(_exposures(1))}
        )

    @requires(Capability.PERSISTENT)
    async def test_what_was_taken_outlives_the_adapter(
        self, adapter: Make[ExposureSink], recorded: Recorded | None
    ) -> None:
        exposures = _exposures(3)
        async with opened(adapter()) as sink:
            await sink.record(exposures)
        async with opened(adapter()) as sink:
            await self._holds(recorded, sink, exposures)

    @requires(Capability.SHARED)
    async def test_two_sinks_fill_one_record(self, adapter: Make[ExposureSink], recorded: Recorded | None) -> None:
        async with opened(adapter()) as one, opened(adapter()) as two:
            exposures = _exposures(2)
            await one.record(exposures[:1])
            await two.record(exposures[1:])
            await self._holds(recorded, one, exposures)

    @requires(Capability.TRANSACTIONAL)
    async def test_a_rolled_back_transaction_leaves_nothing(
        self, adapter: Make[ExposureSink], transactions: Joined, recorded: Recorded | None
    ) -> None:
        async with joined(adapter, transactions) as (sink, unit):
            lost, kept = _exposures(2), _exposures(2)
            async with rolled_back(unit):
                await sink.record(lost)
            async with unit.begin():
                await sink.record(kept)
            await self._holds(recorded, sink, kept)
            if recorded is not None:
                assert lost[0] not in await recorded(sink)

    async def _holds(self, recorded: Recorded | None, sink: ExposureSink, expected: Sequence[Exposure]) -> None:
        """The sink has taken exactly ``expected`` of their flag."""
        if recorded is not None:
            taken = [one for one in await recorded(sink) if one.flag == expected[0].flag]
            assert sorted(map(repr, taken)) == sorted(map(repr, expected))


def _exposures(count: int, targeting_key: str = "someone") -> list[Exposure]:
    """Exposures of a flag that no other test has."""
    key, began = fresh("flag"), datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    return [
        Exposure(flag=key, variant="a", targeting_key=f"{targeting_key} {number}", at=began + timedelta(seconds=number))
        for number in range(count)
    ]
