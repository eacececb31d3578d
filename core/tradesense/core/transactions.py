"""One transaction around several ports, so that a change and its audit row happen together or not at all."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol


class Transactions(Protocol):
    """Begins transactions that every transactional adapter of the same provider joins by itself.

    The transaction belongs to the task that began it. A task started inside does not join: its work is its own.
    Stores called outside any transaction commit each call by itself.
    """

    def begin(self) -> AbstractAsyncContextManager[None]:
        """Enter a transaction; leaving normally commits, leaving by an exception or a cancellation rolls all back.

        Inside a transaction of the same task, ``begin`` joins it: only the outermost commits.

        :raises DatabaseUnavailable: on entry, or on commit, in which case nothing was changed.
        """
        ...

    def after_commit(self, call: Callable[[], None]) -> None:
        """Call ``call`` once this task's transaction has committed, and never if it is rolled back.

        Outside any transaction it is called at once. It must be quick and must not raise. It is for hints, such as
        waking whoever would look by itself a little later: a process that dies, or a task that is cancelled while it
        commits, does not call it.
        """
        ...
