"""Running what a plugin brings within bounds of time, and telling whose it was when that goes wrong."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeVar

import msgspec

from tradesense.core.errors import PluginFailed, PluginTimedOut, TradeSenseError

T = TypeVar("T")

MEND = "remove it or mend it"
OURS = "tradesense"
"""The name of our own distribution."""
MAX_TEXT = 200

_UNTIL: ContextVar[float | None] = ContextVar("tradesense_plugin_until", default=None)
"""When the patience with the plugin that is running now ends."""

_EARLIER = 0.9
"""What a plugin has another one do gets this part of the time that is left, so that the one that hangs is named."""


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """Whose code it is."""

    plugin: str
    """The plugin's entry-point name."""
    distribution: str
    version: str

    @property
    def ours(self) -> bool:
        """Whether it is part of the platform itself."""
        return self.distribution == OURS

    @property
    def origin(self) -> str:
        """Distribution and version, for errors."""
        return f"{self.distribution} {self.version}"

    def failed(self, error: BaseException, *, doing: str = "") -> TradeSenseError:
        """``error`` itself when it is ours; else one that tells its type alone, as its text may hold a secret."""
        if isinstance(error, TradeSenseError):
            return error
        place = f" while it {doing}" if doing else ""
        return PluginFailed(
            f"plugin {self.plugin!r} raised {type(error).__name__}{place}", origin=self.origin, mend=MEND
        )

    def timed_out(self, what: str, seconds: float) -> PluginTimedOut:
        """The error about a plugin that was to do ``what`` and did not answer."""
        return PluginTimedOut(
            f"plugin {self.plugin!r} did not {what} within {seconds:.2g} s", origin=self.origin, mend=MEND
        )


def bounded(
    work: Callable[[], T],
    owner: Owner,
    what: str,
    *,
    seconds: float,
    failed: Callable[[BaseException], TradeSenseError],
) -> T:
    """Do ``work`` in a thread of its own, so that a plugin that hangs cannot keep the platform from saying so.

    What is part of the platform is done as it is: on a busy machine its imports may take longer, and nobody could
    remove or mend it.

    :param what: what the plugin was to do, as in ``load``.
    :param failed: the error to raise for what ``work`` raised, ``SystemExit`` included.
    :raises PluginTimedOut: it took more than ``seconds``.
    """
    if owner.ours:
        try:
            return work()
        except (Exception, SystemExit) as error:  # noqa: BLE001  # as below
            raise _told(failed, error)  # noqa: B904  # its cause is set
    if (until := _UNTIL.get()) is not None:
        seconds = min(seconds, max(0.0, until - time.monotonic()) * _EARLIER)
    answers: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        _UNTIL.set(time.monotonic() + seconds)
        try:
            answers.append(work())
        except BaseException as error:  # noqa: BLE001  # a plugin may raise anything; it is reported below
            errors.append(error)

    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(run,), name=f"plugin-{owner.plugin}", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise owner.timed_out(what, seconds)
    if errors:
        raise _told(failed, errors[0])
    return answers[0]


def _told(failed: Callable[[BaseException], TradeSenseError], error: BaseException) -> TradeSenseError:
    told = failed(error)
    if told is not error:
        told.__cause__ = error
    return told


def short(error: BaseException) -> str:
    """The error's text on one line, for one that was raised before the plugin was told any setting."""
    return " ".join(str(error).split())[:MAX_TEXT]
