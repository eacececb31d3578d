"""Identity's events, told to others: signed as Standard Webhooks asks, through the outbox, until they are taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from tradesense.core.acting import as_system
from tradesense.core.ambient import Clock, Ids
from tradesense.core.audit.models import WORKER, Actor, AuditEntry, AuditQuery, AuditRecord, Outcome
from tradesense.core.audit.service import AuditTrail, Event
from tradesense.core.errors import ConfigurationError, TradeSenseError, WebhookNotFound, WebhookRefused
from tradesense.core.identity.ports import WebhookSender
from tradesense.core.identity.signatures import WebhookSecrets, key_of, signature
from tradesense.core.jobs.models import Job
from tradesense.core.jobs.service import Jobs
from tradesense.core.paging import MAX_PAGE, Page
from tradesense.core.sensitive import Secret

DELIVER = "identity.webhook"
ROOM = "webhooks."
TEST, REDELIVER, ROTATE, DELIVERED = "webhooks.test", "webhooks.redeliver", "webhooks.rotate", "webhooks.deliver"
LOOKED_THROUGH = 20
"""Pages of the trail in which a message is looked for that is to be sent again."""
TAKEN = range(200, 300)
GONE = 410


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """Who is told of what."""

    url: str
    events: tuple[str, ...]
    """Exact actions, or a room followed by ``.*``."""
    secrets: tuple[Secret, ...]
    """Every one signs, so that the receiver can change from one to the next."""

    def wants(self, action: str) -> bool:
        """Whether it is told of this action."""
        return any(action.startswith(event[:-1]) if event.endswith(".*") else action == event for event in self.events)


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt to tell somebody of something."""

    id: str
    """Of the message, the same for all of its attempts."""
    event: str
    """What it tells of, as in ``identity.login``."""
    at: datetime
    attempt: int
    taken: bool
    """Whether the receiver took it, or said that it wants no more."""
    status: int | None
    """What the receiver answered; ``None`` where it did not."""
    error: str
    """The code of what went wrong; empty where nothing did."""


def delivery_of(record: AuditRecord) -> Delivery:
    """The attempt that a row of the trail records."""
    detail = record.entry.detail
    return Delivery(
        id=detail["message"],
        event=msgspec.json.decode(detail["body"], type=_Told).type,
        at=record.at,
        attempt=int(detail["attempt"]),
        taken=record.entry.outcome is Outcome.SUCCEEDED,
        status=int(detail["status"]) if "status" in detail else None,
        error=detail.get("error", ""),
    )


class _Told(msgspec.Struct):
    type: str


