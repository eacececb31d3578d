"""What the processes tell each other: these keys have changed, these tags are no longer good."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from tradesense.core.cache.link import Link
from tradesense.core.cache.ports import Backplane
from tradesense.core.errors import BackplaneUnavailable

TOPIC = "tradesense.cache"
VERSION = 1
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two attempts to subscribe."""


class Notice(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """One message."""

    version: int
    origin: str
    """The process that sent it, which passes over its own."""
    stamp: float
    keys: dict[str, float] = {}
    """What has changed, and when."""
    tags: dict[str, float] = {}


_decoder = msgspec.msgpack.Decoder(Notice)


class Notices:
    """Sends and receives. Sending never raises :class:`BackplaneUnavailable`."""

    def __init__(
        self,
        backplane: Backplane,
        *,
        origin: str,
        now: Callable[[], float],
        heard: Callable[[Notice], None],
        missed: Callable[[], None],
    ) -> None:
        self._backplane = backplane
        self._origin = origin
        self._heard = heard
        self._missed = missed
        self.link = Link(now)
        self.unreadable = 0
        self.listening = False
        """Whether what others say is heard now."""

    async def tell(
        self,
        stamp: float,
        *,
        keys: Mapping[str, float] | None = None,
        tags: Mapping[str, float] | None = None,
        again: bool = False,
    ) -> bool:
        """Tell every other process; ``False`` when it could not be said.

        :param again: try even while the backplane is known to be away.
        """
        notice = Notice(version=VERSION, origin=self._origin, stamp=stamp, keys=dict(keys or {}), tags=dict(tags or {}))
        if not again and not self.link.usable():
            return False
        try:
            await self._backplane.publish(TOPIC, msgspec.msgpack.encode(notice))
        except BackplaneUnavailable as error:
            self.link.failed(error.detail)
            return False
        self.link.worked()
        return True

    async def listen(self, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Receive until cancelled. A subscription that was lost is taken up again, and counts as messages missed."""
        wait = FIRST_PAUSE
        while True:
            try:
                async with self._backplane.subscribe(TOPIC) as messages:
                    self.link.worked()
                    self._missed()
                    self.listening, wait = True, FIRST_PAUSE
                    async for message in messages:
                        self._receive(message)
            except BackplaneUnavailable as error:
                self.link.failed(error.detail)
            finally:
                self.listening = False
            await pause(wait)
            wait = min(wait * 2, LONGEST_PAUSE)

    def _receive(self, message: bytes) -> None:
        try:
            notice = _decoder.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError, OverflowError):
            self.unreadable += 1
            return
        if notice.version != VERSION:
            # Whatever a later release meant, something has changed.
            self._missed()
        elif notice.origin != self._origin:
            self._heard(notice)
