"""Being open or closed, for adapters that have nothing to connect to."""

from __future__ import annotations

from typing import Self

from tradesense.core.errors import AdapterClosed


class Lifecycle:
    """Opens and closes; :meth:`check_open` stands at the head of every method that a closed adapter refuses."""

    def __init__(self) -> None:
        self._open = False

    async def __aenter__(self) -> Self:
        self._open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self._open = False

    def check_open(self) -> None:
        """Go on only while the adapter is open.

        :raises AdapterClosed: it is not.
        """
        if not self._open:
            raise AdapterClosed(f"{type(self).__name__} is not open", mend="use it inside its `async with`")
