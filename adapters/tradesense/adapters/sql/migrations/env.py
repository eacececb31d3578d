"""What Alembic runs to migrate: on the connection, and in the transaction, that it is given."""

from __future__ import annotations

from typing import Any

from alembic import context

from tradesense.adapters.sql._tables import metadata


def migrate() -> None:
    """Run the revisions and note which they were."""
    attributes: dict[str, Any] = context.config.attributes

    def note(ctx: Any, step: Any, heads: Any, run_args: Any) -> None:  # noqa: ARG001  # as Alembic calls it
        attributes["applied"].append(step.up_revision_id)

    context.configure(connection=attributes["connection"], target_metadata=metadata, on_version_apply=note)
    with context.begin_transaction():
        context.run_migrations()


migrate()
