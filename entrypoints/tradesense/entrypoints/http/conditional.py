"""Revisions as entity tags: ``If-Match`` for writes, ``If-None-Match`` for reads (RFC 9110, section 13)."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from hashlib import blake2b

from tradesense.core.errors import Conflict
from tradesense.entrypoints.http import problems
from tradesense.entrypoints.http.exchange import Exchange
from tradesense.entrypoints.http.problems import Refused

_REVISION = re.compile(r'"([0-9]{1,18})"')
ANY = "*"


def tag(revision: int) -> str:
    """The entity tag of a revision."""
    return f'"{revision}"'


def digest_tag(body: bytes) -> str:
    """The entity tag of an answer that has no revision of its own."""
    return f'"{blake2b(body, digest_size=16).hexdigest()}"'


def matches(exchange: Exchange, etag: str) -> bool:
    """Whether the caller has this already, so that 304 is the answer."""
    header = exchange.headers.get(b"if-none-match")
    if header is None:
        return False
    given = [part.strip().removeprefix("W/") for part in header.decode("latin-1").split(",")]
    return ANY in given or etag in given


def expected(exchange: Exchange) -> int | None:
    """The revision that a write may replace: 0 for none (``If-None-Match: *``), ``None`` where any will do.

    :raises Refused: 400, the header names no revision.
    """
    none_match = exchange.headers.get(b"if-none-match")
    match = exchange.headers.get(b"if-match")
    if none_match is not None:
        if none_match.strip() != b"*" or match is not None:
            raise Refused(problems.MALFORMED_REQUEST, "a write takes If-None-Match: *, or If-Match with one revision")
        return 0
    if match is None:
        return None
    found = _REVISION.fullmatch(match.decode("latin-1").strip())
    if found is None:
        raise Refused(problems.MALFORMED_REQUEST, 'If-Match takes one revision, as in "3"')
    return int(found.group(1))


@contextmanager
def precondition(expected_revision: int | None) -> Generator[None]:
    """Let a conflict with the revision that the caller named be 412, as it is the header's condition that failed."""
    try:
        yield
    except Conflict as error:
        if expected_revision is None:
            raise
        raise Refused(problems.PRECONDITION_FAILED, error.detail) from error
