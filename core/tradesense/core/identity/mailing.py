"""Sending mails: written down with the change that causes them, made and sent by a worker.

The queue never sees a token: it is made when the mail is, so that what waits holds nothing to steal. And what is asked
about an address is written down as it was asked: whether the address has an account is found out by the worker, so that
nobody can tell from the answer or its time (ASVS 6.3.8).
"""

from __future__ import annotations

from tradesense.core.acting import as_system
from tradesense.core.audit.models import WORKER
from tradesense.core.audit.service import AuditTrail, Event
from tradesense.core.errors import UserNotFound
from tradesense.core.identity import emails
from tradesense.core.identity.actions import Actions
from tradesense.core.identity.mails import PURPOSES, Mails, Occasion
from tradesense.core.identity.models import Message, User
from tradesense.core.identity.ports import IdentityStore, Messenger
from tradesense.core.jobs.models import Job
from tradesense.core.jobs.service import Jobs

WELCOME = "identity.welcome"
MAIL = "identity.mail"

MINUTE, HOUR = 60, 3600


class Mailing:
    """Queues mails and sends them."""

    def __init__(
        self,
        *,
        store: IdentityStore,
        actions: Actions,
        mails: Mails,
        messenger: Messenger,
        jobs: Jobs,
        trail: AuditTrail,
        joined: bool,
    ) -> None:
        self._store = store
        self._actions = actions
        self._mails = mails
        self._messenger = messenger
        self._jobs = jobs
        self._trail = trail
        self._joined = joined
        jobs.on(WELCOME, self._welcome)
        jobs.on(MAIL, self._mail)

    @property
    def mails(self) -> Mails:
        """The texts."""
        return self._mails

    async def welcome(self, user: User, *, return_to: str = "") -> None:
        """Let a new account verify its address, once.

        :param return_to: where its reader goes on to.
        """
        await self._jobs.enqueue(WELCOME, {"user_id": user.id, **_onward(return_to)}, key=f"{WELCOME}:{user.id}")

    async def to_user(self, occasion: Occasion, user: User) -> None:
        """Write to an account, at the address that it has when the mail is sent."""
        await self._jobs.enqueue(MAIL, {"occasion": occasion.value, "user_id": user.id})

    async def to_owner(self, occasion: Occasion, email_key: str, *, return_to: str = "") -> None:
        """Write to whoever has an account with this uniqueness key, if anybody has.

        :param return_to: where its reader goes on to.
        """
        await self._jobs.enqueue(MAIL, {"occasion": occasion.value, "email_key": email_key, **_onward(return_to)})

    async def to_address(self, occasion: Occasion, user: User, to: str) -> None:
        """Write to an address about an account that no longer has it, or no longer is."""
        payload: dict[str, object] = {
            "occasion": occasion.value,
            "to": to,
            "locale": user.locale,
            "email": user.email,
        }
        await self._jobs.enqueue(MAIL, payload)

    @as_system("identity.send-link")
    async def _welcome(self, job: Job) -> None:
        try:
            user = await self._store.users.get(str(job.payload["user_id"]))
        except UserNotFound:
            return
        await self._to_user(Occasion.VERIFY_EMAIL, user, job)

    @as_system("identity.send-link")
    async def _mail(self, job: Job) -> None:
        occasion = Occasion(job.payload["occasion"])
        if to := str(job.payload.get("to", "")):
            await self._send(occasion, to, str(job.payload["locale"]), job, email=str(job.payload["email"]))
        elif (user := await self._addressee(job)) is not None:
            await self._to_user(occasion, user, job)

    async def _addressee(self, job: Job) -> User | None:
        if key := str(job.payload.get("email_key", "")):
            return await self._store.users.by_email(key)
        try:
            return await self._store.users.get(str(job.payload["user_id"]))
        except UserNotFound:
            return None

    async def _to_user(self, occasion: Occasion, user: User, job: Job) -> None:
        if user.disabled and occasion is not Occasion.ACCOUNT_DISABLED:
            return
        to = user.email
        match occasion:
            case Occasion.VERIFY_EMAIL if user.verified:
                return
            case Occasion.CHANGE_EMAIL_OLD | Occasion.CHANGE_EMAIL_NEW if not user.next_email:
                return
            case Occasion.CHANGE_EMAIL_NEW:
                to = user.next_email
                if await self._store.users.by_email(emails.uniqueness_key(to)) is not None:
                    occasion = Occasion.CHANGE_EMAIL_TAKEN
            case _:
                pass
        await self._send(occasion, to, user.locale, job, email=user.email, user=user)

    async def _send(
        self, occasion: Occasion, to: str, locale: str, job: Job, *, email: str, user: User | None = None
    ) -> None:
        link, life = "", 0
        purpose = PURPOSES.get(occasion)
        if purpose is not None and user is not None:
            event = Event("identity.send-link", user.id, WORKER, job.correlation_id, {"purpose": purpose.value})
            async with self._trail.change(event, joined=self._joined):
                token = await self._actions.issue(purpose, user)
            link = self._mails.link(purpose, token.reveal(), str(job.payload.get("return_to", "")))
            life = self._actions.life(purpose)
        mail = self._mails.render(
            occasion,
            locale,
            link=link,
            email=email,
            next_email=user.next_email if user else "",
            minutes=str(life // MINUTE),
            hours=str(life // HOUR),
        )
        await self._messenger.send(
            Message(to=to, subject=mail.subject, text=mail.text, html=mail.html, key=job.key or job.id)
        )


def _onward(return_to: str) -> dict[str, object]:
    return {"return_to": return_to} if return_to else {}
