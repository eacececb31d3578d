"""How webhooks are signed, as Standard Webhooks asks, and where the secrets come from that sign them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from tradesense.core.ambient import Random
from tradesense.core.audit.models import Actor
from tradesense.core.errors import ConfigurationError, InvalidInput, SecretNotFound
from tradesense.core.secrets.models import StoredSecret
from tradesense.core.secrets.provider import Provider
from tradesense.core.secrets.service import Secrets
from tradesense.core.sensitive import Secret

PREFIX = b"whsec_"
SHORTEST, MADE, LONGEST = 24, 32, 64
"""Bytes of a secret, and of one that is made here."""
TOLERANCE = timedelta(minutes=5)
"""How far the sender's clock may be from the receiver's."""
OVERLAP = timedelta(days=1)
"""How long the secret before the last rotation signs as well."""
FOLDER = "webhooks"
BEFORE = "-before"
"""What the path of the secret before ends with."""


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


class WebhookSecrets:
    """The secrets of webhooks: those of the settings, and in their place the ones that were made since."""

    def __init__(self, *, secrets: Secrets, provider: Provider, random: Random) -> None:
        self._secrets = secrets
        self._provider = provider
        self._random = random

    @property
    def joined(self) -> bool:
        """Whether a rotation joins the transactions of the audit log."""
        return self._provider.joined

    async def keys(self, name: str, given: Sequence[Secret], now: datetime) -> list[bytes]:
        """The keys that sign what the webhook ``name`` is told, the current one first.

        :param given: the secrets of the settings, which sign until the first rotation.
        :raises SecretStoreUnavailable: they cannot be read.
        :raises ConfigurationError: what lies in the secrets room is no secret of a webhook.
        """
        current = await self._read(f"{FOLDER}/{name}")
        if current is None:
            return [key_of(secret) for secret in given]
        before = await self._read(f"{FOLDER}/{name}{BEFORE}")
        lasts = before is not None and (before.created_at is None or now - before.created_at < OVERLAP)
        return [key_of(one.value) for one in (current, *([before] if before is not None and lasts else []))]

    async def rotate(self, name: str, given: Secret, *, actor: Actor, correlation_id: str) -> str:
        """Make a secret for the webhook ``name``, keep the one that signs now for a while, and return its path.

        :param given: the secret of the settings, which signs where nothing was made yet.
        :raises InvalidInput: the provider cannot be written.
        """
        path = f"{FOLDER}/{name}"
        current = await self._read(path)
        await self._secrets.put(
            f"{path}{BEFORE}", current.value if current else given, actor=actor, correlation_id=correlation_id
        )
        made = Secret(PREFIX + base64.b64encode(self._random.bytes(MADE)))
        await self._secrets.put(path, made, actor=actor, correlation_id=correlation_id)
        return path

    async def _read(self, path: str) -> StoredSecret | None:
        """The platform's own reading, of which the trail need not tell."""
        try:
            return await self._provider.store.get(path)
        except SecretNotFound:
            return None
