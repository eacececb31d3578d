"""Identity in memory: accounts, an external login that a test plays, messages that are kept, known passwords."""

from __future__ import annotations

import base64
import hashlib
import hmac
import unicodedata
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from typing import TypeVar
from urllib.parse import urlencode

import msgspec

from tradesense.adapters.memory._lifecycle import Lifecycle
from tradesense.adapters.memory._people import MemoryIdentityStore
from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.settings import MemoryIdentitySettings
from tradesense.core.addresses import target_of
from tradesense.core.ambient import Random
from tradesense.core.errors import CredentialsRefused, InvalidInput
from tradesense.core.identity.models import ExternalIdentity, Message
from tradesense.core.identity.ports import BreachedPasswords, IdentityProvider, Messenger, WebhookSender
from tradesense.core.sensitive import Secret
from tradesense.plugins.manifest import AdapterContext, NoSettings

V = TypeVar("V")

KEPT = 1000
CODE_BYTES = 16
AUTHORIZATION_ENDPOINT = "https://provider.invalid/authorize"


class _Asked(msgspec.Struct, frozen=True):
    """What an authorization request said."""

    nonce: str
    challenge: str
    redirect_uri: str


KEPT_WEBHOOKS = 1000


class MemoryIdentityProvider:
    """An external login whose user is played by the caller of :meth:`grant`. See :class:`IdentityProvider`.

    It holds what a real one holds: a code is good for one exchange, with the verifier (RFC 7636), the nonce and the
    redirect address of the request that it answers.
    """

    def __init__(self, *, random: Random) -> None:
        self._random = random
        self._asked: OrderedDict[str, _Asked] = OrderedDict()
        self._granted: OrderedDict[str, tuple[_Asked, ExternalIdentity]] = OrderedDict()

    async def authorization_url(self, *, state: str, nonce: str, code_challenge: str, redirect_uri: str) -> str:
        """See :meth:`IdentityProvider.authorization_url`."""
        _keep(self._asked, code_challenge, _Asked(nonce, code_challenge, redirect_uri))
        query = {
            "response_type": "code",
            "scope": "openid email profile",
            "state": state,
            "nonce": nonce,
            "code_challenge": code_challenge,
            "code_challenge_method": "S256",
            "redirect_uri": redirect_uri,
        }
        return f"{AUTHORIZATION_ENDPOINT}?{urlencode(query)}"

    def grant(self, identity: ExternalIdentity, code_challenge: str) -> str:
        """Log ``identity`` in, in answer to the request with this challenge, and return the code for it.

        :raises InvalidInput: there was no such request.
        """
        asked = self._asked.pop(code_challenge, None)
        if asked is None:
            raise InvalidInput("no authorization was asked for with this challenge")
        code = self._random.bytes(CODE_BYTES).hex()
        _keep(self._granted, code, (asked, identity))
        return code

    async def exchange(self, *, code: str, code_verifier: str, nonce: str, redirect_uri: str) -> ExternalIdentity:
        """See :meth:`IdentityProvider.exchange`. A code that was tried is spent, whatever the outcome."""
        granted = self._granted.pop(code, None)
        if granted is None:
            raise CredentialsRefused("the provider does not know this code")
        asked, identity = granted
        given = _Asked(nonce, _s256(code_verifier), redirect_uri)
        if not hmac.compare_digest(msgspec.msgpack.encode(asked), msgspec.msgpack.encode(given)):
            raise CredentialsRefused("the code was given for another request")
        return identity


class MemoryMessenger(Lifecycle):
    """Keeps the last 1000 messages. See :class:`Messenger`."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: deque[Message] = deque(maxlen=KEPT)
        """The messages, oldest first."""
        self._keys: OrderedDict[str, None] = OrderedDict()

    async def send(self, message: Message) -> None:
        """See :meth:`Messenger.send`. Of messages with one key, the first is kept."""
        self.check_open()
        if message.key:
            if message.key in self._keys:
                return
            _keep(self._keys, message.key, None)
        self.sent.append(message)


class MemoryBreachedPasswords:
    """A list. See :class:`BreachedPasswords`."""

    def __init__(self, known: Iterable[str]) -> None:
        # Digests, as the words of the list are then not compared with a password letter by letter.
        self._digests = frozenset(_digest(unicodedata.normalize("NFC", word).encode()) for word in known)

    async def contains(self, password: Secret) -> bool:
        """See :meth:`BreachedPasswords.contains`."""
        return _digest(password.reveal_bytes()) in self._digests


def _keep(kept: OrderedDict[str, V], key: str, value: V) -> None:
    """Add to ``kept``, which never holds more than the last 1000."""
    kept[key] = value
    if len(kept) > KEPT:
        kept.popitem(last=False)


def _digest(word: bytes) -> bytes:
    return hashlib.sha256(word).digest()


def _s256(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class MemoryWebhookSender(Lifecycle):
    """Keeps the last webhooks instead of sending them. See :class:`WebhookSender`."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: deque[tuple[str, dict[str, str], bytes]] = deque(maxlen=KEPT_WEBHOOKS)
        self.status = 204
        """What the next ones are answered with."""

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """See :meth:`WebhookSender.send`."""
        self.check_open()
        target_of(url)
        self.sent.append((url, dict(headers), body))
        return self.status


def webhook_sender(_: NoSettings, context: AdapterContext) -> MemoryWebhookSender:  # noqa: ARG001  # every factory takes both
    """The factory of the sender of webhooks."""
    return MemoryWebhookSender()


def store(_: NoSettings, context: AdapterContext) -> MemoryIdentityStore:
    """The factory of the store."""
    return MemoryIdentityStore(context.share(MemoryState, MemoryState))


def provider(_: NoSettings, context: AdapterContext) -> MemoryIdentityProvider:
    """The factory of the external login."""
    return MemoryIdentityProvider(random=context.random)


def messenger(_: NoSettings, context: AdapterContext) -> MemoryMessenger:  # noqa: ARG001  # every factory takes both
    """The factory of the messenger."""
    return MemoryMessenger()


def breached(
    settings: MemoryIdentitySettings,
    context: AdapterContext,  # noqa: ARG001  # every factory takes both
) -> MemoryBreachedPasswords:
    """The factory of the list of known passwords."""
    return MemoryBreachedPasswords(settings.breached)


_provider: type[IdentityProvider] = MemoryIdentityProvider
_messenger: type[Messenger] = MemoryMessenger
_breached: type[BreachedPasswords] = MemoryBreachedPasswords
_webhook_sender: type[WebhookSender] = MemoryWebhookSender
