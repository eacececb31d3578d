"""Errors as RFC 9457 problems: one table from what was raised to what is said."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tradesense.core import errors

MEDIA_TYPE = "application/problem+json"
CONTENT_TYPE = f"{MEDIA_TYPE}; charset=utf-8".encode()
TYPE = "urn:tradesense:problem:"
RETRY_SECONDS = 2
"""What a caller is asked to wait when a dependency is away."""

INTERNAL = 500


class Kind(msgspec.Struct, frozen=True):
    """A refusal that belongs to HTTP itself and to no room."""

    status: int
    code: str
    title: str


MALFORMED_REQUEST = Kind(400, "malformed-request", "The request is malformed")
INVALID_BODY = Kind(400, "invalid-body", "The body is not what this route takes")
INVALID_PARAMETER = Kind(400, "invalid-parameter", "A parameter is not valid")
TOO_DEEP = Kind(400, "json-too-deep", "The JSON nests too deep")
UNKNOWN_HOST = Kind(400, "unknown-host", "The Host header does not name this server")
NO_ROUTE = Kind(404, "no-route", "There is no such route")
METHOD_NOT_ALLOWED = Kind(405, "method-not-allowed", "The route does not take this method")
BODY_TIMEOUT = Kind(408, "body-timeout", "The body did not arrive in time")
PRECONDITION_FAILED = Kind(412, "precondition-failed", "The state has changed meanwhile")
BODY_TOO_LARGE = Kind(413, "body-too-large", "The body is too large")
QUERY_TOO_LONG = Kind(414, "query-too-long", "The query is too long")
UNSUPPORTED_MEDIA_TYPE = Kind(415, "unsupported-media-type", "The body's media type is not taken")
UPGRADE_REQUIRED = Kind(426, "upgrade-required", "This is a WebSocket")
HEADERS_TOO_LARGE = Kind(431, "headers-too-large", "The headers are too large")
INTERNAL_ERROR = Kind(INTERNAL, "internal-error", "Something went wrong")


class Refused(Exception):  # it is how a layer says no, whatever was wrong
    """A request that HTTP's own rules refuse."""

    def __init__(
        self,
        kind: Kind,
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        faults: Sequence[Mapping[str, str]] = (),
    ) -> None:
        self.kind = kind
        self.detail = detail or "; ".join(f"{one['path']}: {one['message']}" for one in faults) or kind.title
        super().__init__(self.detail)
        self.headers = dict(headers or {})
        self.faults = tuple(faults)
        """Where in the body or the query, and what: ``path`` and ``message``, never a value."""


class Answer(msgspec.Struct, frozen=True):
    """What is said about an error."""

    status: int
    body: bytes
    headers: dict[str, str]


STATUS: dict[type[errors.TradeSenseError], int] = {
    errors.InvalidInput: 400,
    errors.EventTooLarge: 413,
    errors.Unauthenticated: 401,
    errors.Denied: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.LimitExceeded: 429,
    errors.Unavailable: 503,
    errors.IntegrityViolated: INTERNAL,
    errors.ConfigurationError: INTERNAL,
    errors.TradeSenseError: INTERNAL,
}
"""The nearest class above an error decides."""

OURS = (errors.SecretDenied, errors.Unavailable, errors.IntegrityViolated, errors.ConfigurationError)
"""Errors whose text tells of our own set-up: the caller gets the title, the log the rest."""


def status_of(error: errors.TradeSenseError) -> int:
    """The status that stands for an error."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def answer_to(error: BaseException, *, correlation_id: str, bearer: bool = False) -> Answer:
    """What to say about ``error``. What is neither ours nor HTTP's is an internal error, and nothing of it is told.

    :param bearer: whether the caller sent a bearer token, which then is what was wrong (RFC 6750, section 3.1).
    """
    if isinstance(error, Refused):
        return _refusal(error, correlation_id)
    if isinstance(error, errors.TradeSenseError):
        return _problem(error, correlation_id, bearer=bearer)
    return _refusal(Refused(INTERNAL_ERROR), correlation_id)


def _refusal(error: Refused, correlation_id: str) -> Answer:
    more: dict[str, Any] = {"errors": error.faults} if error.faults else {}
    kind = error.kind
    return Answer(kind.status, encode(kind, error.detail, correlation_id, more), error.headers)


def _problem(error: errors.TradeSenseError, correlation_id: str, *, bearer: bool) -> Answer:
    status = status_of(error)
    detail = error.title if status == INTERNAL or isinstance(error, OURS) else error.detail
    more: dict[str, Any] = {}
    headers: dict[str, str] = {}
    match error:
        case errors.PasswordRefused():
            more["reason"] = error.reason
        case errors.InvalidFlag() if error.faults:
            more["errors"] = [{"path": path, "message": message} for path, message in error.faults]
        case errors.LimitExceeded():
            headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
        case errors.Unavailable():
            headers["Retry-After"] = str(RETRY_SECONDS)
        case errors.Unauthenticated():
            headers["WWW-Authenticate"] = 'Bearer realm="tradesense"' + (', error="invalid_token"' if bearer else "")
        case _:
            pass
    return Answer(status, encode(Kind(status, error.code, error.title), detail, correlation_id, more), headers)


def encode(kind: Kind, detail: str, correlation_id: str, more: Mapping[str, Any]) -> bytes:
    """The problem's body."""
    document = {
        "type": TYPE + kind.code,
        "title": kind.title,
        "status": kind.status,
        "detail": _encodable(detail),
        "instance": f"urn:tradesense:request:{correlation_id}",
        "correlation_id": correlation_id,
        **more,
    }
    return msgspec.json.encode(document)


_AT = " - at `"
MAX_TEXT = 200


def fault(error: BaseException | str, *, place: str = "$") -> dict[str, str]:
    """Where and what msgspec found wrong. Its message may quote the value; ours never does (ASVS 16.2.5)."""
    what, path = "is no UTF-8" if isinstance(error, UnicodeError) else str(error), "$"
    if what.endswith("`") and _AT in what:
        what, _, path = what[:-1].rpartition(_AT)
    before, value, after = what.partition("value '")
    message = f"{before}value" if value and after.endswith("'") else what
    path = path.replace("$", place, 1)
    return {"path": _encodable(path[:MAX_TEXT]), "message": _encodable(message[:MAX_TEXT])}


def _encodable(text: str) -> str:
    """``text`` without lone surrogates, which JSON cannot carry."""
    return text.encode("utf-8", "replace").decode()
