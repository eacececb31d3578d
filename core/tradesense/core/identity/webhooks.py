"""Identity's events, told to others: signed as Standard Webhooks asks, through the outbox, until they are taken."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import timedelta

import msgspec

from tradesense.core.acting import as_system
from tradesense.core.ambient import Clock, Ids
from tradesense.core.audit.models import AuditEntry
from tradesense.core.errors import ConfigurationError, InvalidInput, WebhookRefused
from tradesense.core.identity.ports import WebhookSender
from tradesense.core.jobs.models import Job
from tradesense.core.jobs.service import Jobs
from tradesense.core.sensitive import Secret

DELIVER = "identity.webhook"
PREFIX = b"whsec_"
SHORTEST, LONGEST = 24, 64
"""Bytes of a secret."""
TOLERANCE = timedelta(minutes=5)
"""How far the sender's clock may be from the receiver's."""
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


def key_of(secret: Secret) -> bytes:
    """The bytes of a secret that is written as ``whsec_`` and base64.

    :raises ConfigurationError: it is written otherwise, or has not 24 to 64 bytes.
    """
    try:
        key = base64.b64decode(secret.reveal_bytes().removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not SHORTEST <= len(key) <= LONGEST:
        raise ConfigurationError(
            f"a webhook's secret is whsec_ and {SHORTEST} to {LONGEST} bytes in base64",
            origin="identity.webhooks",
            mend="write whsec_ and after it what `openssl rand -base64 32` prints",
        )
    return key


def signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """One signature in the form of ``webhook-signature``."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def verify(keys: Sequence[bytes], headers: Mapping[str, str], body: bytes, *, now: float) -> None:
    """What a receiver does: go on only if the message is signed with one of the keys, and of these minutes.

    :raises InvalidInput: it is not.
    """
    message_id, given = headers.get("webhook-id", ""), headers.get("webhook-signature", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not message_id or not (timestamp.isascii() and timestamp.isdecimal()):
        raise InvalidInput("the message has no id or no timestamp")
    if abs(now - int(timestamp)) > TOLERANCE.total_seconds():
        raise InvalidInput("the message is too old, or from the future")
    for key in keys:
        right = signature(key, message_id, int(timestamp), body).encode()
        if any(hmac.compare_digest(right, one.encode()) for one in given.split(" ")):
            return
    raise InvalidInput("the message is not signed with a key that is known")


class Webhooks:
    """Tells events to those who want them."""

    def __init__(
        self, *, sender: WebhookSender, jobs: Jobs, clock: Clock, ids: Ids, webhooks: Mapping[str, Webhook]
    ) -> None:
        """Check the secrets, and do the deliveries.

        :raises ConfigurationError: a secret is not one, or a URL not https.
        """
        self._sender = sender
        self._jobs = jobs
        self._clock = clock
        self._ids = ids
        self._webhooks = dict(webhooks)
        self._keys = {name: [key_of(one) for one in webhook.secrets] for name, webhook in webhooks.items()}
        for name, webhook in webhooks.items():
            if not webhook.url.startswith("https://"):
                raise ConfigurationError(
                    "a webhook goes to a https URL", origin=f"identity.webhooks.{name}.url", mend="write https://…"
                )
        jobs.on(DELIVER, self._deliver)

    def wants(self, action: str) -> bool:
        """Whether anybody is told of this action."""
        return any(webhook.wants(action) for webhook in self._webhooks.values())

    async def tell(self, entry: AuditEntry) -> None:
        """Let those who want it be told of an event, as part of the transaction around it.

        :raises JobQueueUnavailable: it was not taken, so the event must not happen either.
        """
        told = [name for name, webhook in self._webhooks.items() if webhook.wants(entry.action)]
        if not told:
            return
        message_id = f"msg_{self._ids.new()}"
        body = msgspec.json.encode(
            {
                "type": entry.action,
                "timestamp": self._clock.now(),
                "data": {
                    "subject": entry.subject,
                    "outcome": entry.outcome,
                    "actor": {"kind": entry.actor.kind, "id": entry.actor.id},
                    "correlation_id": entry.correlation_id,
                    "detail": entry.detail,
                },
            }
        ).decode()
        for name in told:
            payload: dict[str, object] = {"webhook": name, "id": message_id, "body": body}
            await self._jobs.enqueue(DELIVER, payload, key=f"{DELIVER}:{name}:{message_id}")

    @as_system()
    async def _deliver(self, job: Job) -> None:
        """Send one message, signed anew each time; one that is not taken is sent again by the queue."""
        name, message_id = str(job.payload["webhook"]), str(job.payload["id"])
        webhook = self._webhooks.get(name)
        if webhook is None:
            return  # nobody waits for it any more
        body = str(job.payload["body"]).encode()
        timestamp = int(self._clock.now().timestamp())
        headers = {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": " ".join(signature(key, message_id, timestamp, body) for key in self._keys[name]),
        }
        status = await self._sender.send(webhook.url, headers, body)
        if status not in TAKEN and status != GONE:
            raise WebhookRefused(f"the receiver of {name!r} answered {status}")
