"""Time, randomness and identifiers from the host."""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime, timedelta

from tradesense.core.ambient import Clock, Ids, Random
from tradesense.plugins.manifest import AdapterContext, NoSettings

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_TAIL_BITS = 74
"""``rand_a`` and ``rand_b`` together (RFC 9562, section 5.7)."""
_TAIL_BYTES = 10
_STEP_BYTES = 4


class SystemClock:
    """See :class:`Clock`."""

    def now(self) -> datetime:
        """See :meth:`Clock.now`."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """See :meth:`Clock.monotonic`."""
        return time.monotonic()


class SystemRandom:
    """The operating system's source (ASVS 11.5.1). See :class:`Random`."""

    def bytes(self, count: int) -> bytes:
        """See :meth:`Random.bytes`."""
        return os.urandom(count)


class Uuid7Ids:
    """UUID version 7 with a random tail. See :class:`Ids`.

    Within one process each is greater than the one before, also within a millisecond and while the clock is set back:
    then the tail grows by a random step (RFC 9562, section 6.2, method 2). It may be used from several threads.
    """

    def __init__(self, clock: Clock, random: Random) -> None:
        self._clock = clock
        self._random = random
        self._lock = threading.Lock()
        self._last = 0
        """The last time and tail as one number."""

    def new(self) -> str:
        """See :meth:`Ids.new`."""
        milliseconds = (self._clock.now() - _EPOCH) // _MILLISECOND
        # The tail's first bit starts as 0, so that steps do not run over into the time.
        tail = int.from_bytes(self._random.bytes(_TAIL_BYTES)) & ((1 << _TAIL_BITS - 1) - 1)
        step = 1 + (tail & ((1 << 8 * _STEP_BYTES) - 1))
        with self._lock:
            self._last = max(milliseconds << _TAIL_BITS | tail, self._last + step)
            value = self._last
        digits = f"{_with_version(value):032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _with_version(value: int) -> int:
    """Insert version 7 and variant ``10`` into the 122 bits of time and tail."""
    time_part, rand_a, rand_b = value >> _TAIL_BITS, value >> 62 & 0xFFF, value & ((1 << 62) - 1)
    return time_part << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b


def clock(_: NoSettings, context: AdapterContext) -> SystemClock:  # noqa: ARG001  # every factory takes both
    """The factory."""
    return SystemClock()


def random(_: NoSettings, context: AdapterContext) -> SystemRandom:  # noqa: ARG001  # every factory takes both
    """The factory."""
    return SystemRandom()


def ids(_: NoSettings, context: AdapterContext) -> Uuid7Ids:
    """The factory."""
    return Uuid7Ids(context.clock, context.random)


_: type[Clock] = SystemClock
_random: type[Random] = SystemRandom
_ids: type[Ids] = Uuid7Ids
