"""Flags: single evaluation over OFREP, and the definitions for administrators."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from litestar import Request, Response, delete, get, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Struct, UnsetType

from tradesense.core.flags.models import ErrorCode, Evaluation, Flag, FlagValue, Metadata, Reason, StoredFlag
from tradesense.core.telemetry.instruments import FLAG_EVALUATIONS
from tradesense.entrypoints.http import conditional, problems
from tradesense.entrypoints.http.exchange import current
from tradesense.entrypoints.http.guards import guard
from tradesense.entrypoints.http.handling import problem_response
from tradesense.entrypoints.http.problems import Refused
from tradesense.entrypoints.http.queries import Cursor, Limit

NOT_FOUND, BAD_REQUEST = 404, 400


class EvaluationRequest(Struct, frozen=True, kw_only=True):
    """OFREP's ``evaluationRequest``. Unknown fields are left alone, as the protocol may grow."""

    context: dict[str, Any]


class EvaluationSuccess(Struct, frozen=True, kw_only=True, rename="camel"):
    """OFREP's ``serverEvaluationSuccess``. Without ``value`` the caller's own default applies."""

    key: str
    reason: str
    value: FlagValue | UnsetType = UNSET
    variant: str = ""
    metadata: Metadata | UnsetType = UNSET


class EvaluationFailure(Struct, frozen=True, kw_only=True, rename="camel"):
    """OFREP's ``evaluationFailure`` and ``flagNotFound``."""

    key: str
    error_code: str
    error_details: str


class FlagBody(Flag, frozen=True, kw_only=True):
    """A definition. ``key`` may be left out; when it is there it is the path's."""

    key: str = ""


class FlagView(Flag, frozen=True, kw_only=True, omit_defaults=False):
    """A definition in the store."""

    revision: int
    updated_at: datetime


class FlagPage(Struct, frozen=True, kw_only=True):
    """A page of definitions."""

    items: tuple[FlagView, ...]
    cursor: str | None


def malformed(request: Request[Any, Any, Any], refusal: Refused) -> Response[Any]:
    """OFREP has its own form for a body that cannot be read; every other refusal stays a problem."""
    if refusal.kind is not problems.INVALID_BODY:
        return problem_response(request, refusal)
    first = refusal.faults[0] if refusal.faults else {"path": "$", "message": refusal.detail}
    in_context = first["path"].startswith("$.context") or "`context`" in first["message"]
    failure = EvaluationFailure(
        key=str(request.path_params.get("key", "")),
        error_code=ErrorCode.INVALID_CONTEXT if in_context else ErrorCode.PARSE_ERROR,
        error_details=f"{first['path']}: {first['message']}",
    )
    return Response(failure, status_code=BAD_REQUEST)


@post(
    "/ofrep/v1/evaluate/flags/{key:str}",
    opt=guard("flags:evaluate"),
    status_code=200,
    tags=["ofrep"],
    exception_handlers={Refused: malformed},
    responses={
        BAD_REQUEST: ResponseSpec(EvaluationFailure, description="Why there is no value.", generate_examples=False),
        NOT_FOUND: ResponseSpec(EvaluationFailure, description="There is no such flag.", generate_examples=False),
    },
)
async def evaluate(
    key: FromPath[str], data: JSONBody[EvaluationRequest]
) -> Response[EvaluationSuccess | EvaluationFailure]:
    """Evaluate one flag for a context (OFREP 0.3)."""
    subject = data.context.get("targetingKey")
    if subject is not None and not isinstance(subject, str):
        return _failure(key, ErrorCode.INVALID_CONTEXT, "targetingKey is a text")
    services = current().services
    found = await services.flags.evaluate(key, data.context)
    services.telemetry.bind(FLAG_EVALUATIONS, (found.reason,))(1)
    if found.error_code is not None:
        return _failure(key, found.error_code, found.error_details)
    return Response(_success(found))


def _success(found: Evaluation) -> EvaluationSuccess:
    """OFREP's enumeration has no DEFAULT: it goes as UNKNOWN, with our own reason beside it."""
    known = found.reason is not Reason.DEFAULT
    metadata = found.metadata if known else {**found.metadata, "reason": found.reason}
    return EvaluationSuccess(
        key=found.key,
        reason=found.reason if known else "UNKNOWN",
        value=UNSET if found.value is None else found.value,
        variant=found.variant or "",  # the provider for Python fails without one
        metadata=metadata or UNSET,
    )


def _failure(key: str, code: ErrorCode, details: str) -> Response[EvaluationSuccess | EvaluationFailure]:
    status = NOT_FOUND if code is ErrorCode.FLAG_NOT_FOUND else BAD_REQUEST
    return Response(EvaluationFailure(key=key, error_code=code, error_details=details), status_code=status)


@get("/api/v1/flags", opt=guard("flags:read"), tags=["flags"])
async def list_flags(cursor: Cursor = None, limit: Limit = 100) -> FlagPage:
    """A page of definitions, by key."""
    page = await current().services.flags.list(cursor=cursor, limit=limit)
    return FlagPage(items=tuple(_view(stored) for stored in page.items), cursor=page.cursor)


@get("/api/v1/flags/{key:str}", opt=guard("flags:read"), tags=["flags"])
async def read_flag(key: FromPath[str]) -> Response[FlagView]:
    """A definition, with its revision as the entity tag."""
    return _tagged(await current().services.flags.get(key))


@put("/api/v1/flags/{key:str}", opt=guard("flags:write"), tags=["flags"])
async def write_flag(key: FromPath[str], data: JSONBody[FlagBody]) -> Response[FlagView]:
    """Write a definition; with `If-Match` only over that revision, with `If-None-Match: *` only where there is none."""
    here = current()
    if data.key not in {"", key}:
        raise Refused(problems.INVALID_BODY, faults=[{"path": "$.key", "message": "it is not the key of the path"}])
    fields = _fields(data)
    fields["key"] = key
    flag = Flag(**fields)
    expected = conditional.expected(here)
    with conditional.precondition(expected):
        stored = await here.services.flags.put(
            flag, expected=expected, actor=here.actor, correlation_id=here.correlation_id
        )
    return _tagged(stored)


@delete("/api/v1/flags/{key:str}", opt=guard("flags:write"), status_code=204, tags=["flags"])
async def delete_flag(key: FromPath[str]) -> None:
    """Remove a definition; with `If-Match` only that revision."""
    here = current()
    expected = conditional.expected(here)
    with conditional.precondition(expected):
        await here.services.flags.delete(key, expected=expected, actor=here.actor, correlation_id=here.correlation_id)


def _view(stored: StoredFlag) -> FlagView:
    return FlagView(**_fields(stored.flag), revision=stored.revision, updated_at=stored.updated_at)


def _fields(flag: Flag) -> dict[str, Any]:
    """The fields of a definition, its parts as they are."""
    return {name: getattr(flag, name) for name in Flag.__struct_fields__}


def _tagged(stored: StoredFlag) -> Response[FlagView]:
    return Response(_view(stored), headers={"ETag": conditional.tag(stored.revision)})


ROUTES: tuple[HTTPRouteHandler, ...] = (evaluate, list_flags, read_flag, write_flag, delete_flag)
