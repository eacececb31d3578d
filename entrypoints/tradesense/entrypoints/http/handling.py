"""What Litestar does with an error: the answer comes from :mod:`.problems`, and what nobody foresaw is told once."""

from __future__ import annotations

from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import Scope

from tradesense.core.errors import TradeSenseError, Unavailable
from tradesense.entrypoints.http import problems
from tradesense.entrypoints.http.exchange import current
from tradesense.entrypoints.http.problems import Kind, Refused

log = structlog.stdlib.get_logger("tradesense.http")

NOT_FOUND, METHOD_NOT_ALLOWED = 404, 405

_KINDS = {
    NOT_FOUND: problems.NO_ROUTE,
    METHOD_NOT_ALLOWED: problems.METHOD_NOT_ALLOWED,
    400: problems.INVALID_PARAMETER,
    413: problems.BODY_TOO_LARGE,
    415: problems.UNSUPPORTED_MEDIA_TYPE,
}


def problem_response(_request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """The problem that stands for ``error``."""
    exchange = current()
    known = _translated(error) if isinstance(error, HTTPException) else error
    answer = problems.answer_to(
        known, correlation_id=exchange.correlation_id, bearer=b"authorization" in exchange.headers
    )
    return Response(
        answer.body, status_code=answer.status, media_type=problems.MEDIA_TYPE, headers=dict(answer.headers)
    )


HANDLERS: dict[int | type[Exception], Any] = {Exception: problem_response, HTTPException: problem_response}


async def tell(error: Exception, _scope: Scope) -> None:
    """Log what is the server's fault, and report what nobody foresaw."""
    exchange = current()
    if isinstance(error, Unavailable):
        log.warning("dependency unavailable", error=error.code, detail=error.line())
        return
    if _foreseen(error):
        return
    log.error("request failed", error=type(error).__qualname__, exc_info=error)
    await exchange.services.errors.report(
        error, {"correlation_id": exchange.correlation_id, "trace_id": exchange.trace.trace_id}
    )


def _foreseen(error: Exception) -> bool:
    if isinstance(error, TradeSenseError):
        return problems.status_of(error) < problems.INTERNAL
    return isinstance(error, Refused) or (isinstance(error, HTTPException) and error.status_code < problems.INTERNAL)


def _translated(error: HTTPException) -> Refused:
    """Litestar's own errors. Their text may quote the path or a value, so only what is named here goes on."""
    kind = _KINDS.get(error.status_code)
    if kind is None:
        status = error.status_code
        kind = problems.INTERNAL_ERROR if status >= problems.INTERNAL else Kind(status, "refused", "Refused")
    headers = {"Allow": ", ".join(sorted(_allowed(error)))} if kind is problems.METHOD_NOT_ALLOWED else {}
    faults = _faults(error) if kind is problems.INVALID_PARAMETER else []
    if any(fault["path"].startswith("$") for fault in faults):
        kind = problems.INVALID_BODY
    return Refused(kind, headers=headers, faults=faults)


def _allowed(error: HTTPException) -> set[str]:
    """The methods of the route. Where there is GET there is HEAD."""
    given = {name.strip() for name in (error.headers or {}).get("allow", "").split(",")} - {""}
    return given | ({"HEAD"} if "GET" in given else set())


def _faults(error: HTTPException) -> list[dict[str, str]]:
    """The names of the parameters that are wrong, and how."""
    extra: list[dict[str, Any]] = error.extra if isinstance(error.extra, list) else []
    return [_fault(entry) for entry in extra]


def _fault(entry: dict[str, Any]) -> dict[str, str]:
    key = str(entry.get("key", ""))
    if key == "data":
        return {"path": "$", "message": "a JSON body is needed"}
    return problems.fault(str(entry.get("message", "")), place=key)
