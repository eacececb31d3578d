"""Flags and segments in a file that others write: read again when it has changed, never written."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Generic, Self, TypeVar

import msgspec

from tradesense.adapters.local._definitions import Content, DefinitionFile, Sign
from tradesense.adapters.local.settings import FlagFileSettings
from tradesense.core.errors import AdapterClosed, DatabaseUnavailable, InvalidFlag
from tradesense.core.flags.keys import check_key
from tradesense.core.flags.kinds import FLAG, SEGMENT, Kind
from tradesense.core.flags.models import Flag, Segment, Stored, StoredFlag, StoredSegment
from tradesense.core.flags.ports import FlagStore, SegmentStore
from tradesense.core.paging import Page, check_cursor
from tradesense.core.telemetry.models import Health, Status
from tradesense.core.telemetry.ports import HealthCheck
from tradesense.plugins.manifest import AdapterContext

D = TypeVar("D", bound=Flag | Segment)
S = TypeVar("S", bound=Stored)


class Watched:
    """The content of the file as it is now, or the last one that was good."""

    name = "flags file"
    essential = False

    def __init__(self, file: DefinitionFile) -> None:
        self._file = file
        self._seen: Sign | None = None
        self._content: Content | None = None
        self._turn = asyncio.Lock()
        self.fault = ""
        """What is wrong with the file as it is; empty where nothing is."""

    async def content(self) -> Content:
        """Look whether the file has changed, and read it if so.

        :raises DatabaseUnavailable: there never was a good one.
        """
        async with self._turn:
            await asyncio.to_thread(self._look)
        if self._content is None:
            raise DatabaseUnavailable(
                f"there are no flags: {self.fault}", origin="flags.file.path", mend="write a file that can be read"
            )
        return self._content

    async def check(self) -> Health:
        """See :meth:`HealthCheck.check`."""
        try:
            content = await self.content()
        except DatabaseUnavailable as error:
            return Health(name=self.name, status=Status.DOWN, detail=error.detail)
        if self.fault:
            detail = f"{self.fault}; what was read at {content.changed_at:%Y-%m-%dT%H:%M:%SZ} goes on"
            return Health(name=self.name, status=Status.DEGRADED, detail=detail)
        return Health(name=self.name, status=Status.UP, detail=self._file.place)

    def _look(self) -> None:
        seen = None
        try:
            seen = self._file.sign()
            if seen == self._seen:
                return
            # What is written while it is read has another sign afterwards, and is read again.
            content = self._file.read()
        except OSError as error:
            self._seen, self.fault = None, f"{self._file.place} cannot be read: {error.strerror or error}"
        except InvalidFlag as error:
            self._seen, self.fault = seen, f"{self._file.place} is not valid: {error}"
        else:
            self._seen, self._content, self.fault = seen, content, ""


class FileDefinitions(Generic[D, S]):
    """Definitions of one kind. See :class:`DefinitionStore`."""

    def __init__(self, watched: Watched, kind: Kind[D, S]) -> None:
        self._watched = watched
        self._kind = kind
        self._open = False

    async def __aenter__(self) -> Self:
        self._open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self._open = False

    async def get(self, key: str) -> S:
        """See :meth:`DefinitionStore.get`."""
        content = await self._content()
        row = self._rows(content).get(key)
        if row is None:
            raise self._kind.missing(key)
        return self._stored(row, content)

    async def list(self, *, cursor: str | None = None, limit: int = 100) -> Page[S]:
        """See :meth:`DefinitionStore.list`."""
        content = await self._content()
        check_cursor(cursor, check_key)
        rows = self._rows(content)
        keys = sorted(key for key in rows if cursor is None or key > cursor)
        items = tuple(self._stored(rows[key], content) for key in keys[:limit])
        return Page(items=items, cursor=keys[limit - 1] if len(keys) > limit else None)

    async def generation(self) -> int:
        """See :meth:`DefinitionStore.generation`. It is made of the content, and so the same in every process."""
        return (await self._content()).generation

    async def _content(self) -> Content:
        if not self._open:
            raise AdapterClosed(f"{type(self).__name__} is not open", mend="use it inside its `async with`")
        return await self._watched.content()

    def _rows(self, content: Content) -> Mapping[str, bytes]:
        return content.flags if self._kind.name == "flag" else content.segments

    def _stored(self, row: bytes, content: Content) -> S:
        """Made anew for each, as the values of variants could be changed by who was given them."""
        definition = msgspec.json.decode(row, type=self._kind.definition)
        stored = self._kind.revision(definition, revision=1, at=content.changed_at, by="")
        return msgspec.structs.replace(stored, revision=revision_of(stored.digest))


class FileFlagStore(FileDefinitions[Flag, StoredFlag]):
    """See :class:`FlagStore`."""

    def __init__(self, watched: Watched) -> None:
        super().__init__(watched, FLAG)


class FileSegmentStore(FileDefinitions[Segment, StoredSegment]):
    """See :class:`SegmentStore`."""

    def __init__(self, watched: Watched) -> None:
        super().__init__(watched, SEGMENT)


REVISION_DIGITS = 12


def revision_of(digest: str) -> int:
    """A number for a definition that nobody counts the revisions of: the same in every process, 1 at least."""
    return int(digest[:REVISION_DIGITS], 16) or 1


def _watched(settings: FlagFileSettings, context: AdapterContext) -> Watched:
    def make() -> Watched:
        made = Watched(DefinitionFile(settings))
        context.watch(made)
        return made

    return context.share(("flags.file", settings), make)


def flag_store(settings: FlagFileSettings, context: AdapterContext) -> FileFlagStore:
    """The factory of the flags."""
    return FileFlagStore(_watched(settings, context))


def segment_store(settings: FlagFileSettings, context: AdapterContext) -> FileSegmentStore:
    """The factory of the segments."""
    return FileSegmentStore(_watched(settings, context))


_: type[FlagStore] = FileFlagStore
_segments: type[SegmentStore] = FileSegmentStore
_check: type[HealthCheck] = Watched
