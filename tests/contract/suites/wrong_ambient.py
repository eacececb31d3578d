"""Clocks, random sources and identifiers that are wrong on purpose."""

from __future__ import annotations

import itertools
import random
import time
import uuid
from datetime import timedelta, timezone
from random import Random as Mersenne

import pytest

from tradesense.adapters.system.ambient import SystemClock, SystemRandom, Uuid7Ids
from tradesense.core.testing import ClockContract, IdsContract, RandomContract


class OfTheHost:
    @pytest.fixture
    def adapter(self):
        return self.Adapter


class TestRightClock(OfTheHost, ClockContract):
    Adapter = SystemClock


class TestNaiveClock(OfTheHost, ClockContract):
    caught_by = ("test_now_is_aware_and_in_utc", "test_now_is_the_present")

    class Adapter(SystemClock):
        def now(self):
            return super().now().replace(tzinfo=None)


class TestLocalClock(OfTheHost, ClockContract):
    caught_by = ("test_now_is_aware_and_in_utc",)

    class Adapter(SystemClock):
        def now(self):
            return super().now().astimezone(timezone(timedelta(hours=2), "CEST"))


class TestLateClock(OfTheHost, ClockContract):
    caught_by = ("test_now_is_the_present",)

    class Adapter(SystemClock):
        def now(self):
            return super().now() - timedelta(hours=1)


class TestClockInMilliseconds(OfTheHost, ClockContract):
    caught_by = ("test_monotonic_advances_in_seconds",)

    class Adapter(SystemClock):
        def monotonic(self):
            return super().monotonic() * 1000


class TestClockThatGoesBack(OfTheHost, ClockContract):
    caught_by = ("test_monotonic_never_goes_back",)

    class Adapter(SystemClock):
        def monotonic(self):
            return time.time() - random.random()


class TestRightRandom(OfTheHost, RandomContract):
    Adapter = SystemRandom


class TestSeededRandom(OfTheHost, RandomContract):
    caught_by = ("test_no_value_comes_twice",)

    class Adapter:
        def __init__(self):
            self._source = Mersenne(0)

        def bytes(self, count):
            return self._source.randbytes(count)


class TestShortRandom(OfTheHost, RandomContract):
    caught_by = ("test_as_many_bytes_come_as_were_asked_for",)

    class Adapter(SystemRandom):
        def bytes(self, count):
            return super().bytes(min(count, 4096))


class TestTextRandom(OfTheHost, RandomContract):
    """As who draws letters: a quarter of the bits is lost."""

    caught_by = ("test_every_bit_is_as_often_set_as_not",)

    class Adapter(SystemRandom):
        def bytes(self, count):
            return super().bytes(count).hex().encode()[:count]


class TestRandomOfTheSecond(OfTheHost, RandomContract):
    caught_by = ("test_no_value_comes_twice", "test_no_value_comes_twice_in_threads")

    class Adapter:
        def bytes(self, count):
            return Mersenne(int(time.time())).randbytes(count)


class OfUuids(IdsContract):
    new = staticmethod(lambda: str(uuid.uuid4()))

    @pytest.fixture
    def adapter(self):
        class Ids:
            new = staticmethod(self.new)

        return Ids


class TestRightIds(OfTheHost, IdsContract):
    @staticmethod
    def Adapter():  # it stands where the others have a class
        return Uuid7Ids(SystemClock(), SystemRandom())


class TestVersion4(OfUuids):
    caught_by = (
        "test_an_id_is_a_uuid_version_7_in_its_canonical_form",
        "test_an_id_tells_the_millisecond_of_its_birth",
        "test_ids_sort_by_birth",
    )


def version_7(milliseconds, tail):
    return str(
        uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | (tail >> 62 & 0xFFF) << 64 | 0b10 << 62 | tail % (1 << 62))
    )


class TestDoesNotSortWithinAMillisecond(OfUuids):
    caught_by = ("test_ids_sort_by_birth",)
    new = staticmethod(lambda: version_7(time.time_ns() // 1_000_000, random.getrandbits(74)))


class TestCountsUp(OfUuids):
    """Unique and sorted, and everyone can tell the next."""

    caught_by = ("test_the_tail_of_an_id_is_random",)
    counter = itertools.count()
    new = staticmethod(lambda: version_7(time.time_ns() // 1_000_000, next(TestCountsUp.counter)))


class TestTellsMicroseconds(OfUuids):
    caught_by = ("test_an_id_tells_the_millisecond_of_its_birth",)
    new = staticmethod(lambda: version_7(time.time_ns() // 1000 % (1 << 48), random.getrandbits(74)))


class TestWritesCapitals(OfUuids):
    caught_by = ("test_an_id_is_a_uuid_version_7_in_its_canonical_form",)
    new = staticmethod(lambda: version_7(time.time_ns() // 1_000_000, random.getrandbits(74)).upper())


class TestRepeatsWithinAMillisecond(OfUuids):
    caught_by = ("test_no_id_comes_twice", "test_no_id_comes_twice_in_threads")
    new = staticmethod(lambda: version_7(time.time_ns() // 1_000_000, Mersenne(int(time.time())).getrandbits(74)))
