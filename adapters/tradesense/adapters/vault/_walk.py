"""The folders of an engine, walked in the order in which the platform lists."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

from tradesense.core.errors import InvalidSecretPath
from tradesense.core.secrets.models import check_path


async def walk(names: Callable[[str], Awaitable[Sequence[str]]], prefix: str, after: str) -> AsyncGenerator[str]:
    """Every path with ``prefix`` beyond ``after``, deleted ones included, in code-point order.

    A folder sorts by its name with the slash, which is how all that it holds sorts.
    """
    waiting = [prefix[: prefix.rfind("/") + 1]]
    while waiting:
        place = waiting.pop()
        if place and not place.endswith("/"):
            yield place
            continue
        below = [f"{place}{name}" for name in await names(place)]
        waiting += sorted((path for path in below if _is_wanted(path, prefix, after)), reverse=True)


async def first(paths: AsyncGenerator[str], count: int) -> AsyncGenerator[str]:
    """At most ``count`` of them; the rest stays."""
    for _ in range(count):
        try:
            yield await anext(paths)
        except StopAsyncIteration:
            return


def _is_wanted(path: str, prefix: str, after: str) -> bool:
    """Whether ``path``, or something below it where it is a folder, is to be listed.

    Names that the platform's paths cannot hold are somebody else's.
    """
    try:
        check_path(path.removesuffix("/"))
    except InvalidSecretPath:
        return False
    return path.startswith(prefix) and (path > after or (path.endswith("/") and after.startswith(path)))
