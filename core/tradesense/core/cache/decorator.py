"""``@cached``: a function whose results are kept."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache, update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar

import msgspec

from tradesense.core.cache.named import NamedCache
from tradesense.core.cache.options import EntryOptions
from tradesense.core.errors import InvalidCacheKey

P = ParamSpec("P")
T = TypeVar("T")

REMEMBERED = 4096
"""Argument lists whose keys are remembered, for each function."""
DIGEST_BYTES = 16
_ATOMS = frozenset({str, bytes, int, bool, type(None)})
"""Types whose equal values of one type are the same value, down to the last bit."""


class _NotRemembered(Exception):
    """The key of these arguments has to be made each time."""


class CachedFunction(Generic[P, T]):
    """The function behind its cache."""

    def __init__(
        self,
        function: Callable[P, Awaitable[T]],
        cache: NamedCache[T],
        key: Callable[P, str] | None,
        tags: Callable[P, Sequence[str]] | None,
        options: EntryOptions,
    ) -> None:
        update_wrapper(self, function)
        self._function = function
        self._cache = cache
        self._key = key
        self._tags = tags
        self._options = options
        self._name = f"{function.__module__}.{function.__qualname__}"
        self._signature = inspect.signature(function)
        self._remembered: Callable[..., str] = lru_cache(maxsize=REMEMBERED, typed=True)(self._rememberable)
        self._quick = cache.quick

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """The kept result, or that of the function."""
        try:
            full = self._remembered(*args, **kwargs)
        except (_NotRemembered, TypeError):  # a TypeError: an argument that has no hash
            full = self._made(*args, **kwargs)
        entry = self._quick(full)
        if entry is not None:
            value: T = entry.value
            return value
        tags = self._tags(*args, **kwargs) if self._tags is not None else ()
        return await self._cache.get_or_set(  # type: ignore[return-value]  # None comes only from the function
            full[len(self._cache.name) + 1 :],
            lambda _: self._function(*args, **kwargs),
            tags=tags,
            options=self._options,
        )

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """The key of the result for these arguments."""
        return self._made(*args, **kwargs)[len(self._cache.name) + 1 :]

    async def remove(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Forget the result for these arguments, in every process."""
        await self._cache.remove(self.key(*args, **kwargs))

    def _rememberable(self, *args: P.args, **kwargs: P.kwargs) -> str:
        if not all(type(argument) in _ATOMS for argument in (*args, *kwargs.values())):
            raise _NotRemembered
        return self._made(*args, **kwargs)

    def _made(self, *args: P.args, **kwargs: P.kwargs) -> str:
        if self._key is not None:
            return self._cache.full(self._key(*args, **kwargs))
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return self._cache.full(f"{self._name}:{_digest(bound.arguments)}")


def cached(
    cache: NamedCache[T],
    *,
    key: Callable[P, str] | None = None,
    tags: Callable[P, Sequence[str]] | None = None,
    options: EntryOptions | None = None,
) -> Callable[[Callable[P, Awaitable[T]]], CachedFunction[P, T]]:
    """Keep the results of an asynchronous function in ``cache``, by its arguments.

    :param key: makes the key of the arguments; else it is the function's name with a digest of all of them, in which
        ``1``, ``True``, ``1.0`` and ``"1"`` are different, and an argument is the same by position and by name.
    :param tags: makes the tags of the arguments.
    :param options: in place of those of the cache.
    """

    def decorate(function: Callable[P, Awaitable[T]]) -> CachedFunction[P, T]:
        return CachedFunction(function, cache, key, tags, options or cache.options)

    return decorate


def _digest(arguments: dict[str, Any]) -> str:
    """What is the same for the same arguments, and for no others.

    :raises InvalidCacheKey: an argument has no MessagePack form.
    """
    try:
        typed = [(name, _typed(value)) for name, value in arguments.items()]
        plain = msgspec.msgpack.encode(typed, order="deterministic")
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidCacheKey(
            "an argument has no MessagePack form", mend="give the function a key of its own"
        ) from error
    return hashlib.blake2b(plain, digest_size=DIGEST_BYTES).hexdigest()


def _typed(value: Any) -> Any:
    """The value with its type, all the way down."""
    name = _type_name(value)
    if isinstance(value, list | tuple):
        return name, [_typed(part) for part in value]  # pyright: ignore[reportUnknownVariableType]  # of anything
    if isinstance(value, dict):
        return name, {key: _typed(part) for key, part in value.items()}  # pyright: ignore[reportUnknownVariableType]  # the same
    return name, value


def _type_name(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"
