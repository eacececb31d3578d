"""Time, randomness and identifiers from the host."""

from __future__ import annotations

import threading
import uuid
from datetime import UTC, datetime, timedelta

from tradesense.adapters.system.ambient import SystemClock, SystemRandom, Uuid7Ids

BIRTH = datetime(2026, 1, 1, 12, 0, 0, 123_999, tzinfo=UTC)


class Steps:
    """A clock that is set, and a source that gives the same bytes again and again."""

    def __init__(self, byte: int = 0xFF) -> None:
        self.at = BIRTH
        self.byte = byte

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return 0.0

    def bytes(self, count: int) -> bytes:
        return bytes([self.byte]) * count


def test_an_id_has_version_variant_and_the_milliseconds_of_its_birth():
    for byte in (0x00, 0x5A, 0xFF):
        steps = Steps(byte)
        text = Uuid7Ids(steps, steps).new()
        parsed = uuid.UUID(text)
        assert str(parsed) == text
        assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
        assert parsed.int >> 80 == int(BIRTH.timestamp() * 1000)


def test_ids_ascend_while_the_clock_stands_still_or_is_set_back():
    steps = Steps()
    ids = Uuid7Ids(steps, steps)
    found = [ids.new() for _ in range(1000)]
    steps.at -= timedelta(hours=1)
    found += [ids.new() for _ in range(1000)]
    steps.at += timedelta(hours=2)
    found += [ids.new() for _ in range(1000)]
    assert found == sorted(set(found))
    assert uuid.UUID(found[-1]).version == 7


def test_ids_of_several_threads_are_unique():
    ids = Uuid7Ids(SystemClock(), SystemRandom())
    found: list[list[str]] = [[] for _ in range(4)]

    def make(own: list[str]) -> None:
        own.extend(ids.new() for _ in range(2000))

    threads = [threading.Thread(target=make, args=(own,)) for own in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one for own in found for one in own}) == 8000
    assert all(own == sorted(own) for own in found)


def test_the_system_is_in_utc_and_random():
    assert SystemClock().now().utcoffset() == timedelta(0)
    assert SystemClock().monotonic() <= SystemClock().monotonic()
    assert len(SystemRandom().bytes(32)) == 32
    assert SystemRandom().bytes(32) != SystemRandom().bytes(32)
