"""One-time tokens, and what accounts say of their addresses and their owners."""  # a revision is named by its number

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004_action_tokens"
down_revision = "0003_outbox"
branch_labels = None
depends_on = None

CODE_POINTS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the columns, and make the table."""
    op.add_column("users", sa.Column("verified", sa.Boolean(), nullable=False, server_default=sa.false()))
    for name in ("name", "locale", "next_email", "next_email_proved"):
        op.add_column("users", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "action_tokens",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("user_id", CODE_POINTS, nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_action_tokens_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_action_tokens")),
    )
    op.create_index(op.f("ix_action_tokens_expires_at"), "action_tokens", ["expires_at"])
    op.create_index(op.f("ix_action_tokens_user_id"), "action_tokens", ["user_id"])
