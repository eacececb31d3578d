"""Password hashes with argon2id (RFC 9106)."""

from __future__ import annotations

from collections.abc import Iterable

from tradesense.adapters.argon2.settings import Argon2Settings
from tradesense.core.identity.ports import PasswordHasher
from tradesense.plugins import Adapter, Requirement, hookimpl


@hookimpl
def tradesense_adapters() -> Iterable[Adapter]:
    """What this provider offers."""
    return (
        Adapter(
            port=PasswordHasher,
            name="argon2",
            factory="tradesense.adapters.argon2.identity:hasher",
            summary="argon2id in a bounded pool of threads",
            settings=Argon2Settings,
            requires=(Requirement("argon2", "argon2-cffi", "server"), Requirement("bcrypt", "bcrypt", "server")),
        ),
    )
