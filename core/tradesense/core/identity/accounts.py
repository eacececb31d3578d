"""Making accounts."""

from __future__ import annotations

from contextlib import suppress

from msgspec.structs import replace

from tradesense.core.ambient import Clock, Ids
from tradesense.core.audit.models import Actor
from tradesense.core.audit.service import AuditTrail, Event
from tradesense.core.errors import EmailTaken, InvalidInput
from tradesense.core.identity import emails, passwords
from tradesense.core.identity.models import ADMIN, USER, IdentityPolicy, Message, User
from tradesense.core.identity.ports import BreachedPasswords, IdentityStore, Messenger, PasswordHasher
from tradesense.core.identity.roles import BUILT_IN
from tradesense.core.jobs.models import Job
from tradesense.core.jobs.service import Jobs
from tradesense.core.paging import MAX_PAGE, Page
from tradesense.core.sensitive import Secret

WELCOME = "identity.welcome"


class Accounts:
    """The accounts of one deployment."""

    def __init__(
        self,
        *,
        store: IdentityStore,
        hasher: PasswordHasher,
        breached: BreachedPasswords,
        trail: AuditTrail,
        jobs: Jobs,
        messenger: Messenger,
        clock: Clock,
        ids: Ids,
        policy: IdentityPolicy,
        joined: bool,
    ) -> None:
        self._store = store
        self._hasher = hasher
        self._breached = breached
        self._trail = trail
        self._jobs = jobs
        self._messenger = messenger
        self._clock = clock
        self._ids = ids
        self._policy = policy
        self._joined = joined
        jobs.on(WELCOME, self._welcome)

    async def register(self, email: str, password: Secret, *, actor: Actor, correlation_id: str = "") -> None:
        """Sign up. Whether the address had an account already is not told, in words or in time (ASVS 6.3.8).

        The welcome mail is enqueued in the transaction that makes the account: there is none without the other.

        :raises InvalidEmail: the address cannot be an account's.
        :raises PasswordRefused: the password may not be used.
        """
        with suppress(EmailTaken):
            await self._add(email, password, roles=(USER,), actor=actor, correlation_id=correlation_id, welcome=True)

    async def create(
        self, email: str, password: Secret, *, roles: tuple[str, ...], actor: Actor, correlation_id: str = ""
    ) -> User:
        """Make an account with the given roles, for an administrator.

        :raises InvalidEmail: the address cannot be an account's.
        :raises InvalidInput: a role is not known, or there is none.
        :raises PasswordRefused: the password may not be used.
        :raises EmailTaken: the address has an account.
        """
        return await self._add(email, password, roles=roles, actor=actor, correlation_id=correlation_id, welcome=False)

    async def _add(
        self, email: str, password: Secret, *, roles: tuple[str, ...], actor: Actor, correlation_id: str, welcome: bool
    ) -> User:
        roles = _known(roles)
        normal = emails.normalise(email)
        secret = passwords.normalise(password)
        await passwords.check(secret, email=normal, policy=self._policy, breached=self._breached)
        user = User(
            id=self._ids.new(),
            email=normal,
            email_key=emails.uniqueness_key(normal),
            password_hash=await self._hasher.hash(secret),
            roles=roles,
            created_at=self._clock.now(),
        )
        event = Event("identity.create", user.id, actor, correlation_id, {"roles": ",".join(roles)})
        async with self._trail.change(event, joined=self._joined):
            await self._store.users.add(user)
            if welcome:
                await self._jobs.enqueue(WELCOME, {"user_id": user.id}, key=f"{WELCOME}:{user.id}")
        return user

    async def list(self, *, role: str = "", cursor: str | None = None, limit: int = 100) -> Page[User]:
        """A page of accounts; ``limit`` is brought into 1 to 1000."""
        return await self._store.users.list(role=role, cursor=cursor, limit=min(max(limit, 1), MAX_PAGE))

    async def has_administrator(self) -> bool:
        """Whether any account is an administrator's."""
        return bool((await self._store.users.list(role=ADMIN, limit=1)).items)

    async def disable(self, email: str, *, actor: Actor, correlation_id: str = "") -> User:
        """Disable an account and end its sessions.

        :raises InvalidEmail: the address is not valid.
        :raises InvalidInput: it has no account.
        """
        user = await self._store.users.by_email(emails.uniqueness_key(emails.normalise(email)))
        if user is None:
            raise InvalidInput("no account has this email", mend="see `tradesense users list`")
        event = Event("identity.disable", user.id, actor, correlation_id)
        async with self._trail.change(event, joined=self._joined):
            return await self._store.users.update(replace(user, disabled=True, epoch=user.epoch + 1))

    async def _welcome(self, job: Job) -> None:
        user = await self._store.users.get(str(job.payload["user_id"]))
        await self._messenger.send(
            Message(
                to=user.email,
                subject="Welcome to TradeSense",
                text=f"Hello,\n\nan account for {user.email} was made on {user.created_at:%Y-%m-%d}.\n",
                key=job.key,
            )
        )


def _known(roles: tuple[str, ...]) -> tuple[str, ...]:
    """The roles, each once.

    :raises InvalidInput: there is none, or one that is not known.
    """
    known = f"use one of {', '.join(sorted(BUILT_IN))}"
    if not roles:
        raise InvalidInput("an account has at least one role", mend=known)
    for role in roles:
        if role not in BUILT_IN:
            raise InvalidInput(f"there is no role {role[:80]!r}", mend=known)
    return tuple(dict.fromkeys(roles))
