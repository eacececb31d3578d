"""API keys: made, shown once, listed and removed by their user."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from tradesense.core.ambient import Clock, Ids, Random
from tradesense.core.audit.models import Actor
from tradesense.core.audit.service import AuditTrail, Event
from tradesense.core.errors import ApiKeyNotFound, Conflict, InvalidInput, PermissionDenied
from tradesense.core.identity.models import ApiKey, IdentityPolicy, Principal
from tradesense.core.identity.permissions import parse
from tradesense.core.identity.ports import IdentityStore
from tradesense.core.identity.recognition import API_KEY, Recognition
from tradesense.core.identity.tokens import digest, mint
from tradesense.core.sensitive import Secret

SHOWN = 8
"""Characters of a key that are kept for people to tell it from others; over 200 random bits are left."""
MOST_KEYS = 100
MOST_SCOPES = 50
MOST_NAME = 80


class MadeKey(NamedTuple):
    """A key, and the text that is shown this once."""

    key: ApiKey
    text: Secret


class ApiKeys:
    """The API keys of one deployment."""

    def __init__(
        self,
        *,
        store: IdentityStore,
        recognition: Recognition,
        trail: AuditTrail,
        clock: Clock,
        random: Random,
        ids: Ids,
        policy: IdentityPolicy,
        joined: bool,
    ) -> None:
        self._store = store
        self._recognition = recognition
        self._trail = trail
        self._clock = clock
        self._random = random
        self._ids = ids
        self._policy = policy
        self._joined = joined

    async def create(
        self,
        by: Principal,
        name: str,
        scopes: Sequence[str],
        *,
        ttl: int,
        actor: Actor,
        correlation_id: str = "",
    ) -> MadeKey:
        """Make a key for the caller, good for ``ttl`` seconds.

        :raises InvalidInput: the name, a scope or the life is not valid.
        :raises PermissionDenied: a scope is more than the caller is granted.
        :raises Conflict: the caller has as many keys as one may have.
        """
        if not 1 <= len(name) <= MOST_NAME or not name.isprintable():
            raise InvalidInput(f"a key has a name of 1 to {MOST_NAME} printable characters")
        if not 1 <= len(scopes) <= MOST_SCOPES:
            raise InvalidInput(f"a key has 1 to {MOST_SCOPES} scopes", mend="name permissions, as in flags:evaluate")
        if not 1 <= ttl <= self._policy.api_key_ttl:
            raise InvalidInput(f"a key lives 1 to {self._policy.api_key_ttl} seconds")
        for scope in scopes:
            if not by.rules.allow.cover(parse(scope)):
                raise PermissionDenied(f"you are not granted {scope}, so no key of yours can be")
        text = Secret(API_KEY + mint(self._random).reveal())
        now = self._clock.now()
        key = ApiKey(
            id=self._ids.new(),
            key_hash=digest(text),
            prefix=text.reveal()[: len(API_KEY) + SHOWN],
            user_id=by.user_id,
            name=name,
            scopes=tuple(dict.fromkeys(scopes)),
            created_at=now,
            expires_at=now + timedelta(seconds=ttl),
        )
        event = Event("identity.key-create", key.id, actor, correlation_id, {"prefix": key.prefix})
        async with self._trail.change(event, joined=self._joined):
            if len(await self._store.api_keys.of_user(by.user_id)) >= MOST_KEYS:
                raise Conflict(f"an account has at most {MOST_KEYS} keys", mend="remove one that is not used")
            await self._store.api_keys.add(key)
        return MadeKey(key, text)

    async def list(self, user_id: str) -> Sequence[ApiKey]:
        """The user's keys, expired ones included, by birth."""
        return await self._store.api_keys.of_user(user_id)

    async def remove(self, user_id: str, key_id: str, *, actor: Actor, correlation_id: str = "") -> None:
        """Remove a key of the user. It is refused here at once, and within a second everywhere.

        :raises ApiKeyNotFound: the user has none with this id.
        """
        event = Event("identity.key-remove", key_id, actor, correlation_id)
        async with self._trail.change(event, joined=self._joined):
            if not await self._store.api_keys.remove(user_id, key_id):
                raise ApiKeyNotFound("there is no such API key")
        self._recognition.forget(lambda known: known.key_id == key_id)
