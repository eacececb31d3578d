"""Anchors: where the audit trail ended, a line for each time, in a file that is not in the database.

Whoever owns the database can cut the trail's tail off and set its head back, and what is left is a whole chain. Only
somebody who remembers how far it went can tell.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import msgspec

from tradesense.core.acting import as_system
from tradesense.core.ambient import Clock
from tradesense.core.audit.models import STREAM, AuditHead, Verification
from tradesense.core.audit.service import AuditTrail
from tradesense.core.errors import AuditChainBroken, AuditUnavailable
from tradesense.core.jobs.service import Jobs, Periodic
from tradesense.settings.schema import AuditSettings

ANCHOR_SECONDS = 60.0
JOB = "audit.anchor"

LONGEST_LINE = 1024

log = logging.getLogger("tradesense.audit")


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the file, as a JSON object."""

    seq: int
    hash: str
    """In hexadecimal."""
    at: datetime


class Anchors:
    """Verifies the trail against its anchors, and adds to them every minute and after each verification that holds.

    Without ``audit.anchor_file`` nothing is written, and only the files that a caller names are looked at.
    """

    def __init__(self, *, trail: AuditTrail, settings: AuditSettings, clock: Clock, jobs: Jobs) -> None:
        self._trail = trail
        self._clock = clock
        self._path = Path(settings.anchor_file) if settings.anchor_file else None
        if self._path is not None:
            jobs.every(Periodic(name=JOB, every=ANCHOR_SECONDS, run=self.add))

    async def verify(self, *others: Path) -> Verification:
        """Check the whole trail against every anchor of our file and of ``others``, which must be there.

        :raises AuditUnavailable: the trail or a file cannot be read.
        """
        # Anchors are read first: those that are added while the trail is read may name rows that it had not yet.
        anchors = await asyncio.to_thread(self._known, others)
        found = await self._trail.verify(anchors)
        if found.ok and self._path is not None:
            try:
                await self.add()
            except AuditUnavailable as error:
                log.warning("the trail holds, but its head was not anchored: %s", error.line())
        return found

    @as_system()
    async def add(self) -> int:
        """Write down where the trail ends, unless that is known; returns the row.

        :raises AuditUnavailable: the trail cannot be read, or the file not be written.
        :raises AuditChainBroken: the trail ends before an anchor, or its last row is not ours.
        """
        if self._path is None:
            return 0
        last = await asyncio.to_thread(_last, self._path)
        head = await self._trail.head()
        if head.seq < last.seq:
            reason = f"the trail ends at row {head.seq}, its anchor says {last.seq}"
            raise AuditChainBroken(reason, seq=head.seq + 1)
        if head.seq > last.seq:
            line = Line(seq=head.seq, hash=head.hash.hex(), at=self._clock.now())
            await asyncio.to_thread(_append, self._path, msgspec.json.encode(line) + b"\n")
        elif head.seq > 0 and not hmac.compare_digest(head.hash, last.hash):
            raise AuditChainBroken(f"row {head.seq} is not the one that its anchor names", seq=head.seq)
        return head.seq

    def _known(self, others: Iterable[Path]) -> list[AuditHead]:
        ours = [self._path] if self._path is not None and self._path.exists() else []
        return [anchor for path in (*ours, *others) for anchor in _anchors(path)]


def _anchors(path: Path) -> list[AuditHead]:
    """Every anchor of a file.

    :raises AuditUnavailable: it cannot be read, or a line is no anchor.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise _unusable(path, error) from error
    return [_anchor(path, f"line {number}", line) for number, line in enumerate(lines, start=1)]


def _last(path: Path) -> AuditHead:
    """The anchor on the last line; of row 0 while there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - LONGEST_LINE, 0))
            lines = file.read().splitlines()
    except FileNotFoundError:
        lines = []
    except OSError as error:
        raise _unusable(path, error) from error
    return _anchor(path, "the last line", lines[-1]) if lines else AuditHead(stream=STREAM, seq=0, hash=b"")


def _anchor(path: Path, where: str, line: bytes) -> AuditHead:
    try:
        found = msgspec.json.decode(line, type=Line)
        return AuditHead(stream=STREAM, seq=found.seq, hash=bytes.fromhex(found.hash))
    except ValueError as error:
        raise AuditUnavailable(
            f"{where} of {path} is no anchor",
            origin="audit.anchor_file",
            mend="see who wrote it, and take the line out",
        ) from error


def _append(path: Path, line: bytes) -> None:
    """Add the line and have it on the disk."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.write(file, line) != len(line):
                raise OSError(0, "only a part of the line was written")
            os.fsync(file)
        finally:
            os.close(file)
    except OSError as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: OSError) -> AuditUnavailable:
    return AuditUnavailable(
        f"the anchors in {path}: {error.strerror}",
        origin="audit.anchor_file",
        mend="let the service's user read the file and add to it",
    )
