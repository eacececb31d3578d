"""The tables. A change here comes with a revision in ``migrations/versions``; a test holds the two together."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    false,
)

from tradesense.adapters.sql._types import AutoId, CodePoints, UtcDateTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

users = Table(
    "users",
    metadata,
    Column("id", CodePoints, primary_key=True),
    Column("email", Text, nullable=False),
    Column("email_key", CodePoints, nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("verified", Boolean, nullable=False, server_default=false()),
    Column("name", Text, nullable=False, server_default=""),
    Column("locale", Text, nullable=False, server_default=""),
    Column("next_email", Text, nullable=False, server_default=""),
    Column("next_email_proved", Text, nullable=False, server_default=""),
    Column("epoch", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

user_roles = Table(
    "user_roles",
    metadata,
    Column("user_id", CodePoints, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("role", CodePoints, nullable=False),
    Index(None, "role", "user_id"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", CodePoints, primary_key=True),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("user_id", CodePoints, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("user_epoch", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_seen_at", UtcDateTime, nullable=False, index=True),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    Column("methods", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("user_agent", Text, nullable=False),
    Index(None, "user_id", "id"),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("session_id", CodePoints, ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("spent_at", UtcDateTime),
    Column("seed", LargeBinary),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", CodePoints, primary_key=True),
    Column("key_hash", LargeBinary, nullable=False, unique=True),
    Column("prefix", Text, nullable=False),
    Column("user_id", CodePoints, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("last_used_at", UtcDateTime),
)

roles = Table(
    "roles",
    metadata,
    Column("name", CodePoints, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("definition", Text, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

action_tokens = Table(
    "action_tokens",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("purpose", Text, nullable=False),
    Column("user_id", CodePoints, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("state", LargeBinary, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
)

secrets = Table(
    "secrets",
    metadata,
    Column("path", CodePoints, primary_key=True),
    Column("current_version", Integer, nullable=False),
    Column("pending_version", Integer),
    Column("latest_version", Integer, nullable=False),
    # That of the current version; in the future where it will be deleted by age.
    Column("deleted_at", UtcDateTime),
    Column("custom", Text, nullable=False, server_default="{}"),
    Column("max_versions", Integer, nullable=False, server_default="0"),
    Column("delete_after", BigInteger, nullable=False, server_default="0"),  # milliseconds
)

secret_versions = Table(
    "secret_versions",
    metadata,
    Column("path", CodePoints, ForeignKey("secrets.path"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_by", Text, nullable=False, server_default=""),
    Column("deleted_at", UtcDateTime),
    # The key that wraps the data key, as the envelope says it; empty where the envelope was destroyed.
    Column("key_id", CodePoints, nullable=False, server_default="", index=True),
)


def _definitions(name: str) -> tuple[Table, Table]:
    """The current revision of every definition of a kind, removed ones included, and all that there ever were."""
    current = Table(
        f"{name}s",
        metadata,
        Column("key", CodePoints, primary_key=True),
        Column("revision", Integer, nullable=False),
        Column("definition", Text, nullable=False),
        Column("updated_at", UtcDateTime, nullable=False),
        Column("deleted", Boolean, nullable=False),
        Column("updated_by", Text, nullable=False, server_default=""),
        Column("digest", Text, nullable=False, server_default=""),
    )
    revisions = Table(
        f"{name}_revisions",
        metadata,
        Column("key", CodePoints, ForeignKey(f"{name}s.key"), primary_key=True),
        Column("revision", Integer, primary_key=True, autoincrement=False),
        Column("definition", Text, nullable=False),
        Column("updated_at", UtcDateTime, nullable=False),
        Column("deleted", Boolean, nullable=False),
        Column("updated_by", Text, nullable=False),
        Column("digest", Text, nullable=False),
    )
    return current, revisions


flags, flag_revisions = _definitions("flag")
segments, segment_revisions = _definitions("segment")

flag_generation = Table(
    "flag_generation",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("value", BigInteger, nullable=False),
)

change_requests = Table(
    "change_requests",
    metadata,
    Column("id", CodePoints, primary_key=True),
    Column("state", Text, nullable=False, index=True),
    # When it is applied; none where it is not scheduled.
    Column("due", UtcDateTime, index=True),
    Column("version", Integer, nullable=False),
    Column("content", Text, nullable=False),
)

experiment_exposures = Table(
    "experiment_exposures",
    metadata,
    Column("flag", CodePoints, primary_key=True),
    Column("targeting_key", CodePoints, primary_key=True),
    Column("variant", CodePoints, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
)

experiment_conversions = Table(
    "experiment_conversions",
    metadata,
    Column("flag", CodePoints, primary_key=True),
    Column("metric", CodePoints, primary_key=True),
    Column("targeting_key", CodePoints, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
)

settings = Table(
    "settings",
    metadata,
    Column("key", CodePoints, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("deleted", Boolean, nullable=False),
)

setting_revisions = Table(
    "setting_revisions",
    metadata,
    Column("key", CodePoints, ForeignKey("settings.key"), primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("value", Text, nullable=False),
    Column("public", Boolean, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("updated_by", Text, nullable=False),
    Column("deleted", Boolean, nullable=False),
)

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("stream", CodePoints, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)

audit_records = Table(
    "audit_records",
    metadata,
    Column("stream", CodePoints, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, nullable=False),
    Column("entry", Text, nullable=False),
    Column("previous", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("action", CodePoints, nullable=False),
    Column("actor_id", CodePoints, nullable=False),
    Column("subject", CodePoints, nullable=False),
    ForeignKeyConstraint(["stream"], ["audit_heads.stream"]),
    Index(None, "stream", "action", "seq"),
    Index(None, "stream", "actor_id", "seq"),
    Index(None, "stream", "subject", "seq"),
)

leases = Table(
    "leases",
    metadata,
    Column("name", CodePoints, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("expires_at", Double, nullable=False),
)

fences = Table(
    "fences",
    metadata,
    Column("name", CodePoints, primary_key=True),
    Column("token", BigInteger, nullable=False),
)

# What may be tried how often: a row for each key under each limit.
limits = Table(
    "limits",
    metadata,
    Column("place", LargeBinary, primary_key=True),
    Column("attempts", LargeBinary, nullable=False),
    Column("expires_at", Double, nullable=False, index=True),
)

outbox = Table(
    "outbox",
    metadata,
    Column("seq", AutoId, primary_key=True),
    Column("id", CodePoints, nullable=False, unique=True),
    Column("key", LargeBinary, index=True),
    Column("job", Text, nullable=False),
    Column("held_until", Double, nullable=False),
)

outbox_keys = Table(
    "outbox_keys",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("added_at", Double, nullable=False, index=True),
)
