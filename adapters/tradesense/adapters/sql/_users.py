"""Accounts in tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import groupby
from typing import Any
from uuid import UUID

from msgspec.structs import replace
from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tradesense.adapters.sql._database import Database
from tradesense.adapters.sql._pages import page
from tradesense.adapters.sql._query import Query, Row
from tradesense.adapters.sql._tables import user_roles, users
from tradesense.core.errors import Conflict, EmailTaken, UserNotFound
from tradesense.core.identity.models import User
from tradesense.core.identity.repositories import UserRepository
from tradesense.core.paging import Page, check_cursor
from tradesense.core.sensitive import Secret

USER_COLUMNS = (
    users.c.id,
    users.c.email,
    users.c.email_key,
    users.c.password_hash,
    users.c.disabled,
    users.c.verified,
    users.c.name,
    users.c.locale,
    users.c.next_email,
    users.c.next_email_proved,
    users.c.epoch,
    users.c.version,
    users.c.created_at,
    user_roles.c.role,
)
"""One row for each role, or one with none."""

AFTER_USER = len(USER_COLUMNS)
"""Where what is selected besides the user begins in a row."""

_WITH_ROLES = users.outerjoin(user_roles, user_roles.c.user_id == users.c.id)
_USER = select(*USER_COLUMNS).select_from(_WITH_ROLES).order_by(user_roles.c.position)
_BY_ID = Query(_USER.where(users.c.id == bindparam("id")))
_BY_EMAIL = Query(_USER.where(users.c.email_key == bindparam("email_key")))
_EXISTS = select(users.c.id).where(users.c.id == bindparam("id"))

_ADD = insert(users)
_ADD_ROLES = insert(user_roles)
_REMOVE = delete(users).where(users.c.id == bindparam("of"))
_DROP_ROLES = delete(user_roles).where(user_roles.c.user_id == bindparam("of"))
_UPDATE = (
    update(users)
    .where(users.c.id == bindparam("of"), users.c.version == bindparam("expected"))
    .values({name: bindparam(name) for name in users.c.keys() if name != "id"})  # noqa: SIM118  # not a dict
)


class SqlUsers:
    """See :class:`UserRepository`."""

    def __init__(self, database: Callable[[], Database]) -> None:
        self._database = database

    async def add(self, user: User) -> None:
        """See :meth:`UserRepository.add`."""
        async with self._database().writing() as connection:
            try:
                async with connection.begin_nested():  # so that a transaction around us can go on
                    await connection.execute(_ADD, _row(user))
            except IntegrityError as error:
                raise _refusal(error) from error
            await _add_roles(connection, user)

    async def get(self, user_id: str) -> User:
        """See :meth:`UserRepository.get`."""
        rows = await self._database().fetch(_BY_ID, {"id": user_id})
        if not rows:
            raise UserNotFound(f"there is no user {user_id!r}")
        return user_of(rows)

    async def by_email(self, email_key: str) -> User | None:
        """See :meth:`UserRepository.by_email`."""
        rows = await self._database().fetch(_BY_EMAIL, {"email_key": email_key})
        return user_of(rows) if rows else None

    async def update(self, user: User) -> User:
        """See :meth:`UserRepository.update`."""
        updated = replace(user, version=user.version + 1)
        row = _row(updated) | {"of": user.id, "expected": user.version}
        del row["id"]
        async with self._database().writing() as connection:
            try:
                async with connection.begin_nested():
                    written = (await connection.execute(_UPDATE, row)).rowcount
            except IntegrityError as error:
                raise _refusal(error) from error
            if not written:
                if (await connection.execute(_EXISTS, {"id": user.id})).first() is None:
                    raise UserNotFound(f"there is no user {user.id!r}")
                raise Conflict(f"user {user.id!r} no longer has version {user.version}", mend="read it again")
            await connection.execute(_DROP_ROLES, {"of": user.id})
            await _add_roles(connection, updated)
        return updated

    async def list(self, *, role: str = "", cursor: str | None = None, limit: int = 100) -> Page[User]:
        """See :meth:`UserRepository.list`."""
        after = check_cursor(cursor, UUID)
        rows = await self._database().fetch(
            _listed(by_role=bool(role)), {"role": role, "after": after or "", "limit": limit + 1}
        )
        found = [user_of(list(group)) for _, group in groupby(rows, key=lambda row: row[0])]
        return page(found, limit, lambda user: user.id)

    async def remove(self, user_id: str) -> bool:
        """See :meth:`UserRepository.remove`. The database removes what hangs on the account with it."""
        return await self._database().change(_REMOVE, {"of": user_id}) > 0


def user_of(rows: Sequence[Row]) -> User:
    """The user whose rows these are, each starting with :data:`USER_COLUMNS`."""
    first, role = rows[0], AFTER_USER - 1
    return User(
        id=first[0],
        email=first[1],
        email_key=first[2],
        password_hash=Secret(first[3]),
        roles=tuple(row[role] for row in rows if row[role] is not None),
        disabled=first[4],
        verified=first[5],
        name=first[6],
        locale=first[7],
        next_email=first[8],
        next_email_proved=first[9],
        epoch=first[10],
        version=first[11],
        created_at=first[12],
    )


@cache
def _listed(*, by_role: bool) -> Query:
    ids = select(users.c.id).where(users.c.id > bindparam("after"))
    if by_role:
        ids = (
            select(user_roles.c.user_id.label("id"))
            .where(user_roles.c.role == bindparam("role"), user_roles.c.user_id > bindparam("after"))
            .distinct()
        )
    few = ids.order_by("id").limit(bindparam("limit")).subquery()
    rows = select(*USER_COLUMNS).select_from(few.join(_WITH_ROLES, users.c.id == few.c.id))
    # Who has a role is asked to decide something, such as whether there is an administrator yet.
    return Query(rows.order_by(users.c.id, user_roles.c.position), lagging=not by_role)


def _row(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "email": user.email,
        "email_key": user.email_key,
        "password_hash": user.password_hash.reveal(),
        "disabled": user.disabled,
        "verified": user.verified,
        "name": user.name,
        "locale": user.locale,
        "next_email": user.next_email,
        "next_email_proved": user.next_email_proved,
        "epoch": user.epoch,
        "version": user.version,
        "created_at": user.created_at,
    }


async def _add_roles(connection: AsyncConnection, user: User) -> None:
    if user.roles:
        rows = [{"user_id": user.id, "position": at, "role": role} for at, role in enumerate(user.roles)]
        await connection.execute(_ADD_ROLES, rows)


def _refusal(error: IntegrityError) -> Conflict:
    """Which of the account's two unique values is another's. Both databases name the one at fault."""
    if "email_key" in str(error.orig).partition("DETAIL")[0]:
        return EmailTaken()
    return Conflict("there is an account with this id")


_: type[UserRepository] = SqlUsers
