"""The fencing tokens that writes have been made with."""  # a revision is named by its number

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002_fences"
down_revision = "0001_first_tables"
branch_labels = None
depends_on = None

CODE_POINTS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "fences",
        sa.Column("name", CODE_POINTS, nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_fences")),
    )
