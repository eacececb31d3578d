"""Changes of flags and segments that wait."""  # a revision is named by its number

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010_change_requests"
down_revision = "0009_limits"
branch_labels = None
depends_on = None

CODE_POINTS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "change_requests",
        sa.Column("id", CODE_POINTS, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("due", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change_requests")),
    )
    op.create_index(op.f("ix_change_requests_state"), "change_requests", ["state"])
    op.create_index(op.f("ix_change_requests_due"), "change_requests", ["due"])