class Webhooks:
    """Tells events to those who want them. Every attempt is a row of the audit trail, which is the record of them."""

    def __init__(
        self,
        *,
        sender: WebhookSender,
        jobs: Jobs,
        trail: AuditTrail,
        secrets: WebhookSecrets,
        clock: Clock,
        ids: Ids,
        webhooks: Mapping[str, Webhook],
    ) -> None:
        """Check the secrets, and do the deliveries.

        :raises ConfigurationError: a secret is not one, or a URL not https.
        """
        self._sender = sender
        self._jobs = jobs
        self._trail = trail
        self._secrets = secrets
        self._clock = clock
        self._ids = ids
        self._webhooks = dict(webhooks)
        for name, webhook in webhooks.items():
            for secret in webhook.secrets:
                key_of(secret)
            if not webhook.url.startswith("https://"):
                raise ConfigurationError(
                    "a webhook goes to a https URL", origin=f"identity.webhooks.{name}.url", mend="write https://…"
                )
        jobs.on(DELIVER, self._deliver)

    @property
    def known(self) -> Mapping[str, Webhook]:
        """Who is told, by name."""
        return self._webhooks

    def wants(self, action: str) -> bool:
        """Whether anybody is told of this action. Of deliveries nobody is: each would be told of the one before."""
        return not action.startswith(ROOM) and any(webhook.wants(action) for webhook in self._webhooks.values())

    async def tell(self, entry: AuditEntry) -> None:
        """Let those who want it be told of an event, as part of the transaction around it.

        :raises JobQueueUnavailable: it was not taken, so the event must not happen either.
        """
        told = [name for name, webhook in self._webhooks.items() if webhook.wants(entry.action)]
        if told:
            data = {
                "subject": entry.subject,
                "outcome": entry.outcome,
                "actor": {"kind": entry.actor.kind, "id": entry.actor.id},
                "correlation_id": entry.correlation_id,
                "detail": entry.detail,
            }
            await self._enqueue(told, entry.action, data)

    async def test(self, name: str, *, actor: Actor, correlation_id: str = "") -> str:
        """Tell one of an event that did not happen, ``webhooks.test``; returns the id of the message.

        What became of it is among the :meth:`deliveries`.

        :raises WebhookNotFound: nobody of this name is told of anything.
        :raises JobQueueUnavailable: it was not taken.
        """
        self._named(name)
        async with self._trail.change(Event(TEST, name, actor, correlation_id), joined=True) as event:
            message_id = await self._enqueue([name], TEST, {"subject": name, "correlation_id": correlation_id})
            event.detail["message"] = message_id
        return message_id

    async def redeliver(self, name: str, message_id: str, *, actor: Actor, correlation_id: str = "") -> None:
        """Send a message once more, under the id that it has, so that a receiver that has it passes over it.

        :raises WebhookNotFound: nobody of this name is told of anything, or of no such message lately.
        :raises JobQueueUnavailable: it was not taken.
        """
        self._named(name)
        found = await self._find(name, message_id)
        async with self._trail.change(
            Event(REDELIVER, name, actor, correlation_id, {"message": message_id}), joined=True
        ):
            payload: dict[str, object] = {"webhook": name, "id": message_id, "body": found}
            await self._jobs.enqueue(DELIVER, payload, key=f"{DELIVER}:{name}:{message_id}:{self._ids.new()}")

    async def deliveries(self, name: str, *, cursor: str | None = None, limit: int = 100) -> Page[Delivery]:
        """A page of the attempts to tell one of something, the newest first.

        :raises WebhookNotFound: nobody of this name is told of anything.
        :raises AuditUnavailable: the trail cannot be read.
        """
        self._named(name)
        page = await self._trail.read(
            AuditQuery(action=DELIVERED, subject=name),
            cursor=cursor,
            limit=max(1, min(limit, MAX_PAGE)),
            newest_first=True,
        )
        return Page(items=tuple(map(delivery_of, page.items)), cursor=page.cursor)

    async def rotate(self, name: str, *, actor: Actor, correlation_id: str = "") -> str:
        """Make a new secret, with which messages are signed from now on, and for a day with the one before as well.

        :return: the path in the secrets room under which the receiver's owner finds it.
        :raises WebhookNotFound: nobody of this name is told of anything.
        :raises InvalidInput: the secrets provider cannot be written.
        """
        webhook = self._named(name)
        event = Event(ROTATE, name, actor, correlation_id)
        async with self._trail.change(event, joined=self._secrets.joined):
            return await self._secrets.rotate(name, webhook.secrets[0], actor=actor, correlation_id=correlation_id)

    def _named(self, name: str) -> Webhook:
        try:
            return self._webhooks[name]
        except KeyError:
            raise WebhookNotFound(f"there is no webhook {name[:80]!r}", mend="see `tradesense webhooks list`") from None

    async def _enqueue(self, names: Sequence[str], kind: str, data: Mapping[str, object]) -> str:
        message_id = f"msg_{self._ids.new()}"
        body = msgspec.json.encode({"type": kind, "timestamp": self._clock.now(), "data": data}).decode()
        for name in names:
            payload: dict[str, object] = {"webhook": name, "id": message_id, "body": body}
            await self._jobs.enqueue(DELIVER, payload, key=f"{DELIVER}:{name}:{message_id}")
        return message_id

    async def _find(self, name: str, message_id: str) -> str:
        """The body of a message, by the row of an attempt to send it."""
        cursor: str | None = None
        for _ in range(LOOKED_THROUGH):
            page = await self._trail.read(
                AuditQuery(action=DELIVERED, subject=name), cursor=cursor, limit=MAX_PAGE, newest_first=True
            )
            for record in page.items:
                if record.entry.detail.get("message") == message_id:
                    return record.entry.detail["body"]
            if (cursor := page.cursor) is None:
                break
        raise WebhookNotFound("no such message was sent lately", mend=f"see `tradesense webhooks deliveries {name}`")

    @as_system(DELIVERED)
    async def _deliver(self, job: Job) -> None:
        """Send one message, signed anew each time; one that is not taken is sent again by the queue."""
        name, message_id, text = (str(job.payload[field]) for field in ("webhook", "id", "body"))
        webhook = self._webhooks.get(name)
        if webhook is None:
            return  # nobody waits for it any more
        body = text.encode()
        timestamp = int(self._clock.now().timestamp())
        keys = await self._secrets.keys(name, webhook.secrets, self._clock.now())
        headers = {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": " ".join(signature(key, message_id, timestamp, body) for key in keys),
        }
        detail = {"message": message_id, "attempt": str(job.attempt), "body": text}
        event = Event(DELIVERED, name, WORKER, job.correlation_id, detail)
        try:
            status = await self._sender.send(webhook.url, headers, body)
            event.detail["status"] = str(status)
            if status not in TAKEN and status != GONE:
                raise WebhookRefused(f"the receiver of {name!r} answered {status}")
        except TradeSenseError as error:
            event.detail["error"] = error.code
            await self._trail.note(event, Outcome.FAILED)
            raise
        await self._trail.note(event)
