"""Passwords of PostgreSQL roles, changed for real: two roles take turns, so that one always works.

A rotated secret is a JSON object with ``username`` and ``password``; what else stands in it, such as ``host`` or
``url``, is kept, and in ``url`` user and password are replaced.
"""

from __future__ import annotations

from collections.abc import Iterable

from tradesense.adapters.postgresql.settings import PostgresqlRotatorSettings
from tradesense.core.secrets.ports import Rotator
from tradesense.plugins import Adapter, Requirement, hookimpl


@hookimpl
def tradesense_adapters() -> Iterable[Adapter]:
    """The rotator."""
    return (
        Adapter(
            port=Rotator,
            name="postgresql",
            factory="tradesense.adapters.postgresql.secrets:rotator",
            summary="Changes the passwords of two PostgreSQL roles in turn",
            settings=PostgresqlRotatorSettings,
            requires=(
                Requirement("sqlalchemy", "sqlalchemy", "server"),
                Requirement("asyncpg", "asyncpg", "server"),
            ),
        ),
    )
