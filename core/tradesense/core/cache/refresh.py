"""What a factory is told, and what it may say of the value that it makes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from msgspec.structs import replace

from tradesense.core.cache.options import EntryOptions

T = TypeVar("T")


class Refresh(Generic[T]):
    """One making of one value. The factory may change ``options``, ``tags``, ``etag`` and ``modified``."""

    def __init__(
        self,
        key: str,
        options: EntryOptions,
        tags: tuple[str, ...],
        *,
        stale: T | None = None,
        has_stale: bool = False,
        stale_etag: str = "",
        stale_modified: str = "",
    ) -> None:
        self.key = key
        self.options = options
        self.tags = tags
        self.stale = stale
        """The value that is to be replaced; only kept beyond its ``ttl`` by ``fail_safe``."""
        self.has_stale = has_stale
        self.stale_etag = stale_etag
        """What to ask the source with, as ``If-None-Match`` (RFC 9110, section 13.1.2)."""
        self.stale_modified = stale_modified
        """The same as ``If-Modified-Since`` (RFC 9110, section 13.1.3)."""
        self.etag = ""
        """``ETag`` of the new value, to be kept with it."""
        self.modified = ""
        """``Last-Modified`` of the new value, to be kept with it."""
        self.keep = True
        """Whether the value is kept at all."""

    @property
    def ttl(self) -> float:
        """Seconds that the new value will live."""
        return self.options.ttl

    @ttl.setter
    def ttl(self, seconds: float) -> None:
        self.options = replace(self.options, ttl=seconds)

    def not_modified(self) -> T | None:
        """What to return when the source says that the stale value still holds: it begins a new life.

        :raises LookupError: there is no stale value.
        """
        if not self.has_stale:
            raise LookupError("there is no stale value that could still hold")
        self.etag = self.etag or self.stale_etag
        self.modified = self.modified or self.stale_modified
        return self.stale


Factory = Callable[[Refresh[T]], Awaitable[T | None]]
