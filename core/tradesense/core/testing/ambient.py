"""The contracts of time, randomness and identifiers."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from tradesense.core.ambient import Clock, Ids, Random
from tradesense.core.testing.base import Contract, Make, opened

BETWEEN = timedelta(seconds=5)
"""How far a clock may be from the host's."""


class ClockContract(Contract):
    """What every :class:`Clock` must do."""

    port = Clock

    @pytest.fixture
    def present(self) -> Callable[[], datetime]:
        """Override this for a clock that does not show the host's time: a callable that gives what it must show."""
        return lambda: datetime.now(UTC)

    async def test_now_is_aware_and_in_utc(self, adapter: Make[Clock]) -> None:
        async with opened(adapter()) as clock:
            now = clock.now()
            assert now.tzinfo is UTC or now.utcoffset() == timedelta(0), "an instant must be in UTC"
            assert now.tzname() in {"UTC", "Z"}, "UTC all year, not a zone that happens to be at it today"

    async def test_now_is_the_present(self, adapter: Make[Clock], present: Callable[[], datetime]) -> None:
        async with opened(adapter()) as clock:
            assert abs(clock.now() - present()) < BETWEEN

    async def test_monotonic_never_goes_back(self, adapter: Make[Clock]) -> None:
        async with opened(adapter()) as clock:
            readings = [clock.monotonic() for _ in range(10_000)]
            assert all(isinstance(reading, float) for reading in readings)
            assert readings == sorted(readings)

    async def test_monotonic_advances_in_seconds(self, adapter: Make[Clock], present: Callable[[], datetime]) -> None:
        async with opened(adapter()) as clock:
            outer = present()
            begun = clock.monotonic()
            inner = present()
            await asyncio.sleep(0.05)
            least = (present() - inner).total_seconds()
            passed = clock.monotonic() - begun
            most = (present() - outer).total_seconds()
            assert least - 0.01 <= passed <= most + 0.01, "durations are in seconds"

    async def test_two_clocks_of_a_process_have_one_monotonic_time(self, adapter: Make[Clock]) -> None:
        async with opened(adapter()) as one, opened(adapter()) as other:
            readings = [clock.monotonic() for _ in range(100) for clock in (one, other)]
            assert readings == sorted(readings)


class RandomContract(Contract):
    """What every :class:`Random` must do. No test can tell that a source cannot be predicted, only that it could."""

    port = Random

    async def test_as_many_bytes_come_as_were_asked_for(self, adapter: Make[Random]) -> None:
        async with opened(adapter()) as random:
            for count in (1, 2, 16, 32, 1000, 1_048_576):
                got = random.bytes(count)
                assert isinstance(got, bytes)
                assert len(got) == count

    async def test_no_value_comes_twice(self, adapter: Make[Random]) -> None:
        async with opened(adapter()) as one, opened(adapter()) as other:
            values = [random.bytes(16) for random in (one, other) for _ in range(2000)]
            assert len(set(values)) == len(values), "two sources, or one asked twice, gave the same bytes"

    async def test_no_value_comes_twice_in_threads(self, adapter: Make[Random]) -> None:
        async with opened(adapter()) as random:
            with ThreadPoolExecutor(4) as threads:
                values = list(threads.map(random.bytes, [16] * 4000))
            assert len(set(values)) == len(values)

    async def test_every_bit_is_as_often_set_as_not(self, adapter: Make[Random]) -> None:
        async with opened(adapter()) as random:
            sample = random.bytes(65_536)
            for bit in range(8):
                ones = sum(byte >> bit & 1 for byte in sample)
                # Six standard deviations (128 each): one honest source in a hundred million fails.
                assert abs(ones - 32_768) < 768, f"bit {bit} is set {ones} times of 65,536"
            counts = [sample.count(bytes([value])) for value in range(256)]
            assert min(counts) > 128, "a byte value is too rare"
            assert max(counts) < 384, "a byte value is too frequent"


class IdsContract(Contract):
    """What every :class:`Ids` must do."""

    port = Ids

    @pytest.fixture
    def present(self) -> Callable[[], datetime]:
        """Override this for identifiers of another time than the host's: a callable that gives their present."""
        return lambda: datetime.now(UTC)

    async def test_an_id_is_a_uuid_version_7_in_its_canonical_form(self, adapter: Make[Ids]) -> None:
        async with opened(adapter()) as ids:
            for _ in range(100):
                text = ids.new()
                parsed = uuid.UUID(text)
                assert text == str(parsed), "36 characters, lower case, hyphens"
                assert parsed.version == 7
                assert parsed.variant == uuid.RFC_4122

    async def test_an_id_tells_the_millisecond_of_its_birth(
        self, adapter: Make[Ids], present: Callable[[], datetime]
    ) -> None:
        async with opened(adapter()) as ids:
            born = datetime.fromtimestamp((uuid.UUID(ids.new()).int >> 80) / 1000, UTC)
            assert abs(born - present()) < BETWEEN

    async def test_ids_sort_by_birth(self, adapter: Make[Ids]) -> None:
        async with opened(adapter()) as ids:
            made = [ids.new() for _ in range(5000)]
            assert made == sorted(made)

    async def test_no_id_comes_twice(self, adapter: Make[Ids]) -> None:
        async with opened(adapter()) as one, opened(adapter()) as other:
            made = [ids.new() for _ in range(5000) for ids in (one, other)]
            assert len(set(made)) == len(made)

    async def test_no_id_comes_twice_in_threads(self, adapter: Make[Ids]) -> None:
        async with opened(adapter()) as ids:
            with ThreadPoolExecutor(4) as threads:
                made = [each.result() for each in [threads.submit(ids.new) for _ in range(4000)]]
            assert len(set(made)) == len(made)

    async def test_the_tail_of_an_id_is_random(self, adapter: Make[Ids]) -> None:
        async with opened(adapter()) as one, opened(adapter()) as other:
            tails = {uuid.UUID(ids.new()).int & ((1 << 62) - 1) for ids in (one, other) for _ in range(100)}
            bits = [sum(tail >> bit & 1 for tail in tails) for bit in range(62)]
            assert len(tails) == 200
            assert all(0 < ones < 200 for ones in bits[:32]), "the tail of an id is not random"
