"""Rows of the audit trail, read so that one which somebody has overwritten is told from one that was written.

Values are fetched in forms that no content can upset: on SQLite any column may hold any bytes, and PostgreSQL knows
instants that Python does not.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from tradesense.adapters.sql._query import Row
from tradesense.adapters.sql._tables import audit_heads, audit_records
from tradesense.core.audit.chain import GENESIS
from tradesense.core.audit.models import AuditHead, AuditRecord
from tradesense.core.audit.service import decode_entry, encode_entry
from tradesense.core.errors import AuditChainBroken

INDEXED = 512
"""Characters of a value that are indexed as they are; an index entry has an upper bound on PostgreSQL."""

MAX_SEQ = 2**63 - 1
ERA = " AD"


class Raw(FunctionElement[Any]):
    """A column as it is on PostgreSQL, which holds it to its type, and as bytes on SQLite, which does not."""

    name = "raw"
    inherit_cache = True


class Instant(FunctionElement[Any]):
    """An instant as the text ``YYYY-MM-DD HH:MM:SS.ffffff`` in UTC, on PostgreSQL with its era behind it."""

    name = "instant"
    inherit_cache = True


@compiles(Raw, "sqlite")
@compiles(Instant, "sqlite")
def _as_blob(element: FunctionElement[Any], compiler: SQLCompiler, **options: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **options)} AS BLOB)"


@compiles(Raw, "postgresql")
def _as_it_is(element: Raw, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@compiles(Instant, "postgresql")
def _as_text(element: Instant, compiler: SQLCompiler, **options: Any) -> str:
    column = compiler.process(element.clauses, **options)
    return f"to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US BC')"


RECORD_COLUMNS = (
    Raw(audit_records.c.seq),
    Instant(audit_records.c.at),
    *(Raw(audit_records.c[name]) for name in ("entry", "previous", "hash", "action", "actor_id", "subject")),
)
HEAD_COLUMNS = (Raw(audit_heads.c.seq), Raw(audit_heads.c.hash))


def row_of(record: AuditRecord) -> dict[str, Any]:
    """What the table holds of a record."""
    return {
        "stream": record.stream,
        "seq": record.seq,
        "at": record.at,
        "entry": encode_entry(record.entry).decode(),
        "previous": record.previous,
        "hash": record.hash,
        **_index(record),
    }


def record_of(stream: str, row: Row, *, seq: int) -> AuditRecord:
    """The record that a row of ``RECORD_COLUMNS`` holds.

    :param seq: the number to name where the row has none.
    :raises AuditChainBroken: it holds none, or it is indexed as something else than it says.
    """
    number = _number(row[0])
    if number is None:
        raise AuditChainBroken("a row has no number", seq=seq)
    try:
        record = AuditRecord(
            stream=stream,
            seq=number,
            at=_instant(row[1]),
            entry=decode_entry(row[2]),
            previous=_hash(row[3]),
            hash=_hash(row[4]),
        )
        indexed_as = [_text(value) for value in row[5:8]]
        # Only this spelling of the entry was written: another one was put in its place.
        written = encode_entry(record.entry).decode() == _text(row[2])
    except (ValueError, TypeError, RecursionError, msgspec.MsgspecError) as error:
        raise AuditChainBroken(f"row {number} cannot be read", seq=number) from error
    if not written or indexed_as != list(_index(record).values()):
        raise AuditChainBroken(f"row {number} was changed", seq=number)
    return record


def head_in(stream: str, row: Row) -> AuditHead:
    """The head that a row of ``HEAD_COLUMNS`` holds.

    :raises AuditChainBroken: it holds none.
    """
    seq = _number(row[0])
    try:
        last = _hash(row[1])
    except TypeError:
        seq, last = None, GENESIS
    if seq is None or not 0 <= seq < MAX_SEQ:
        raise AuditChainBroken("the head cannot be read", seq=0)
    return AuditHead(stream=stream, seq=seq, hash=last)


def indexed(value: str) -> str:
    """``value`` as the indexed columns hold it: itself, or a digest where it is too long or holds a NUL."""
    if len(value) <= INDEXED and "\0" not in value:
        return value
    return f"sha256:{hashlib.sha256(value.encode()).hexdigest()}"


def _index(record: AuditRecord) -> dict[str, str]:
    entry = record.entry
    return {
        "action": indexed(entry.action),
        "actor_id": indexed(entry.actor.id),
        "subject": indexed(entry.subject),
    }


def _number(value: object) -> int | None:
    if isinstance(value, bytes):
        return int(value) if value.removeprefix(b"-").isdigit() else None
    return value if isinstance(value, int) else None


def _instant(value: object) -> datetime:
    """The instant; only one spelling of it is taken."""
    text = _text(value).removesuffix(ERA)
    instant = datetime.fromisoformat(text)
    if instant.isoformat(sep=" ", timespec="microseconds") != text:
        raise ValueError("no instant is spelled like this")
    return instant.replace(tzinfo=UTC)


def _hash(value: object) -> bytes:
    if not isinstance(value, bytes) or len(value) != len(GENESIS):
        raise TypeError("this is no hash")
    return value


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode()
    if not isinstance(value, str):
        raise TypeError("this is no text")
    return value
