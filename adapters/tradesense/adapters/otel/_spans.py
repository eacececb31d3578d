"""Spans that carry exactly the ids they are given.

The SDK's tracer draws ids of its own and asks a sampler, both of which the caller has done. A span is therefore built
as the SDK's own :class:`ReadableSpan` when it ends, and handed to the SDK's processor: the same export, and a third of
the cost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Self

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from tradesense.core.telemetry.models import TraceContext
from tradesense.core.telemetry.ports import AttributeValue

SAMPLED = TraceFlags(TraceFlags.SAMPLED)
SCOPE = InstrumentationScope("tradesense")
_UNSET = Status(StatusCode.UNSET)

End = Callable[[ReadableSpan], None]


def span_context(context: TraceContext, *, remote: bool) -> SpanContext:
    """The SDK's form of a trace context."""
    return SpanContext(int(context.trace_id, 16), int(context.span_id, 16), is_remote=remote, trace_flags=SAMPLED)


class OpenSpan:
    """A span while it is open: a context manager, and what the body sets attributes on."""

    __slots__ = ("_attributes", "_context", "_end", "_events", "_name", "_parent", "_resource", "_started", "_token")

    def __init__(
        self,
        name: str,
        context: TraceContext,
        parent: TraceContext | None,
        attributes: Mapping[str, AttributeValue] | None,
        *,
        resource: Resource,
        end: End,
    ) -> None:
        self._name = name
        self._context = context
        self._parent = parent
        self._attributes: dict[str, AttributeValue] = dict(attributes or {})
        self._events: list[Event] = []
        self._resource = resource
        self._end = end
        self._started = 0
        self._token: Token[OpenSpan | None] | None = None

    def set(self, key: str, value: AttributeValue) -> None:
        """Add or replace an attribute."""
        self._attributes[key] = value

    def note(self, name: str, attributes: Mapping[str, AttributeValue]) -> None:
        """Add an event."""
        self._events.append(Event(name, dict(attributes)))

    def __enter__(self) -> Self:
        self._started = time.time_ns()
        self._token = CURRENT.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._token is not None:
            CURRENT.reset(self._token)
        status = _UNSET
        if kind is not None:
            # The class alone: an error's text may hold what must not leave the process.
            self.note("exception", {"exception.type": kind.__qualname__})
            status = Status(StatusCode.ERROR, kind.__qualname__)
        self._end(
            ReadableSpan(
                self._name,
                context=span_context(self._context, remote=False),
                parent=span_context(self._parent, remote=True) if self._parent else None,
                resource=self._resource,
                attributes=self._attributes,
                events=self._events,
                kind=SpanKind.SERVER if "http.request.method" in self._attributes else SpanKind.INTERNAL,
                status=status,
                start_time=self._started,
                end_time=time.time_ns(),
                instrumentation_scope=SCOPE,
            )
        )


CURRENT: ContextVar[OpenSpan | None] = ContextVar("tradesense_otel_span", default=None)
"""The innermost span that is open in this task."""


class NoSpan:
    """What a caller gets whose trace is not sampled, or whose adapter is closed."""

    __slots__ = ()

    def set(self, key: str, value: AttributeValue) -> None:
        """Nothing is kept."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None


NO_SPAN = NoSpan()
