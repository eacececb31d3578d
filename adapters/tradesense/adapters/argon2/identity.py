"""Password hashing off the event loop, a bounded number at a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self, TypeVar

import argon2
from argon2.exceptions import HashingError, InvalidHashError, VerificationError, VerifyMismatchError
from argon2.low_level import error_to_str

from tradesense.adapters.argon2._imported import verifier
from tradesense.adapters.argon2.settings import Argon2Settings
from tradesense.core.errors import AdapterClosed, LimitExceeded, Unavailable
from tradesense.core.identity.ports import PasswordHasher
from tradesense.core.sensitive import Secret
from tradesense.plugins.manifest import AdapterContext

RETRY_SECONDS = 1.0
"""About what a full queue of the default settings takes."""

_MEMORY_ALLOCATION_ERROR, _THREAD_FAIL = -22, -33  # in the C library's argon2.h
_TOO_COSTLY = {error_to_str(code) for code in (_MEMORY_ALLOCATION_ERROR, _THREAD_FAIL)}
"""What the library says when the machine is at its end; everything else is the hash's fault."""

MOST_MEMORY, MOST_PASSES, MOST_LANES = 262_144, 16, 16
"""KiB, passes and lanes of a hash that another system made."""

T = TypeVar("T")


class Argon2Hasher:
    """argon2id (RFC 9106) in threads of its own. See :class:`PasswordHasher`.

    A caller that is cancelled while it waits gives its place up; one that is being served lets its thread finish.
    """

    def __init__(self, settings: Argon2Settings) -> None:
        self._settings = settings
        self._hasher = argon2.PasswordHasher(
            time_cost=settings.time_cost,
            memory_cost=settings.memory_cost,
            parallelism=settings.parallelism,
            type=argon2.Type.ID,
        )
        self._executor: ThreadPoolExecutor | None = None
        self._places = _Places(settings.workers + settings.queue)

    async def __aenter__(self) -> Self:
        self._executor = ThreadPoolExecutor(self._settings.workers, thread_name_prefix="argon2")
        return self

    async def __aexit__(self, *_: object) -> None:
        executor, self._executor = self._executor, None
        if executor is not None:
            await asyncio.to_thread(executor.shutdown)

    def readable(self, hashed: Secret) -> bool:
        """See :meth:`PasswordHasher.readable`."""
        text = _text(hashed)
        return text is not None and (verifier(text) is not None or self._affordable(text))

    async def hash(self, password: Secret) -> Secret:
        """See :meth:`PasswordHasher.hash`.

        :raises Unavailable: there is not enough memory.
        """
        return await self._run(lambda: self._hash(password))

    async def verify(self, hashed: Secret, password: Secret) -> bool:
        """See :meth:`PasswordHasher.verify`.

        :raises Unavailable: there is not enough memory.
        """
        return await self._run(lambda: self._verify(hashed, password))

    def outdated(self, hashed: Secret) -> bool:
        """See :meth:`PasswordHasher.outdated`."""
        text = _text(hashed)
        if text is None:
            return True
        try:
            return self._hasher.check_needs_rehash(text)
        except InvalidHashError:
            return True

    def _hash(self, password: Secret) -> Secret:
        try:
            return Secret(self._hasher.hash(password.reveal_bytes()))
        except HashingError as error:
            raise Unavailable("the password cannot be hashed now", origin="argon2", mend="see the memory") from error

    def _verify(self, hashed: Secret, password: Secret) -> bool:
        text = _text(hashed)
        if text is None:
            return False
        if (verify := verifier(text)) is not None:
            return verify(password.reveal_bytes())
        if not self._affordable(text):
            return False
        try:
            return self._hasher.verify(text, password.reveal_bytes())
        except (VerifyMismatchError, InvalidHashError):
            return False
        except VerificationError as error:
            if str(error) not in _TOO_COSTLY:
                return False
            raise Unavailable("the password cannot be checked now", origin="argon2", mend="see the memory") from error

    def _affordable(self, text: str) -> bool:
        """Whether checking a hash costs no more than a multiple of what ours do: it may be another system's."""
        try:
            found = argon2.extract_parameters(text)
        except InvalidHashError:
            return False
        ours = self._settings
        return (
            found.memory_cost <= max(MOST_MEMORY, ours.memory_cost)
            and found.time_cost <= max(MOST_PASSES, ours.time_cost)
            and found.parallelism <= max(MOST_LANES, ours.parallelism)
        )

    async def _run(self, work: Callable[[], T]) -> T:
        if self._executor is None:
            raise AdapterClosed("Argon2Hasher is not open", mend="use it inside its `async with`")
        if not self._places.take():
            raise LimitExceeded("too many passwords wait already", retry_after=RETRY_SECONDS, origin="argon2")
        future = self._executor.submit(work)
        future.add_done_callback(self._places.free)
        return await asyncio.wrap_future(future)


class _Places:
    """Counts who is being served or waits; places are freed in the threads that served them."""

    def __init__(self, count: int) -> None:
        self._free = threading.BoundedSemaphore(count)

    def take(self) -> bool:
        return self._free.acquire(blocking=False)

    def free(self, _: Future[T]) -> None:
        self._free.release()


def _text(hashed: Secret) -> str | None:
    try:
        text = hashed.reveal()
    except UnicodeDecodeError:
        return None
    return text if text.isascii() else None


def hasher(settings: Argon2Settings, context: AdapterContext) -> Argon2Hasher:  # noqa: ARG001  # every factory takes both
    """The factory."""
    return Argon2Hasher(settings)


_: type[PasswordHasher] = Argon2Hasher
