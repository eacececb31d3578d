"""The hooks that a plugin may implement. All of them are synchronous, and only called while the platform starts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import pluggy

from tradesense.plugins.manifest import Adapter

PROJECT = "tradesense"

F = TypeVar("F", bound=Callable[..., Any])

_spec = pluggy.HookspecMarker(PROJECT)
_impl = pluggy.HookimplMarker(PROJECT)


def hookimpl(function: F) -> F:
    """Mark a function as the implementation of the hook of the same name."""
    return _impl(function)


@_spec
def tradesense_adapters() -> Iterable[Adapter]:  # type: ignore[empty-body]  # a specification has no body
    """The adapters that this plugin offers."""
