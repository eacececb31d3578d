"""Our token: where it comes from, and how it stays alive."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Self

import msgspec

from tradesense.adapters.vault._answers import BY_POLICY, Answer
from tradesense.adapters.vault.settings import VaultSettings
from tradesense.core.errors import SecretDenied, SecretStoreUnavailable, Unavailable
from tradesense.core.sensitive import Secret

RENEW_AT = 2 / 3
"""Of a token's life."""
AGAIN_AFTER, LEAST_PAUSE = 1.0, 0.2
"""Seconds until a renewal that failed is tried again, and at least between two renewals."""

Ask = Callable[[str, Mapping[str, Any] | None, Secret], Awaitable[Answer]]
"""Reads, or writes where there is a body, with a token of its own; being denied is an answer."""


class _Auth(msgspec.Struct, frozen=True):
    client_token: Secret
    lease_duration: float = 0
    renewable: bool = False


class _LoggedIn(msgspec.Struct, frozen=True):
    auth: _Auth


class _Self(msgspec.Struct, frozen=True):
    ttl: float = 0
    renewable: bool = False


class _Looked(msgspec.Struct, frozen=True):
    data: _Self


class Login:
    """Holds the token, renews it in the background, and logs in again where that helps."""

    def __init__(self, settings: VaultSettings, ask: Ask) -> None:
        settings.check_login()
        self._settings = settings
        self._ask = ask
        self._token = settings.token
        self._keeping: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self.renewed = 0
        """How often the token was renewed or replaced."""

    @property
    def token(self) -> Secret:
        """The token of now."""
        return self._token

    @property
    def repeats(self) -> bool:
        """Whether a token that has expired can be had anew."""
        return self._settings.login != "token"

    async def __aenter__(self) -> Self:
        """Log in.

        :raises SecretDenied: the server refuses us.
        :raises SecretStoreUnavailable: it does not answer as it must.
        """
        ttl = await self._log_in() if self.repeats else await self._look()
        if ttl:
            self._keeping = asyncio.create_task(self._keep(ttl), name="vault-token")
        return self

    async def __aexit__(self, *_: object) -> None:
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            keeping.cancel()
            await asyncio.wait([keeping])

    async def again(self, used: Secret) -> bool:
        """Have a new token in place of ``used``, which the server refused; false where there is none to be had."""
        if not self.repeats:
            return False
        async with self._turn:
            if self._token is used:
                await self._log_in()
                self.renewed += 1
        return True

    async def is_valid(self, token: Secret) -> bool:
        """Whether the server knows the token, even if it may not do what it asked for."""
        answer = await self._ask("auth/token/lookup-self", None, token)
        return answer.kind == "done" or answer.says(BY_POLICY)

    async def _log_in(self) -> float:
        """The seconds that the new token lives; 0 for ever."""
        settings = self._settings
        if settings.login == "approle":
            body = {"role_id": settings.role_id, "secret_id": settings.secret_id.reveal()}
        else:
            body = {"role": settings.role, "jwt": await asyncio.to_thread(_read, settings.jwt_file)}
        answer = await self._ask(f"auth/{settings.login_path}/login", body, Secret(""))
        if answer.kind != "done":
            raise SecretDenied(
                f"the secret provider at {settings.url} refused the login {settings.login!r}",
                origin="secrets.vault.login",
                mend="correct the role and what proves it",
            )
        auth = answer.read(_LoggedIn).auth
        self._token = auth.client_token
        return auth.lease_duration

    async def _look(self) -> float:
        """The seconds that the given token lives and can be renewed for; 0 where there is nothing to renew."""
        answer = await self._ask("auth/token/lookup-self", None, self._token)
        if answer.kind != "done":
            return 0  # it may not look at itself, or is none, which each read will say
        found = answer.read(_Looked).data
        return found.ttl if found.renewable else 0

    async def _keep(self, ttl: float) -> None:
        while ttl:
            await asyncio.sleep(max(ttl * RENEW_AT, LEAST_PAUSE))
            async with self._turn:
                ttl = await self._renewed(ttl)

    async def _renewed(self, ttl: float) -> float:
        """The seconds that the token lives from now on."""
        try:
            answer = await self._ask("auth/token/renew-self", {}, self._token)
            left = answer.read(_LoggedIn).auth.lease_duration if answer.kind == "done" else 0
            if left * 2 < ttl:  # it is none any more, or nears the end that no renewal takes it beyond
                left = await self._log_in() if self.repeats else left
        except (SecretDenied, Unavailable):
            return AGAIN_AFTER / RENEW_AT
        self.renewed += 1
        return left


def _read(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretStoreUnavailable(
            f"the file {file!r} with the JWT cannot be read", origin="secrets.vault.jwt_file", mend="correct it"
        ) from error
