"""Proving that an address is one's own, and moving to another."""

from __future__ import annotations

from msgspec.structs import replace

from tradesense.core.audit.models import Actor
from tradesense.core.audit.service import AuditTrail, Event
from tradesense.core.cache.limits import Throttle
from tradesense.core.errors import Conflict, EmailTaken, InvalidInput, TokenRefused
from tradesense.core.identity import emails
from tradesense.core.identity.actions import Actions
from tradesense.core.identity.credentials import Credentials, link_limit
from tradesense.core.identity.mailing import Mailing
from tradesense.core.identity.mails import Occasion
from tradesense.core.identity.models import IdentityPolicy, Principal, Purpose, User
from tradesense.core.identity.ports import IdentityStore
from tradesense.core.sensitive import Secret

SIDES = {Purpose.CHANGE_EMAIL_OLD: "old", Purpose.CHANGE_EMAIL_NEW: "new"}
TRIES = 3
"""How often a confirmation is begun again when the one of the other address comes in between."""


class Addresses:
    """The addresses of accounts."""

    def __init__(
        self,
        *,
        store: IdentityStore,
        actions: Actions,
        credentials: Credentials,
        mailing: Mailing,
        throttle: Throttle,
        trail: AuditTrail,
        policy: IdentityPolicy,
        joined: bool,
    ) -> None:
        self._store = store
        self._actions = actions
        self._credentials = credentials
        self._mailing = mailing
        self._throttle = throttle
        self._trail = trail
        self._policy = policy
        self._joined = joined

    async def ask_again(self, email: str, *, return_to: str = "", actor: Actor, correlation_id: str = "") -> None:
        """Have the link that verifies an address sent once more. Nothing tells whether it has an account.

        :param return_to: where its reader goes on to.
        :raises InvalidEmail: the address cannot be an account's.
        :raises InvalidInput: nobody may be sent there.
        :raises LimitExceeded: it was asked for too often.
        """
        self._mailing.mails.returns.check(return_to)
        key = emails.uniqueness_key(emails.normalise(email))
        await self._throttle.attempt(key, link_limit(self._policy))
        event = Event("identity.ask-verification", "", actor, correlation_id)
        async with self._trail.change(event, joined=self._joined):
            await self._mailing.to_owner(Occasion.VERIFY_EMAIL, key, return_to=return_to)

    async def verify(self, token: Secret, *, actor: Actor, correlation_id: str = "") -> None:
        """Note that the owner of an account receives what is sent to its address.

        :raises TokenRefused: the link is not good, or not any more.
        """
        user = await self._actions.owner(Purpose.VERIFY_EMAIL, token)
        event = Event("identity.verify-email", user.id, actor, correlation_id)
        async with self._trail.change(event, joined=self._joined):
            user = await self._actions.redeem(Purpose.VERIFY_EMAIL, token)
            await self._store.users.update(replace(user, verified=True))

    async def change(
        self, principal: Principal, password: Secret, email: str, *, actor: Actor, correlation_id: str = ""
    ) -> None:
        """Begin to move an account to another address: both are asked to confirm it. A move that was begun before ends.

        Whether the new address has an account is not told (ASVS 6.3.8); its owner is written to instead.

        :raises CredentialsRefused: the password is another.
        :raises InvalidEmail: the address cannot be an account's.
        :raises InvalidInput: it is the account's already.
        :raises LimitExceeded: too many tries.
        :raises Conflict: the account was changed meanwhile.
        """
        normal = emails.normalise(email)
        user = await self._credentials.prove(principal, password, actor=actor, correlation_id=correlation_id)
        if normal == user.email:
            raise InvalidInput("the account has this address already")
        await self._throttle.attempt(emails.uniqueness_key(normal), link_limit(self._policy))
        event = Event("identity.change-email", user.id, actor, correlation_id)
        async with self._trail.change(event, joined=self._joined):
            changed = await self._store.users.update(replace(user, next_email=normal, next_email_proved=""))
            await self._mailing.to_user(Occasion.CHANGE_EMAIL_OLD, changed)
            await self._mailing.to_user(Occasion.CHANGE_EMAIL_NEW, changed)

    async def confirm(self, token: Secret, *, actor: Actor, correlation_id: str = "") -> bool:
        """Confirm a move at one of its two addresses; ``True`` when both have, so that it is done.

        :raises TokenRefused: the link is not good, or not any more; or somebody else has taken the address meanwhile.
        :raises Conflict: the account was changed meanwhile.
        """
        for left in reversed(range(TRIES)):
            try:
                return await self._confirm(token, actor, correlation_id)
            except EmailTaken as error:
                raise TokenRefused("the move is not possible any more") from error
            except Conflict:
                if not left:
                    raise
        raise AssertionError  # pragma: no cover  # the last try returns or raises

    async def _confirm(self, token: Secret, actor: Actor, correlation_id: str) -> bool:
        purpose, owner = await self._asked(token)
        event = Event("identity.confirm-email", owner.id, actor, correlation_id, {"side": SIDES[purpose]})
        async with self._trail.change(event, joined=self._joined):
            user = await self._actions.redeem(purpose, token)
            if user.next_email_proved in {"", SIDES[purpose]}:
                await self._store.users.update(replace(user, next_email_proved=SIDES[purpose]))
                return False
            event.action = "identity.email-changed"
            await self._move(user)
        return True

    async def _move(self, user: User) -> None:
        moved = replace(
            user,
            email=user.next_email,
            email_key=emails.uniqueness_key(user.next_email),
            verified=True,
            next_email="",
            next_email_proved="",
        )
        await self._store.actions.drop(user.id)
        moved = await self._store.users.update(moved)
        await self._mailing.to_address(Occasion.EMAIL_CHANGED, moved, user.email)
        await self._mailing.to_user(Occasion.EMAIL_CHANGED, moved)

    async def _asked(self, token: Secret) -> tuple[Purpose, User]:
        """Which of the two addresses this link went to."""
        try:
            return Purpose.CHANGE_EMAIL_OLD, await self._actions.owner(Purpose.CHANGE_EMAIL_OLD, token)
        except TokenRefused:
            return Purpose.CHANGE_EMAIL_NEW, await self._actions.owner(Purpose.CHANGE_EMAIL_NEW, token)
