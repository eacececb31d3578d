"""A rotator of PostgreSQL roles."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast
from urllib.parse import quote, urlsplit, urlunsplit

import msgspec
from sqlalchemy import URL, func, literal, make_url, select, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from tradesense.adapters.postgresql.settings import PostgresqlRotatorSettings
from tradesense.core.ambient import Random
from tradesense.core.errors import ConfigurationError, InvalidInput, RotationFailed
from tradesense.core.secrets.models import StoredSecret
from tradesense.core.secrets.ports import Rotator
from tradesense.core.sensitive import Secret
from tradesense.plugins import AdapterContext

ORIGIN = "secrets.postgresql"
PASSWORD_BYTES, SALT_BYTES = 32, 16
ITERATIONS = 4096
"""What PostgreSQL itself uses; the password is random, so that more would protect nothing (RFC 7677, section 4)."""

Credential = dict[str, Any]


class PostgresqlRotator:
    """The two-user strategy: the role that is not in use gets a new password and takes over. See :class:`Rotator`.

    The option ``roles`` names both, as in ``app_a,app_b``. The server is sent a SCRAM verifier, never a password, so
    that none stands in its log.
    """

    def __init__(self, settings: PostgresqlRotatorSettings, *, random: Random) -> None:
        self._admin = settings.admin_url
        self._timeout = settings.timeout
        self._random = random

    async def create(self, current: StoredSecret, options: Mapping[str, str]) -> Secret:
        """See :meth:`Rotator.create`."""
        credential, roles = _credential(current), _roles(options)
        used = credential["username"]
        follower = roles[1] if used == roles[0] else roles[0]
        password = base64.urlsafe_b64encode(self._random.bytes(PASSWORD_BYTES)).rstrip(b"=").decode()
        return Secret(msgspec.json.encode(_with(credential, follower, password)))

    async def set(self, current: StoredSecret, pending: StoredSecret, options: Mapping[str, str]) -> None:
        """See :meth:`Rotator.set`."""
        credential, roles = _credential(pending), _roles(options)
        if credential["username"] not in roles or credential["username"] == _credential(current)["username"]:
            raise RotationFailed("the pending credential is not that of the other role", origin=ORIGIN)
        verifier = scram(credential["password"], self._random.bytes(SALT_BYTES))
        # PostgreSQL takes no parameters in ALTER ROLE; its own quoting makes the statement.
        quoted = select(
            func.format("ALTER ROLE %I LOGIN PASSWORD %L", literal(credential["username"]), literal(verifier))
        )
        async with self._connected() as connection:
            await connection.execute(text(str((await connection.execute(quoted)).scalar_one()).replace(":", r"\:")))

    async def test(self, pending: StoredSecret, options: Mapping[str, str]) -> None:  # noqa: ARG002  # nothing in them is needed
        """See :meth:`Rotator.test`."""
        credential = _credential(pending)
        async with self._connected(credential) as connection:
            if (await connection.execute(select(func.session_user()))).scalar_one() != credential["username"]:
                raise RotationFailed("the server let somebody else in", origin=ORIGIN)

    @asynccontextmanager
    async def _connected(self, credential: Credential | None = None) -> AsyncGenerator[AsyncConnection]:
        """A connection for a while, of the administrator or with a credential; it commits when all went well.

        What goes wrong is said without the credential.
        """
        who = credential["username"] if credential else "the administrator"
        url = self._url()
        if credential:
            url = url.set(username=credential["username"], password=credential["password"])
        engine = create_async_engine(url, poolclass=NullPool)
        try:
            async with asyncio.timeout(self._timeout), engine.begin() as connection:
                yield connection
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            # The error's own text may hold the statement, and is not passed on.
            raise RotationFailed(
                f"PostgreSQL did not do its part for {who}: {type(error).__name__}", origin=ORIGIN, mend="see its log"
            ) from None
        finally:
            await engine.dispose()

    def _url(self) -> URL:
        if not self._admin:
            raise ConfigurationError(
                "it is not set", origin=f"{ORIGIN}.admin_url", mend="name a role that may ALTER ROLE"
            )
        try:
            return make_url(self._admin.reveal()).set(drivername="postgresql+asyncpg")
        except ArgumentError:
            raise ConfigurationError("it is no URL", origin=f"{ORIGIN}.admin_url") from None  # it would be quoted


def scram(password: str, salt: bytes) -> str:
    """What PostgreSQL stores of a password (RFC 5802, section 3; RFC 7677)."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS)
    client = hmac.digest(salted, b"Client Key", "sha256")
    stored = hashlib.sha256(client).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    text = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${ITERATIONS}:{text[0]}${text[1]}:{text[2]}"


def _roles(options: Mapping[str, str]) -> tuple[str, str]:
    roles = [role.strip() for role in options.get("roles", "").split(",")]
    if len(roles) != 2 or not all(roles) or roles[0] == roles[1]:  # noqa: PLR2004  # two is what the strategy is called by
        raise InvalidInput("the option `roles` names two roles, as in app_a,app_b", origin=ORIGIN)
    return roles[0], roles[1]


def _credential(secret: StoredSecret) -> Credential:
    try:
        found = msgspec.json.decode(secret.value.reveal_bytes())
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = None  # told below, without the value
    if not isinstance(found, dict):
        raise InvalidInput(f"{secret.path!r} is no JSON object with username and password", origin=ORIGIN)
    credential = cast("Credential", found)
    if not isinstance(credential.get("username"), str) or not isinstance(credential.get("password"), str):
        raise InvalidInput(f"{secret.path!r} has no username and password", origin=ORIGIN)
    return credential


def _with(credential: Credential, username: str, password: str) -> Credential:
    changed = credential | {"username": username, "password": password}
    if isinstance(url := credential.get("url"), str):
        parts = urlsplit(url)
        place = parts.netloc.rpartition("@")[2]
        changed["url"] = urlunsplit(
            parts._replace(netloc=f"{quote(username, safe='')}:{quote(password, safe='')}@{place}")
        )
    return changed


def rotator(settings: PostgresqlRotatorSettings, context: AdapterContext) -> PostgresqlRotator:
    """The factory."""
    return PostgresqlRotator(settings, random=context.random)


_: type[Rotator] = PostgresqlRotator
