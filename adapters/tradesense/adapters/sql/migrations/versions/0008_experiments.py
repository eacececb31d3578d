"""What experiments count, in place of a log that nothing wrote."""  # a revision is named by its number

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008_experiments"
down_revision = "0007_flag_revisions"
branch_labels = None
depends_on = None

CODE_POINTS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "experiment_exposures",
        sa.Column("flag", CODE_POINTS, nullable=False),
        sa.Column("targeting_key", CODE_POINTS, nullable=False),
        sa.Column("variant", CODE_POINTS, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("flag", "targeting_key", "variant", name=op.f("pk_experiment_exposures")),
    )
    op.create_table(
        "experiment_conversions",
        sa.Column("flag", CODE_POINTS, nullable=False),
        sa.Column("metric", CODE_POINTS, nullable=False),
        sa.Column("targeting_key", CODE_POINTS, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("flag", "metric", "targeting_key", name=op.f("pk_experiment_conversions")),
    )
    op.drop_table("exposures")
