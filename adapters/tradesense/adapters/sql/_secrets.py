"""The statements of the secrets room.

A secret's row says which version is current and when that one was, or will be, deleted, so that reading and listing
need not look at the versions. A secret that was destroyed keeps its row, without a current version: it goes on
counting.
"""

from __future__ import annotations

from sqlalchemy import and_, bindparam, delete, func, insert, or_, select, update

from tradesense.adapters.sql._query import Query
from tradesense.adapters.sql._tables import secret_versions, secrets
from tradesense.core.secrets.models import VersionState

AVAILABLE, DELETED, DESTROYED = (
    VersionState.AVAILABLE.value,
    VersionState.DELETED.value,
    VersionState.DESTROYED.value,
)
"""How states are stored. A pending version is available, and its secret's row names it."""

_HERE = secrets.c.path == bindparam("path")
_NOW = bindparam("now", type_=secrets.c.deleted_at.type)
_THERE = (secrets.c.current_version > 0, or_(secrets.c.deleted_at.is_(None), secrets.c.deleted_at > _NOW))
_VERSION = select(
    secret_versions.c.version,
    secret_versions.c.envelope,
    secret_versions.c.created_at,
    secret_versions.c.created_by,
).select_from(secrets.join(secret_versions, secret_versions.c.path == secrets.c.path))
_READABLE = (
    secret_versions.c.state == AVAILABLE,
    or_(secret_versions.c.deleted_at.is_(None), secret_versions.c.deleted_at > _NOW),
)

CURRENT = Query(_VERSION.where(_HERE, *_THERE, secret_versions.c.version == secrets.c.current_version))
NUMBERED = Query(_VERSION.where(_HERE, secret_versions.c.version == bindparam("version"), *_READABLE))
PENDING = Query(_VERSION.where(_HERE, secret_versions.c.version == secrets.c.pending_version))
VERSIONS = Query(
    select(
        secret_versions.c.version,
        secret_versions.c.created_at,
        secret_versions.c.created_by,
        secret_versions.c.state,
        secret_versions.c.deleted_at,
        secrets.c.current_version,
        secrets.c.pending_version,
    )
    .select_from(secrets.join(secret_versions, secret_versions.c.path == secrets.c.path))
    .where(_HERE, secrets.c.current_version > 0)
    .order_by(secret_versions.c.version)
)
PATHS = Query(
    select(secrets.c.path)
    .where(
        secrets.c.path >= bindparam("first"),
        secrets.c.path < bindparam("last"),
        secrets.c.path > bindparam("after"),
        *_THERE,
    )
    .order_by(secrets.c.path)
    .limit(bindparam("limit"))
)
KNOWN = Query(
    select(secrets.c.custom, secrets.c.max_versions, secrets.c.delete_after).where(_HERE, secrets.c.current_version > 0)
)
COUNTS = Query(
    select(secret_versions.c.key_id, func.count())
    .where(secret_versions.c.key_id != "")
    .group_by(secret_versions.c.key_id)
)
UNDER_OTHERS = Query(
    select(secret_versions.c.path, secret_versions.c.version, secret_versions.c.key_id, secret_versions.c.envelope)
    .where(
        secret_versions.c.key_id != "",
        secret_versions.c.key_id != bindparam("current"),
        or_(
            secret_versions.c.path > bindparam("after_path"),
            and_(
                secret_versions.c.path == bindparam("after_path"),
                secret_versions.c.version > bindparam("after_version"),
            ),
        ),
    )
    .order_by(secret_versions.c.path, secret_versions.c.version)
    .limit(bindparam("limit"))
)

LOCKED = (
    select(
        secrets.c.current_version,
        secrets.c.pending_version,
        secrets.c.latest_version,
        secrets.c.deleted_at,
        secrets.c.max_versions,
        secrets.c.delete_after,
    )
    .where(_HERE)
    .with_for_update()
)
SEALERS = 7_349_021_866_450_318_272
"""The advisory lock on PostgreSQL that who seals shares, until its transaction ends, and who retires a key has alone.
On SQLite a writing transaction is alone anyhow."""
LOCKED_TO_SEAL = LOCKED.add_columns(func.pg_advisory_xact_lock_shared(SEALERS))
"""The same in one statement: it costs no way to the server of its own."""
HOLD = select(func.pg_advisory_xact_lock(SEALERS))
STATES = select(secret_versions.c.version, secret_versions.c.state, secret_versions.c.deleted_at).where(
    secret_versions.c.path == bindparam("path")
)

_OF = secrets.c.path == bindparam("of")
_VERSION_OF = secret_versions.c.path == bindparam("of")
ADD = insert(secret_versions)
MOVE = (
    update(secrets)
    .where(_OF)
    .values({name: bindparam(name) for name in ("current_version", "pending_version", "latest_version", "deleted_at")})
)
DESCRIBE = update(secrets).where(_OF, secrets.c.current_version > 0).values(custom=bindparam("text"))
RETAIN = (
    update(secrets)
    .where(_OF, secrets.c.current_version > 0)
    .values(max_versions=bindparam("most"), delete_after=bindparam("age"))
)
FORGET = update(secrets).where(_OF).values(custom="{}", max_versions=0, delete_after=0)
DROP = delete(secret_versions).where(_VERSION_OF, secret_versions.c.version == bindparam("dropped"))
DROP_ALL = delete(secret_versions).where(_VERSION_OF)
MARK = (
    update(secret_versions)
    .where(_VERSION_OF, secret_versions.c.version == bindparam("marked"))
    .values(state=bindparam("new_state"), deleted_at=bindparam("at"))
)
WIPE = (
    update(secret_versions)
    .where(_VERSION_OF, secret_versions.c.version == bindparam("marked"))
    .values(state=DESTROYED, deleted_at=bindparam("at"), envelope=b"", key_id="")
)
RESEAL = (
    update(secret_versions)
    .where(
        _VERSION_OF,
        secret_versions.c.version == bindparam("number"),
        secret_versions.c.key_id == bindparam("old_key"),
    )
    .values(envelope=bindparam("sealed"), key_id=bindparam("new_key"))
)
