"""Segments, and every revision of flags and segments."""  # a revision is named by its number

from __future__ import annotations

from hashlib import sha256

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0007_flag_revisions"
down_revision = "0006_grants"
branch_labels = None
depends_on = None

CODE_POINTS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables, and fill the history of what is there."""
    op.add_column("flags", sa.Column("updated_by", sa.Text(), nullable=False, server_default=""))
    op.add_column("flags", sa.Column("digest", sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "segments",
        sa.Column("key", CODE_POINTS, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False, server_default=""),
        sa.Column("digest", sa.Text(), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_segments")),
    )
    for name in ("flag", "segment"):
        _revisions(name)
    _begin()


def _revisions(name: str) -> None:
    op.create_table(
        f"{name}_revisions",
        sa.Column("key", CODE_POINTS, nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["key"], [f"{name}s.key"], name=op.f(f"fk_{name}_revisions_key_{name}s")),
        sa.PrimaryKeyConstraint("key", "revision", name=op.f(f"pk_{name}_revisions")),
    )


def _begin() -> None:
    """Give each flag its digest, and its last revision as the first that is known of it."""
    key, definition, digest = (sa.column(name, sa.Text()) for name in ("key", "definition", "digest"))
    flags = sa.table("flags", key, definition, digest)
    connection = op.get_bind()
    for name, text in connection.execute(sa.select(key, definition).select_from(flags)).all():
        made = sha256(msgspec.json.encode(msgspec.json.decode(text), order="sorted")).hexdigest()
        connection.execute(sa.update(flags).where(key == name).values(digest=made))
    names = "key, revision, definition, updated_at, deleted, updated_by, digest"
    op.execute(f"INSERT INTO flag_revisions ({names}) SELECT {names} FROM flags")  # noqa: S608  # both are ours
