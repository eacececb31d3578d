"""``[secrets.postgresql]``: how roles are changed."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from tradesense.core.sensitive import Secret


class PostgresqlRotatorSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The connection of a role that may change the others: their owner by ``CREATEROLE``, or a superuser."""

    admin_url: Secret = Secret("")
    """As in ``postgresql://admin:password@host/database``. The rotated roles are tried on the same database."""
    timeout: Annotated[float, Meta(gt=0, le=120)] = 10.0
    """Seconds that one step may take."""
