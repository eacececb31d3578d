"""Authors, deletions, keys and metadata of secrets."""  # a revision is named by its number

from __future__ import annotations

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0005_secrets"
down_revision = "0004_action_tokens"
branch_labels = None
depends_on = None

CODE_POINTS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
BATCH = 1_000


def upgrade() -> None:
    """Add the columns, and fill them in for what is there."""
    op.add_column("secrets", sa.Column("custom", sa.Text(), nullable=False, server_default="{}"))
    op.add_column("secrets", sa.Column("max_versions", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("secrets", sa.Column("delete_after", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("secret_versions", sa.Column("created_by", sa.Text(), nullable=False, server_default=""))
    op.add_column("secret_versions", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("secret_versions", sa.Column("key_id", CODE_POINTS, nullable=False, server_default=""))
    _name_keys()
    _date_deletions()
    op.create_index(op.f("ix_secret_versions_key_id"), "secret_versions", ["key_id"])


def _name_keys() -> None:
    """An envelope is an array whose second member is the id of its key."""
    rows = sa.table(
        "secret_versions", sa.column("path"), sa.column("version"), sa.column("envelope"), sa.column("key_id")
    )
    place = sa.tuple_(rows.c.path, rows.c.version)
    connection, after = op.get_bind(), ("", 0)
    change = (
        sa.update(rows)
        .where(rows.c.path == sa.bindparam("at"), rows.c.version == sa.bindparam("number"))
        .values(key_id=sa.bindparam("key"))
    )
    while True:
        batch = connection.execute(
            sa.select(rows.c.path, rows.c.version, rows.c.envelope)
            .where(place > sa.tuple_(*map(sa.literal, after)))
            .order_by(rows.c.path, rows.c.version)
            .limit(BATCH)
        ).all()
        if not batch:
            return
        after = (batch[-1].path, batch[-1].version)
        connection.execute(
            change,
            [
                {"at": row.path, "number": row.version, "key": msgspec.msgpack.decode(bytes(row.envelope))[1]}
                for row in batch
            ],
        )


def _date_deletions() -> None:
    """What was deleted was deleted with its secret, whose last deletion is known at most."""
    secrets = sa.table("secrets", sa.column("path"), sa.column("deleted_at"), sa.column("current_version"))
    rows = sa.table(
        "secret_versions", sa.column("path"), sa.column("state"), sa.column("deleted_at"), sa.column("created_at")
    )
    when = (
        sa.select(sa.func.coalesce(secrets.c.deleted_at, rows.c.created_at))
        .where(secrets.c.path == rows.c.path)
        .scalar_subquery()
    )
    op.execute(sa.update(rows).where(rows.c.state == "deleted").values(deleted_at=when))
