"""What may be tried how often."""  # a revision is named by its number

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009_limits"
down_revision = "0008_experiments"
branch_labels = None
depends_on = None

FRACTION: sa.types.TypeEngine[float] = sa.Double()


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "limits",
        sa.Column("place", sa.LargeBinary(), nullable=False),
        sa.Column("attempts", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", FRACTION, nullable=False),
        sa.PrimaryKeyConstraint("place", name=op.f("pk_limits")),
    )
    op.create_index(op.f("ix_limits_expires_at"), "limits", ["expires_at"])
