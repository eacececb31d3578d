"""Jobs that wait in the database for the queue."""  # a revision is named by its number

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003_outbox"
down_revision = "0002_fences"
branch_labels = None
depends_on = None

CODE_POINTS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
AUTO_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
FRACTION: sa.types.TypeEngine[float] = sa.Double()


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "outbox",
        sa.Column("seq", AUTO_ID, nullable=False),
        sa.Column("id", CODE_POINTS, nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=True),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("held_until", FRACTION, nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_outbox")),
        sa.UniqueConstraint("id", name=op.f("uq_outbox_id")),
    )
    op.create_index(op.f("ix_outbox_key"), "outbox", ["key"])
    op.create_table(
        "outbox_keys",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("added_at", FRACTION, nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_outbox_keys")),
    )
    op.create_index(op.f("ix_outbox_keys_added_at"), "outbox_keys", ["added_at"])
