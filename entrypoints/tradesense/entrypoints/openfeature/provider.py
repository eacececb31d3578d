"""The provider: answers from definitions in memory, which a thread keeps fresh."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from datetime import datetime
from typing import Any, TypeVar

from tradesense.core.errors import MissingDependency
from tradesense.core.flags.library import Library
from tradesense.core.flags.models import SUBJECT, Context, Evaluation
from tradesense.core.flags.toolkit import Toolkit
from tradesense.entrypoints.openfeature.feed import Feed, FeedError, Key

try:
    import mmh3
    from openfeature.evaluation_context import EvaluationContext  # pyright: ignore[reportMissingTypeStubs]  # no py.typed
    from openfeature.event import ProviderEventDetails
    from openfeature.exception import ErrorCode, GeneralError
    from openfeature.flag_evaluation import FlagResolutionDetails, Reason
    from openfeature.provider import AbstractProvider, Metadata  # pyright: ignore[reportMissingTypeStubs]  # no py.typed

    from tradesense.adapters.re2.flags import Re2Patterns
except ModuleNotFoundError as error:
    raise MissingDependency(error.name or "openfeature-sdk", extra="openfeature") from error

T = TypeVar("T")
FlagValueType = Any
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
"""Seconds between two attempts at a server that is away."""


class TradeSenseProvider(AbstractProvider):
    """Evaluates flags in this process. The server is asked for definitions alone, never for an answer.

    While the server is away the last known definitions go on, and the provider is stale. Its methods are safe to call
    from any thread.

    :param url: the server's address.
    :param key: gives an API key with `flags:read` and `flags:evaluate`, or an access token, each time one is needed.
    :param timeout: seconds to wait for the server, at the start as well.
    :raises ValueError: ``url`` is not an address.
    """

    def __init__(self, url: str, key: Key, *, timeout: float = 10.0) -> None:
        super().__init__()
        self._feed = Feed(url, key, timeout=timeout)
        self._timeout = timeout
        self._toolkit = Toolkit(now=time.time, hash32=_hash32, patterns=Re2Patterns())
        self._library = Library(self._toolkit)
        self._known = threading.Event()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._fault = "the server has not answered yet"

    def get_metadata(self) -> Metadata:
        """The provider's name."""
        return Metadata(name="tradesense")

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Have the definitions, and keep them fresh from then on.

        :raises GeneralError: the server did not give them in time; they are asked for again.
        """
        del evaluation_context
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, args=(self._ended,), name="tradesense-flags", daemon=True)
        self._thread.start()
        if not self._known.wait(self._timeout):
            raise GeneralError(self._fault)

    def shutdown(self) -> None:
        """Follow the server no more. What is known goes on being evaluated."""
        self._ended.set()
        self._feed.close()
        if self._thread is not None:
            self._thread.join(self._timeout)
            self._thread = None

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,  # noqa: FBT001  # the SDK's signature
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """Evaluate a boolean flag."""
        return self._resolved(flag_key, default_value, evaluation_context, lambda value: type(value) is bool)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Evaluate a string flag."""
        return self._resolved(flag_key, default_value, evaluation_context, lambda value: type(value) is str)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Evaluate a number flag whose value is whole."""
        return self._resolved(flag_key, default_value, evaluation_context, lambda value: type(value) is int)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Evaluate a number flag."""
        return self._resolved(flag_key, default_value, evaluation_context, lambda value: type(value) in {int, float})

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        """Evaluate an object flag. What it gives is the caller's own."""
        found = self._resolved(
            flag_key, default_value, evaluation_context, lambda value: isinstance(value, dict | list)
        )
        found.value = deepcopy(found.value)
        return found

    def _resolved(
        self, key: str, default: T, context: EvaluationContext | None, fits: Callable[[Any], bool]
    ) -> FlagResolutionDetails[T]:
        if not self._known.is_set():
            return _failed(default, ErrorCode.PROVIDER_NOT_READY, self._fault)
        found = self._library.evaluate(key, _context(context))
        if found.error_code is not None:
            return _failed(default, ErrorCode(found.error_code.value), found.error_details)
        if found.value is not None and not fits(found.value):
            kind = type(found.value).__name__
            return _failed(default, ErrorCode.TYPE_MISMATCH, f"the flag's value is of the type {kind}")
        value: Any = default if found.value is None else found.value
        return _details(value, found)

    def _follow(self, ended: threading.Event) -> None:
        """Keep the definitions fresh until told to end."""
        pause = FIRST_PAUSE
        while not ended.is_set():
            try:
                with self._feed.changes() as changes:
                    self._load()
                    pause = FIRST_PAUSE
                    for _ in changes:
                        if ended.is_set():
                            return
                        self._load()
            except FeedError as error:
                if ended.is_set():
                    return
                self._lost(str(error))
            ended.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _load(self) -> None:
        flags, segments = self._feed.read()
        # Another library, as a thread may be evaluating by this one.
        library = Library(self._toolkit)
        library.load(flags, segments)
        first, was_lost = not self._known.is_set(), bool(self._fault)
        self._library, self._fault = library, ""
        self._known.set()
        if first or was_lost:
            self.emit_provider_ready(ProviderEventDetails())
        if not first:
            self.emit_provider_configuration_changed(ProviderEventDetails())

    def _lost(self, fault: str) -> None:
        known_before, self._fault = bool(self._fault), fault
        if self._known.is_set():
            if not known_before:
                self.emit_provider_stale(ProviderEventDetails(message=fault))
        elif not known_before:
            self.emit_provider_error(ProviderEventDetails(message=fault, error_code=ErrorCode.GENERAL))


def _hash32(data: bytes, /) -> int:
    return mmh3.hash(data, 0, signed=False)


def _context(given: EvaluationContext | None) -> Context:
    if given is None:
        return {}
    context: Context = {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in given.attributes.items()
    }
    if given.targeting_key is not None:
        context[SUBJECT] = given.targeting_key
    return context


def _details(value: T, found: Evaluation) -> FlagResolutionDetails[T]:
    return FlagResolutionDetails(
        value=value, reason=Reason(found.reason.value), variant=found.variant, flag_metadata=found.metadata
    )


def _failed(default: T, code: ErrorCode, message: str) -> FlagResolutionDetails[T]:
    return FlagResolutionDetails(value=default, error_code=code, error_message=message, reason=Reason.ERROR)
