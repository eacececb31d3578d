"""API keys and roles in tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec
from sqlalchemy import bindparam, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from tradesense.adapters.sql._database import Database
from tradesense.adapters.sql._query import Query, Row
from tradesense.adapters.sql._tables import api_keys, roles, user_roles, users
from tradesense.adapters.sql._users import AFTER_USER, USER_COLUMNS, user_of
from tradesense.core.errors import Conflict
from tradesense.core.identity.models import ApiKey, StoredRole, User
from tradesense.core.identity.repositories import ApiKeyRepository, RoleRepository
from tradesense.core.identity.rules import Role

_KEY = tuple(api_keys.c)
_FOUND = Query(
    select(*USER_COLUMNS, *_KEY)
    .select_from(
        api_keys.join(users, users.c.id == api_keys.c.user_id).outerjoin(user_roles, user_roles.c.user_id == users.c.id)
    )
    .where(api_keys.c.key_hash == bindparam("key_hash"))
    .order_by(user_roles.c.position)
)
_OF_USER = Query(select(*_KEY).where(api_keys.c.user_id == bindparam("user")).order_by(api_keys.c.id))
_ADD = insert(api_keys)
_TOUCH = (
    update(api_keys)
    .where(
        api_keys.c.id == bindparam("of"),
        or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at < bindparam("at")),
    )
    .values(last_used_at=bindparam("at"))
)
_REMOVE = delete(api_keys).where(api_keys.c.id == bindparam("of"), api_keys.c.user_id == bindparam("user"))

_ROLES = Query(select(roles.c.definition, roles.c.revision, roles.c.updated_at).order_by(roles.c.name))
_ADD_ROLE = insert(roles)
_REVISION = select(roles.c.revision).where(roles.c.name == bindparam("of"))
_CHANGE_ROLE = (
    update(roles)
    .where(roles.c.name == bindparam("of"), roles.c.revision == bindparam("current"))
    .values({name: bindparam(name) for name in ("revision", "definition", "updated_at")})
)


class SqlApiKeys:
    """See :class:`ApiKeyRepository`."""

    def __init__(self, database: Callable[[], Database]) -> None:
        self._database = database

    async def add(self, key: ApiKey) -> None:
        """See :meth:`ApiKeyRepository.add`."""
        row = msgspec.structs.asdict(key) | {"scopes": " ".join(key.scopes)}
        await self._database().change(_ADD, row)

    async def find(self, key_hash: bytes) -> tuple[ApiKey, User] | None:
        """See :meth:`ApiKeyRepository.find`."""
        rows = await self._database().fetch(_FOUND, {"key_hash": key_hash})
        return (_key(rows[0][AFTER_USER:]), user_of(rows)) if rows else None

    async def of_user(self, user_id: str) -> Sequence[ApiKey]:
        """See :meth:`ApiKeyRepository.of_user`."""
        return [_key(row) for row in await self._database().fetch(_OF_USER, {"user": user_id})]

    async def touch(self, key_id: str, at: datetime) -> None:
        """See :meth:`ApiKeyRepository.touch`."""
        await self._database().change(_TOUCH, {"of": key_id, "at": at})

    async def remove(self, user_id: str, key_id: str) -> bool:
        """See :meth:`ApiKeyRepository.remove`."""
        return await self._database().change(_REMOVE, {"of": key_id, "user": user_id}) > 0


class SqlRoles:
    """See :class:`RoleRepository`."""

    def __init__(self, database: Callable[[], Database]) -> None:
        self._database = database

    async def all(self) -> Sequence[StoredRole]:
        """See :meth:`RoleRepository.all`."""
        return [_role(row) for row in await self._database().fetch(_ROLES, {})]

    async def put(self, role: Role, at: datetime, *, expected: int | None = None) -> StoredRole:
        """See :meth:`RoleRepository.put`. Who is overtaken between reading and writing is told so."""
        definition = msgspec.json.encode(role).decode()
        async with self._database().writing() as connection:
            row = (await connection.execute(_REVISION, {"of": role.name})).first()
            current = row[0] if row else 0
            if expected is not None and expected != current:
                raise _overtaken(role.name)
            written = {"revision": current + 1, "definition": definition, "updated_at": at}
            try:
                async with connection.begin_nested():
                    if current == 0:
                        await connection.execute(_ADD_ROLE, written | {"name": role.name})
                        changed = 1
                    else:
                        changed = (
                            await connection.execute(_CHANGE_ROLE, written | {"of": role.name, "current": current})
                        ).rowcount
            except IntegrityError as error:
                raise _overtaken(role.name) from error
            if not changed:
                raise _overtaken(role.name)
        return _role((definition, current + 1, at))


def _overtaken(name: str) -> Conflict:
    return Conflict(f"the role {name!r} has another revision", mend="read it again")


def _key(row: Row) -> ApiKey:
    key_id, key_hash, prefix, user_id, name, scopes, created_at, expires_at, last_used_at = row
    return ApiKey(
        id=key_id,
        key_hash=key_hash,
        prefix=prefix,
        user_id=user_id,
        name=name,
        scopes=tuple(scopes.split()),
        created_at=created_at,
        expires_at=expires_at,
        last_used_at=last_used_at,
    )


def _role(row: Row) -> StoredRole:
    definition, revision, updated_at = row
    return StoredRole(role=msgspec.json.decode(definition, type=Role), revision=revision, updated_at=updated_at)


_: type[ApiKeyRepository] = SqlApiKeys
_roles: type[RoleRepository] = SqlRoles
