"""The first tables of every room."""  # a revision is named by its number

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001_first_tables"
down_revision = None
branch_labels = None
depends_on = None

CODE_POINTS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
AUTO_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)
FRACTION: sa.types.TypeEngine[float] = sa.Double()


def upgrade() -> None:
    """Make the tables."""
    _identity()
    _secrets()
    _flags()
    _config()
    _audit()
    _cache()


def _identity() -> None:
    op.create_table(
        "users",
        sa.Column("id", CODE_POINTS, nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("email_key", CODE_POINTS, nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email_key", name=op.f("uq_users_email_key")),
    )
    op.create_table(
        "user_roles",
        sa.Column("user_id", CODE_POINTS, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("role", CODE_POINTS, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_user_roles_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "position", name=op.f("pk_user_roles")),
    )
    op.create_index(op.f("ix_user_roles_role_user_id"), "user_roles", ["role", "user_id"])
    op.create_table(
        "sessions",
        sa.Column("id", CODE_POINTS, nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", CODE_POINTS, nullable=False),
        sa.Column("user_epoch", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("last_seen_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("methods", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sessions_user_id_users"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_sessions_token_hash")),
    )
    op.create_index(op.f("ix_sessions_expires_at"), "sessions", ["expires_at"])
    op.create_index(op.f("ix_sessions_last_seen_at"), "sessions", ["last_seen_at"])
    op.create_index(op.f("ix_sessions_user_id"), "sessions", ["user_id"])
    op.create_table(
        "refresh_tokens",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("session_id", CODE_POINTS, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("spent_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("fk_refresh_tokens_session_id_sessions"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_refresh_tokens")),
    )
    op.create_index(op.f("ix_refresh_tokens_session_id"), "refresh_tokens", ["session_id"])


def _secrets() -> None:
    op.create_table(
        "secrets",
        sa.Column("path", CODE_POINTS, nullable=False),
        sa.Column("current_version", sa.Integer(), nullable=False),
        sa.Column("pending_version", sa.Integer(), nullable=True),
        sa.Column("latest_version", sa.Integer(), nullable=False),
        sa.Column("deleted_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("path", name=op.f("pk_secrets")),
    )
    op.create_table(
        "secret_versions",
        sa.Column("path", CODE_POINTS, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["path"], ["secrets.path"], name=op.f("fk_secret_versions_path_secrets")),
        sa.PrimaryKeyConstraint("path", "version", name=op.f("pk_secret_versions")),
    )


def _flags() -> None:
    op.create_table(
        "flags",
        sa.Column("key", CODE_POINTS, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_flags")),
    )
    generation = op.create_table(
        "flag_generation",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flag_generation")),
    )
    op.bulk_insert(generation, [{"id": 1, "value": 0}])
    op.create_table(
        "exposures",
        sa.Column("id", AUTO_ID, nullable=False),
        sa.Column("flag", CODE_POINTS, nullable=False),
        sa.Column("variant", sa.Text(), nullable=False),
        sa.Column("targeting_key", sa.Text(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exposures")),
    )
    op.create_index(op.f("ix_exposures_flag_at"), "exposures", ["flag", "at"])


def _config() -> None:
    op.create_table(
        "settings",
        sa.Column("key", CODE_POINTS, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_settings")),
    )
    op.create_table(
        "setting_revisions",
        sa.Column("key", CODE_POINTS, nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("public", sa.Boolean(), nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["key"], ["settings.key"], name=op.f("fk_setting_revisions_key_settings")),
        sa.PrimaryKeyConstraint("key", "revision", name=op.f("pk_setting_revisions")),
    )


def _audit() -> None:
    op.create_table(
        "audit_heads",
        sa.Column("stream", CODE_POINTS, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("stream", name=op.f("pk_audit_heads")),
    )
    op.create_table(
        "audit_records",
        sa.Column("stream", CODE_POINTS, nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("previous", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("action", CODE_POINTS, nullable=False),
        sa.Column("actor_id", CODE_POINTS, nullable=False),
        sa.Column("subject", CODE_POINTS, nullable=False),
        sa.ForeignKeyConstraint(["stream"], ["audit_heads.stream"], name=op.f("fk_audit_records_stream_audit_heads")),
        sa.PrimaryKeyConstraint("stream", "seq", name=op.f("pk_audit_records")),
    )
    op.create_index(op.f("ix_audit_records_stream_action_seq"), "audit_records", ["stream", "action", "seq"])
    op.create_index(op.f("ix_audit_records_stream_actor_id_seq"), "audit_records", ["stream", "actor_id", "seq"])
    op.create_index(op.f("ix_audit_records_stream_subject_seq"), "audit_records", ["stream", "subject", "seq"])


def _cache() -> None:
    op.create_table(
        "leases",
        sa.Column("name", CODE_POINTS, nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", FRACTION, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
