"""Receiving a body: JSON alone, bounded in size, time and depth, before anything is parsed."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

import msgspec
from litestar.types import HTTPReceiveMessage, Receive

from tradesense.entrypoints.http import problems
from tradesense.entrypoints.http.exchange import Exchange
from tradesense.entrypoints.http.overdue import Overdue
from tradesense.entrypoints.http.problems import Refused

READ_SECONDS = 10.0
"""How long a whole body may take to arrive."""

_MEDIA_TYPE = re.compile(rb"application/(?:[a-z0-9.!#$&^_-]+\+)?json(?:\s*;\s*charset=\"?utf-8\"?)?\s*", re.IGNORECASE)
_FORM = re.compile(rb"application/x-www-form-urlencoded(?:\s*;\s*charset=\"?utf-8\"?)?\s*", re.IGNORECASE)
MOST_FIELDS = 10
_NOT_STRUCTURE = bytes(set(range(256)) - set(b'[]{}"'))
_OPENING = frozenset(b"[{")
_LARGEST_LENGTH = 18
"""Digits of a Content-Length that are looked at; more are too many bytes in any case."""


class JsonBody:
    """Reads bodies of at most ``most`` bytes that nest at most ``depth`` deep."""

    def __init__(self, *, most: int, depth: int, forms: frozenset[str] = frozenset()) -> None:
        """:param forms: paths whose bodies may be forms, which become a JSON object of texts."""
        self._most = most
        self._depth = depth
        self._forms = forms
        self._too_large = f"a body has at most {most} bytes"
        self._overdue = Overdue(READ_SECONDS)

    async def received(self, exchange: Exchange, receive: Receive, *, expected: bool) -> Receive:
        """A ``receive`` that gives the whole body at once.

        :param expected: whether the method means something by a body; if not, one is neither read nor looked at.
        :raises Refused: 413, 415, 408, or 400 for a depth above the bound or a body that broke off.
        """
        headers = exchange.headers
        length = headers.get(b"content-length", b"")
        if len(length) > _LARGEST_LENGTH or (length and int(length) > self._most):
            raise Refused(problems.BODY_TOO_LARGE, self._too_large, headers={"Connection": "close"})
        if not expected:
            return receive
        empty = length in {b"", b"0"} and b"transfer-encoding" not in headers
        form = exchange.path in self._forms and _FORM.fullmatch(headers.get(b"content-type", b"")) is not None
        _check_kind(headers, empty=empty, form=form)
        if empty:
            return receive
        body = await self._read(receive)
        if form:
            return _replay(_as_json(body), receive)
        if deeper_than(self._depth, body):
            raise Refused(problems.TOO_DEEP, f"JSON nests at most {self._depth} deep")
        return _replay(body, receive)

    async def _read(self, receive: Receive) -> bytes:
        try:
            return await self._overdue.within(self._whole(receive))
        except TimeoutError as error:
            raise Refused(
                problems.BODY_TIMEOUT, f"a body arrives within {READ_SECONDS:g} s", headers={"Connection": "close"}
            ) from error

    async def _whole(self, receive: Receive) -> bytes:
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise Refused(problems.MALFORMED_REQUEST, "the body broke off")
            part = message["body"]
            size += len(part)
            if size > self._most:
                raise Refused(problems.BODY_TOO_LARGE, self._too_large, headers={"Connection": "close"})
            parts.append(part)
            if not message["more_body"]:
                return part if len(parts) == 1 else b"".join(parts)


def _as_json(body: bytes) -> bytes:
    """A form's fields as a JSON object.

    :raises Refused: it is no form, or a field comes twice.
    """
    try:
        pairs = parse_qsl(body.decode("ascii"), strict_parsing=bool(body), max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError as error:
        raise Refused(problems.INVALID_BODY, "the form is malformed") from error
    if len(dict(pairs)) != len(pairs):
        raise Refused(problems.INVALID_BODY, "a field comes more than once")
    return msgspec.json.encode(dict(pairs))


def _check_kind(headers: dict[bytes, bytes], *, empty: bool, form: bool) -> None:
    encoding = headers.get(b"content-encoding")
    if encoding is not None and encoding.lower() != b"identity":
        raise Refused(
            problems.UNSUPPORTED_MEDIA_TYPE, "encoded bodies are not taken", headers={"Accept-Encoding": "identity"}
        )
    kind = headers.get(b"content-type")
    if form or (kind is None and empty):
        return
    if kind is None or not _MEDIA_TYPE.fullmatch(kind):
        raise Refused(
            problems.UNSUPPORTED_MEDIA_TYPE,
            "send application/json, or a +json type, in UTF-8",
            headers={"Accept": "application/json"},
        )


def deeper_than(most: int, body: bytes) -> bool:
    """Whether JSON text nests deeper than ``most``. Text that is no JSON may pass for deep; no deep JSON is missed.

    It takes time in proportion to the body's length, whatever is in it.
    """
    if body.count(b"[") + body.count(b"{") <= most:
        return False
    depth = 0
    for byte in _brackets(body):
        depth += 1 if byte in _OPENING else -1
        if depth > most:
            return True
    return False


def _brackets(body: bytes) -> bytes:
    """The brackets that are not part of a string.

    Without escaped backslashes, and then without escaped quotes, every quote begins or ends a string. No step looks
    for the end of a string, as one that has none would be looked through again from each of its quotes.
    """
    quotes = body.replace(rb"\\", b"").replace(rb"\"", b"").translate(None, _NOT_STRUCTURE)
    outside = quotes.replace(b'""', b"").split(b'"')[::2]
    return b"".join(outside)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Give the body once; after that, what the server says, such as that the client went away."""
    left: list[HTTPReceiveMessage] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> HTTPReceiveMessage:
        return left.pop() if left else await receive()  # type: ignore[return-value]  # HTTP messages only

    return replayed
