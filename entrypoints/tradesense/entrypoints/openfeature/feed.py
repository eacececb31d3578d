"""What a server says of its definitions: all of them, and that they have changed. Its methods block."""

from __future__ import annotations

import socket
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from tradesense.core.flags.models import Flag, Segment, StoredFlag

OK = 200
PAGE = 1000
SILENCE_SECONDS = 30.0
"""A stream that says nothing for so long is dead; a server says something every ten seconds."""
EVENT = b"data:"

Key = Callable[[], str]
R = TypeVar("R")


class FeedError(Exception):
    """The server does not answer, or not with definitions. The text says why, and holds no key."""


class _FlagRow(Flag, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """A flag as the server lists it."""

    revision: int
    updated_at: datetime


class _SegmentRow(Segment, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """A segment as the server lists it."""


class _Page(msgspec.Struct, frozen=True):
    items: list[msgspec.Raw]
    cursor: str | None = None


class Feed:
    """A server's definitions.

    :param key: gives an API key, or an access token, each time that one is needed.
    """

    def __init__(self, url: str, key: Key, *, timeout: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{url!r} is not the address of a server: write it as in https://flags.example.com")
        self._host, self._port, self._tls = parts.hostname, parts.port, parts.scheme == "https"
        self._path = parts.path.rstrip("/")
        self._key = key
        self._timeout = timeout
        self._listening: socket.socket | None = None

    def close(self) -> None:
        """Let who listens hear no more, at once."""
        if (listening := self._listening) is not None:
            with suppress(OSError):  # the server may have closed it already
                listening.shutdown(socket.SHUT_RDWR)

    def read(self) -> tuple[list[StoredFlag], list[Segment]]:
        """All definitions.

        :raises FeedError: they could not be had.
        """
        with _told():
            flags = [
                StoredFlag(flag=Flag(**_fields(Flag, row)), revision=row.revision, updated_at=row.updated_at)
                for row in self._rows("/api/v1/flags", _FlagRow)
            ]
            segments = [Segment(**_fields(Segment, row)) for row in self._rows("/api/v1/segments", _SegmentRow)]
        return flags, segments

    @contextmanager
    def changes(self) -> Generator[Iterator[None]]:
        """Listen: the body is entered once nothing can be missed any more, and each item is a change.

        :raises FeedError: the server cannot be listened to, or no more.
        """
        with _told():
            connection = self._connection(SILENCE_SECONDS)
            try:
                connection.connect()
                self._listening = connection.sock
                answer = self._asked(connection, "/ofrep/v1/events")
                answer.readline()
                yield _events(answer)
            finally:
                self._listening = None
                connection.close()

    def _rows(self, path: str, kind: type[R]) -> Iterator[R]:
        cursor: str | None = None
        while True:
            connection = self._connection(self._timeout)
            try:
                more = f"&cursor={quote(cursor, safe='')}" if cursor else ""
                body = self._asked(connection, f"{path}?limit={PAGE}{more}").read()
            finally:
                connection.close()
            page = msgspec.json.decode(body, type=_Page)
            for item in page.items:
                yield msgspec.json.decode(item, type=kind)
            if (cursor := page.cursor) is None:
                return

    def _connection(self, timeout: float) -> HTTPConnection:
        kind = HTTPSConnection if self._tls else HTTPConnection
        return kind(self._host, self._port, timeout=timeout)

    def _asked(self, connection: HTTPConnection, path: str) -> HTTPResponse:
        connection.request("GET", self._path + path, headers={"Authorization": f"Bearer {self._key()}"})
        answer = connection.getresponse()
        if answer.status != OK:
            raise FeedError(f"the server answered {answer.status} {answer.reason} to {path.partition('?')[0]}")
        return answer


def _events(answer: HTTPResponse) -> Iterator[None]:
    """Each event of a stream; it ends with an error, as a server's stream never ends well."""
    while line := answer.readline():
        if line.startswith(EVENT):
            yield None
    raise FeedError("the server ended the stream")


@contextmanager
def _told() -> Generator[None]:
    try:
        yield
    except (OSError, HTTPException) as error:
        raise FeedError(f"the server does not answer: {type(error).__name__}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise FeedError(f"the server's definitions cannot be read: {error}") from error


def _fields(kind: type[msgspec.Struct], row: object) -> dict[str, Any]:
    return {name: getattr(row, name) for name in kind.__struct_fields__}
