"""Changes that wait for approval or for their time, in a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import bindparam, insert, select, update

from tradesense.adapters.sql._pages import page
from tradesense.adapters.sql._query import Query, Row
from tradesense.adapters.sql._room import Room
from tradesense.adapters.sql._tables import change_requests
from tradesense.core.errors import ChangeConflict, ChangeNotFound
from tradesense.core.flags.ports import ChangeStore
from tradesense.core.flags.requests import ChangeRequest, State, check_id
from tradesense.core.paging import Page, check_cursor

_row = change_requests.c
_ONE = Query(select(_row.content).where(_row.id == bindparam("id")))
_FOLLOWING = select(_row.content).where(_row.id > bindparam("after")).order_by(_row.id).limit(bindparam("limit"))
_ALL, _OF_STATE = Query(_FOLLOWING), Query(_FOLLOWING.where(_row.state == bindparam("state")))
_DUE = Query(
    select(_row.content).where(_row.due <= bindparam("now")).order_by(_row.due, _row.id).limit(bindparam("limit"))
)
_ADD = insert(change_requests)
_REPLACE = (
    update(change_requests)
    .where(_row.id == bindparam("of"), _row.version == bindparam("before"))
    .values({name: bindparam(name) for name in ("state", "due", "version", "content")})
)


class SqlChanges(Room):
    """See :class:`ChangeStore`."""

    async def add(self, request: ChangeRequest) -> None:
        """See :meth:`ChangeStore.add`."""
        await self._ready().change(_ADD, {"id": request.id, **_columns(request)})

    async def get(self, request_id: str) -> ChangeRequest:
        """See :meth:`ChangeStore.get`."""
        rows = await self._ready().fetch(_ONE, {"id": request_id})
        if not rows:
            raise ChangeNotFound(f"there is no change {request_id[:80]!r}")
        return _decode(rows[0])

    async def list(
        self, *, state: State | None = None, cursor: str | None = None, limit: int = 100
    ) -> Page[ChangeRequest]:
        """See :meth:`ChangeStore.list`."""
        asked: dict[str, Any] = {"after": check_cursor(cursor, check_id) or "", "limit": limit + 1}
        if state is None:
            rows = await self._ready().fetch(_ALL, asked)
        else:
            rows = await self._ready().fetch(_OF_STATE, asked | {"state": state.value})
        return page([_decode(row) for row in rows], limit, lambda request: request.id)

    async def replace(self, request: ChangeRequest) -> None:
        """See :meth:`ChangeStore.replace`."""
        named = {"of": request.id, "before": request.version - 1}
        if not await self._ready().change(_REPLACE, named | _columns(request)):
            raise ChangeConflict(f"the change {request.id} has gone on meanwhile", mend="read it again")

    async def due(self, now: datetime, *, limit: int) -> Sequence[ChangeRequest]:
        """See :meth:`ChangeStore.due`."""
        return tuple(_decode(row) for row in await self._ready().fetch(_DUE, {"now": now, "limit": limit}))


def _columns(request: ChangeRequest) -> dict[str, Any]:
    return {
        "state": request.state.value,
        "due": request.not_before if request.state is State.SCHEDULED else None,
        "version": request.version,
        "content": msgspec.json.encode(request).decode(),
    }


def _decode(row: Row) -> ChangeRequest:
    return msgspec.json.decode(row[0], type=ChangeRequest)


_: type[ChangeStore] = SqlChanges
