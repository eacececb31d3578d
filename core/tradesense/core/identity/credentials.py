"""Forgotten passwords, and changed ones."""

from __future__ import annotations

from msgspec.structs import replace

from tradesense.core.audit.models import Actor, Outcome
from tradesense.core.audit.service import AuditTrail, Event
from tradesense.core.cache.limits import Throttle
from tradesense.core.cache.models import Limit
from tradesense.core.errors import CredentialsRefused
from tradesense.core.identity import emails
from tradesense.core.identity.actions import Actions
from tradesense.core.identity.mailing import Mailing
from tradesense.core.identity.mails import Occasion
from tradesense.core.identity.models import Client, IdentityPolicy, Login, Principal, Purpose, User
from tradesense.core.identity.passwords import Passwords
from tradesense.core.identity.ports import IdentityStore
from tradesense.core.identity.sessions import Sessions
from tradesense.core.identity.tokens import Tokens
from tradesense.core.sensitive import Secret


class Credentials:
    """Passwords that are proved, changed and forgotten."""

    def __init__(
        self,
        *,
        store: IdentityStore,
        actions: Actions,
        passwords: Passwords,
        mailing: Mailing,
        sessions: Sessions,
        throttle: Throttle,
        trail: AuditTrail,
        policy: IdentityPolicy,
        joined: bool,
    ) -> None:
        self._store = store
        self._actions = actions
        self._passwords = passwords
        self._mailing = mailing
        self._sessions = sessions
        self._throttle = throttle
        self._trail = trail
        self._policy = policy
        self._joined = joined

    async def forgot(self, email: str, *, return_to: str = "", actor: Actor, correlation_id: str = "") -> None:
        """Have a link sent to the address of the account, if there is one. Nothing tells whether there is.

        What is done here is the same for every address; a worker finds out whose it is, and writes to the address that
        the account has, not to the one that was typed (CVE-2019-19844).

        :param return_to: where its reader goes on to.
        :raises InvalidEmail: the address cannot be an account's.
        :raises InvalidInput: nobody may be sent there.
        :raises LimitExceeded: it was asked for too often.
        """
        self._mailing.mails.returns.check(return_to)
        key = emails.uniqueness_key(emails.normalise(email))
        await self._throttle.attempt(key, link_limit(self._policy))
        event = Event("identity.forgot", "", actor, correlation_id)
        async with self._trail.change(event, joined=self._joined):
            await self._mailing.to_owner(Occasion.RESET_PASSWORD, key, return_to=return_to)

    async def reset(self, token: Secret, password: Secret, *, actor: Actor, correlation_id: str = "") -> None:
        """Set a new password by the link from :meth:`forgot`, and end every session of the account (ASVS 7.4.3).

        Who reads the link has the mailbox, so the address is verified besides. Nobody is logged in by it: whatever the
        account asks for at a login it asks for then (ASVS 6.4.3).

        :raises TokenRefused: the link is not good, or not any more.
        :raises PasswordRefused: the password may not be used; the link stays good.
        """
        user = await self._actions.owner(Purpose.RESET_PASSWORD, token)
        hashed = await self._passwords.make(password, email=user.email)
        event = Event("identity.reset-password", user.id, actor, correlation_id)
        async with self._trail.change(event, joined=self._joined):
            user = await self._actions.redeem(Purpose.RESET_PASSWORD, token)
            await self._replace(replace(user, password_hash=hashed, verified=True))
        await self._sessions.forgive(user.email_key)
        self._sessions.forget_user(user.id)

    async def change(
        self,
        principal: Principal,
        current: Secret,
        new: Secret,
        *,
        client: Client,
        actor: Actor,
        correlation_id: str = "",
        tokens: Tokens | None = None,
    ) -> Login:
        """Change the password of who is logged in and knows it; every other session ends (ASVS 6.2.3, 7.4.3).

        The session that asked goes on under a new id (ASVS 7.2.4).

        :param tokens: issue the new session's first pair as part of the same change.
        :raises CredentialsRefused: the current password is another.
        :raises PasswordRefused: the new one may not be used.
        :raises LimitExceeded: too many tries.
        :raises Conflict: the account was changed meanwhile.
        """
        user = await self.prove(principal, current, actor=actor, correlation_id=correlation_id)
        hashed = await self._passwords.make(new, email=user.email)
        event = Event("identity.change-password", user.id, actor, correlation_id)
        async with self._trail.change(event, joined=self._joined):
            changed = await self._replace(replace(user, password_hash=hashed))
            login = await self._sessions.begin(changed, client, methods=principal.methods, tokens=tokens)
            event.detail["session"] = login.session.id
        self._sessions.forget_user(user.id)
        return login

    async def prove(self, principal: Principal, password: Secret, *, actor: Actor, correlation_id: str = "") -> User:
        """The account of who is logged in, once they have shown that they know its password.

        :raises CredentialsRefused: they do not.
        :raises LimitExceeded: too many tries.
        """
        user = await self._store.users.get(principal.user_id)
        policy = self._policy
        limit = Limit(name="prove-password", count=policy.login_attempts, period=policy.login_window)
        await self._throttle.attempt(user.id, limit)
        if not await self._passwords.fits(user.password_hash, password):
            event = Event("identity.prove-password", user.id, actor, correlation_id)
            await self._trail.note(event, Outcome.DENIED)
            raise CredentialsRefused("the current password is another")
        return user

    async def _replace(self, user: User) -> User:
        """Write the account with its new password: sessions and links of before are dead, and the owner is told."""
        await self._store.actions.drop(user.id)
        updated = await self._store.users.update(replace(user, epoch=user.epoch + 1))
        await self._mailing.to_user(Occasion.PASSWORD_CHANGED, updated)
        return updated


def link_limit(policy: IdentityPolicy) -> Limit:
    """How many links one address may be sent. It is counted whether or not it has an account."""
    return Limit(name="mails-account", count=policy.mails_per_account, period=policy.mails_window)
