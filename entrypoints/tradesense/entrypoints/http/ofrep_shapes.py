"""The bodies of OFREP 0.3, named as its document names them, and what becomes of an evaluation in them."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType

from tradesense.core.flags.models import ErrorCode, Evaluation, FlagValue, Metadata, Reason


class EvaluationRequest(Struct, frozen=True, kw_only=True):
    """OFREP's ``evaluationRequest``. Unknown fields are left alone, as the protocol may grow."""

    context: dict[str, Any]


class EvaluationSuccess(Struct, frozen=True, kw_only=True, rename="camel"):
    """OFREP's ``serverEvaluationSuccess``. Without ``value`` the caller's own default applies."""

    key: str
    reason: str
    value: FlagValue | UnsetType = UNSET
    variant: str = ""
    """Empty where there is none, as the provider for Python fails without the field."""
    metadata: Metadata | UnsetType = UNSET


class EvaluationFailure(Struct, frozen=True, kw_only=True, rename="camel"):
    """OFREP's ``evaluationFailure`` and ``flagNotFound``."""

    key: str
    error_code: str
    error_details: str


class BulkFailure(Struct, frozen=True, kw_only=True, rename="camel"):
    """OFREP's ``bulkEvaluationFailure``."""

    error_code: str
    error_details: str


class Endpoint(Struct, frozen=True, kw_only=True, rename="camel"):
    """Where a stream is, below the address that the provider knows the server by."""

    request_uri: str


class EventStream(Struct, frozen=True, kw_only=True, rename="camel"):
    """OFREP's ``eventStream``."""

    type: str
    endpoint: Endpoint
    inactivity_delay_sec: int


class BulkSuccess(Struct, frozen=True, kw_only=True, rename="camel"):
    """OFREP's ``bulkEvaluationSuccess``."""

    flags: list[Any]
    """:class:`EvaluationSuccess` or :class:`EvaluationFailure` each; msgspec describes no union of the two."""
    event_streams: tuple[EventStream, ...]


def success(found: Evaluation) -> EvaluationSuccess:
    """OFREP's enumeration has no DEFAULT: it goes as UNKNOWN, with our own reason beside it."""
    reason, metadata = found.reason, found.metadata
    known = reason is not Reason.DEFAULT
    return EvaluationSuccess(
        key=found.key,
        reason=reason if known else "UNKNOWN",
        value=UNSET if found.value is None else found.value,
        variant=found.variant or "",
        metadata=(metadata or UNSET) if known else {**metadata, "reason": reason},
    )


def item(found: Evaluation) -> EvaluationSuccess | EvaluationFailure:
    """One of many."""
    code = found.error_code
    if code is None:
        return success(found)
    return EvaluationFailure(key=found.key, error_code=code_of(code), error_details=found.error_details)


_CODES = frozenset({"PARSE_ERROR", "TARGETING_KEY_MISSING", "INVALID_CONTEXT", "GENERAL", "FLAG_NOT_FOUND"})


def code_of(code: str) -> str:
    """OFREP has fewer codes than OpenFeature."""
    return code if code in _CODES else ErrorCode.GENERAL
