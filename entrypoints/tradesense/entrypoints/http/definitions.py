"""What the routes on flags and on segments have in common: definitions at revisions, written under conditions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from litestar import Response
from msgspec import Meta, Struct

from tradesense.core.flags.administration import Administration
from tradesense.core.flags.kinds import Kind
from tradesense.core.flags.models import Flag, Segment, Stored
from tradesense.entrypoints.http import conditional, problems
from tradesense.entrypoints.http.codec import Body
from tradesense.entrypoints.http.exchange import current
from tradesense.entrypoints.http.problems import Refused
from tradesense.entrypoints.services import Services

D = TypeVar("D", bound=Flag | Segment)
S = TypeVar("S", bound=Stored)
V = TypeVar("V", bound=Struct)


class Rollback(Body, frozen=True, kw_only=True):
    """Which revision to go back to."""

    revision: Annotated[int, Meta(ge=1)]


@dataclass(frozen=True, slots=True)
class Shelf(Generic[D, S, V]):
    """The definitions of a kind, as HTTP shows and takes them."""

    kind: Kind[D, S]
    show: type[V]
    """A definition with the fields of :class:`Stored`."""
    of: Callable[[Services], Administration[D, S]]

    def view(self, stored: S) -> V:
        """A revision, its parts as they are."""
        beside = {name: getattr(stored, name) for name in Stored.__struct_fields__}
        return self.show(**fields(self.kind.of(stored)), **beside)

    def named(self, key: str, data: D) -> D:
        """The definition in a body, under the key of the path.

        :raises Refused: it is of another key.
        """
        if data.key not in {"", key}:
            raise Refused(problems.INVALID_BODY, faults=[{"path": "$.key", "message": "it is not the key of the path"}])
        given: dict[str, Any] = {name: getattr(data, name) for name in self.kind.definition.__struct_fields__}
        given["key"] = key
        return self.kind.definition(**given)

    async def read(self, key: str) -> Response[V]:
        """The definition in force."""
        return self.tagged(await self.of(current().services).get(key))

    async def write(self, key: str, data: D) -> Response[V]:
        """Write a definition, over the revision that the request's condition names."""
        here = current()
        definition = self.named(key, data)
        expected = conditional.expected(here)
        with conditional.precondition(expected):
            stored = await self.of(here.services).put(
                definition, expected=expected, actor=here.actor, correlation_id=here.correlation_id
            )
        return self.tagged(stored)

    async def delete(self, key: str) -> None:
        """Remove a definition, if it is the revision that the request's condition names."""
        here = current()
        expected = conditional.expected(here)
        with conditional.precondition(expected):
            await self.of(here.services).delete(
                key, expected=expected, actor=here.actor, correlation_id=here.correlation_id
            )

    async def history(self, key: str) -> tuple[V, ...]:
        """Every revision, oldest first."""
        return tuple(map(self.view, await self.of(current().services).history(key)))

    async def rollback(self, key: str, revision: int) -> Response[V]:
        """Write an earlier revision as a new one, over the one that the request's condition names."""
        here = current()
        expected = conditional.expected(here)
        with conditional.precondition(expected):
            stored = await self.of(here.services).rollback(
                key, revision, expected=expected, actor=here.actor, correlation_id=here.correlation_id
            )
        return self.tagged(stored)

    def tagged(self, stored: S) -> Response[V]:
        """A revision, which is its own entity tag."""
        return Response(self.view(stored), headers={"ETag": conditional.tag(stored.revision)})


def fields(definition: Flag | Segment) -> dict[str, Any]:
    """The fields of a definition, its parts as they are."""
    return {name: getattr(definition, name) for name in type(definition).__struct_fields__}
