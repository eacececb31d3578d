"""Making accounts, and ending them."""

from __future__ import annotations

from contextlib import suppress

from msgspec.structs import replace

from tradesense.core.ambient import Clock, Ids
from tradesense.core.audit.models import Actor
from tradesense.core.audit.service import AuditTrail, Event
from tradesense.core.errors import Conflict, EmailTaken, InvalidInput
from tradesense.core.identity import emails
from tradesense.core.identity.exports import Export, export
from tradesense.core.identity.mailing import Mailing
from tradesense.core.identity.mails import Occasion
from tradesense.core.identity.models import ADMIN, USER, User
from tradesense.core.identity.passwords import Passwords
from tradesense.core.identity.ports import IdentityStore
from tradesense.core.identity.roles import Roles
from tradesense.core.paging import MAX_PAGE, Page
from tradesense.core.sensitive import Secret

MAX_NAME = 200


class Accounts:
    """The accounts of one deployment."""

    def __init__(
        self,
        *,
        store: IdentityStore,
        passwords: Passwords,
        mailing: Mailing,
        trail: AuditTrail,
        clock: Clock,
        ids: Ids,
        roles: Roles,
        joined: bool,
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._mailing = mailing
        self._trail = trail
        self._clock = clock
        self._ids = ids
        self._roles = roles
        self._joined = joined

    async def register(
        self,
        email: str,
        password: Secret,
        *,
        locale: str = "",
        return_to: str = "",
        actor: Actor,
        correlation_id: str = "",
    ) -> None:
        """Sign up. Whether the address had an account already is not told, in words or in time (ASVS 6.3.8).

        The mail to the address tells it, and is enqueued in the same transaction: to a new account the link that
        verifies it, to the owner of the known one that somebody tried.

        :param locale: the language to write in.
        :param return_to: where the reader of the mail goes on to.
        :raises InvalidEmail: the address cannot be an account's.
        :raises InvalidInput: nobody may be sent there.
        :raises PasswordRefused: the password may not be used.
        """
        self._mailing.mails.returns.check(return_to)
        normal = emails.normalise(email)
        hashed = await self._passwords.make(password, email=normal)
        user = self._new(normal, hashed, (USER,), verified=False, locale=self._mailing.mails.negotiate(locale))
        event = Event("identity.create", user.id, actor, correlation_id, {"roles": USER})
        with suppress(EmailTaken):  # of two at once with one address, one is kept
            async with self._trail.change(event, joined=self._joined):
                known = await self._store.users.by_email(user.email_key)
                if known is None:
                    await self._store.users.add(user)
                    await self._mailing.welcome(user, return_to=return_to)
                else:
                    event.action, event.subject, event.detail = "identity.create-known", known.id, {}
                    await self._mailing.to_owner(Occasion.ALREADY_REGISTERED, user.email_key)

    async def create(
        self, email: str, password: Secret, *, roles: tuple[str, ...], actor: Actor, correlation_id: str = ""
    ) -> User:
        """Make an account with the given roles, for an administrator, who answers for the address.

        :raises InvalidEmail: the address cannot be an account's.
        :raises InvalidInput: a role is not known, or there is none.
        :raises PasswordRefused: the password may not be used.
        :raises EmailTaken: the address has an account.
        """
        roles = await self._roles.check(roles)
        normal = emails.normalise(email)
        if await self._store.users.by_email(emails.uniqueness_key(normal)) is not None:
            raise EmailTaken  # before the work of hashing; of two at once the store refuses one
        hashed = await self._passwords.make(password, email=normal)
        user = self._new(normal, hashed, roles, verified=True)
        event = Event("identity.create", user.id, actor, correlation_id, {"roles": ",".join(roles)})
        async with self._trail.change(event, joined=self._joined):
            await self._store.users.add(user)
        return user

    async def adopt(
        self, email: str, hashed: Secret, *, verified: bool, actor: Actor, correlation_id: str = ""
    ) -> User:
        """Take over an account of another system, with the hash of its password, which the first login replaces.

        :raises InvalidEmail: the address cannot be an account's.
        :raises InvalidInput: passwords cannot be checked against the hash, or checking would cost too much.
        :raises EmailTaken: the address has an account.
        """
        if not self._passwords.readable(hashed):
            raise InvalidInput(
                "the hash is of no form that is known, or costs too much to check",
                mend="use argon2id, bcrypt, or scrypt or PBKDF2 as a PHC string",
            )
        user = self._new(emails.normalise(email), hashed, (USER,), verified=verified)
        event = Event("identity.adopt", user.id, actor, correlation_id)
        async with self._trail.change(event, joined=self._joined):
            await self._store.users.add(user)
        return user

    async def get(self, user_id: str) -> User:
        """The account.

        :raises UserNotFound: there is none.
        """
        return await self._store.users.get(user_id)

    async def named(self, email: str) -> User:
        """The account with this address.

        :raises InvalidEmail: the address is not valid.
        :raises InvalidInput: it has no account.
        """
        user = await self._store.users.by_email(emails.uniqueness_key(emails.normalise(email)))
        if user is None:
            raise InvalidInput("no account has this email", mend="see `tradesense users list`")
        return user

    async def list(self, *, role: str = "", cursor: str | None = None, limit: int = 100) -> Page[User]:
        """A page of accounts; ``limit`` is brought into 1 to 1000."""
        return await self._store.users.list(role=role, cursor=cursor, limit=min(max(limit, 1), MAX_PAGE))

    async def has_administrator(self) -> bool:
        """Whether any account is an administrator's."""
        return bool((await self._store.users.list(role=ADMIN, limit=1)).items)

    async def describe(
        self,
        user_id: str,
        *,
        name: str | None = None,
        locale: str | None = None,
        actor: Actor,
        correlation_id: str = "",
    ) -> User:
        """Change what an account says of its owner; ``None`` leaves it as it is.

        :raises InvalidInput: the name is too long, or there are no texts in the language.
        :raises UserNotFound: there is no such account.
        :raises Conflict: it was changed meanwhile.
        """
        user = await self._store.users.get(user_id)
        changed = replace(
            user,
            name=user.name if name is None else _name(name),
            locale=user.locale if locale is None else self._language(locale),
        )
        if changed == user:
            return user
        event = Event("identity.describe", user.id, actor, correlation_id)
        async with self._trail.change(event, joined=self._joined):
            return await self._store.users.update(changed)

    async def disable(self, user_id: str, *, actor: Actor, correlation_id: str = "") -> User:
        """Disable an account, end its sessions and void its links. One that is disabled stays so.

        :raises UserNotFound: there is no such account.
        :raises Conflict: it was changed meanwhile, or it is the last administrator's.
        """
        user = await self._store.users.get(user_id)
        if user.disabled:
            return user
        await self._keep_one_administrator(user)
        event = Event("identity.disable", user.id, actor, correlation_id)
        async with self._trail.change(event, joined=self._joined):
            await self._store.actions.drop(user.id)
            updated = await self._store.users.update(replace(user, disabled=True, epoch=user.epoch + 1))
            await self._mailing.to_user(Occasion.ACCOUNT_DISABLED, user)
        return updated

    async def enable(self, user_id: str, *, actor: Actor, correlation_id: str = "") -> User:
        """Let an account log in again. What was ended stays ended.

        :raises UserNotFound: there is no such account.
        :raises Conflict: it was changed meanwhile.
        """
        user = await self._store.users.get(user_id)
        if not user.disabled:
            return user
        event = Event("identity.enable", user.id, actor, correlation_id)
        async with self._trail.change(event, joined=self._joined):
            return await self._store.users.update(replace(user, disabled=False, epoch=user.epoch + 1))

    async def remove(self, user_id: str, *, actor: Actor, correlation_id: str = "") -> None:
        """Delete an account with its sessions and links. The audit trail keeps what was done under its id.

        :raises UserNotFound: there is no such account.
        :raises Conflict: it is the last administrator's.
        """
        user = await self._store.users.get(user_id)
        await self._keep_one_administrator(user)
        event = Event("identity.remove", user.id, actor, correlation_id)
        async with self._trail.change(event, joined=self._joined):
            await self._store.users.remove(user.id)
            await self._mailing.to_address(Occasion.ACCOUNT_DELETED, user, user.email)

    async def export(self, user_id: str) -> Export:
        """Everything that is kept about the owner of an account.

        :raises UserNotFound: there is no such account.
        :raises AuditUnavailable: the trail cannot be read.
        """
        user = await self._store.users.get(user_id)
        return await export(user, store=self._store, trail=self._trail, now=self._clock.now())

    async def _keep_one_administrator(self, user: User) -> None:
        """Go on only if somebody else can administer the platform once ``user`` cannot."""
        if ADMIN not in user.roles or user.disabled:
            return
        cursor: str | None = None
        while True:
            page = await self._store.users.list(role=ADMIN, cursor=cursor, limit=MAX_PAGE)
            if any(other.id != user.id and not other.disabled for other in page.items):
                return
            cursor = page.cursor
            if cursor is None:
                raise Conflict("this is the last administrator", mend="make another one first")

    def _new(self, email: str, hashed: Secret, roles: tuple[str, ...], *, verified: bool, locale: str = "") -> User:
        return User(
            id=self._ids.new(),
            email=email,
            email_key=emails.uniqueness_key(email),
            password_hash=hashed,
            roles=roles,
            verified=verified,
            locale=locale,
            created_at=self._clock.now(),
        )

    def _language(self, locale: str) -> str:
        known = self._mailing.mails.languages
        if locale and locale not in known:
            raise InvalidInput("there are no texts in this language", mend=f"use one of {', '.join(known)}, or none")
        return locale


def _name(name: str) -> str:
    if len(name) > MAX_NAME or not name.isprintable():
        raise InvalidInput(f"a name has at most {MAX_NAME} characters, all of them printable")
    return name.strip()
