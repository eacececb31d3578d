"""What an operation may answer instead of its success, for the OpenAPI document: problems of RFC 9457, by status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from litestar.handlers import HTTPRouteHandler
from litestar.openapi import ResponseSpec
from msgspec import UNSET, Meta, Struct, UnsetType

from tradesense.entrypoints.http.front import UNSAFE
from tradesense.entrypoints.http.guards import OPT, PUBLIC, Guard
from tradesense.entrypoints.http.problems import MEDIA_TYPE

WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class Fault(Struct, frozen=True, kw_only=True):
    """One thing that is wrong with the body or the query."""

    path: str
    message: str


class Problem(Struct, frozen=True, kw_only=True):
    """What was wrong. Machines read `type`, which is stable; people read `title` and `detail`."""

    type: str
    title: str
    status: Annotated[int, Meta(ge=400, le=599)]
    detail: str
    instance: str
    correlation_id: str
    errors: tuple[Fault, ...] | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    """Why a password is not taken."""


ALWAYS: Mapping[int, str] = {
    400: "The request is malformed, or not what this route takes.",
    414: "The query is too long.",
    429: "Too many requests: `Retry-After` says in how many seconds to come again.",
    431: "The headers are too large.",
    500: "Something went wrong; the log has it under the correlation id.",
    503: "A dependency is away: `Retry-After` says in how many seconds to come again.",
}
GUARDED: Mapping[int, str] = {
    401: "The caller is not known, or what authenticates them is not accepted.",
    403: "The caller may not do this, or the request does not prove that it comes from our own page.",
}
NAMED: Mapping[int, str] = {404: "There is no such thing, or it is not the caller's."}
CHANGING: Mapping[int, str] = {
    409: "It contradicts what is there.",
    412: "The state has changed meanwhile.",
}
BODY: Mapping[int, str] = {
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The body's media type is not taken.",
}


def of(handler: HTTPRouteHandler) -> dict[int, ResponseSpec]:
    """The problems that this handler may answer with."""
    declared = handler.opt.get(OPT)
    unsafe = handler.http_methods & UNSAFE
    statuses = dict(ALWAYS)
    if unsafe or not (isinstance(declared, Guard) and declared.need == PUBLIC):
        statuses |= GUARDED
    if any("{" in path for path in handler.paths):
        statuses |= NAMED
    if unsafe:
        statuses |= CHANGING
    if handler.http_methods & WITH_BODY:
        statuses |= BODY
    return {
        status: ResponseSpec(Problem, media_type=MEDIA_TYPE, description=text, generate_examples=False)
        for status, text in sorted(statuses.items())
    }
