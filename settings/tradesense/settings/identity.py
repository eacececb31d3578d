"""``[identity]``: who may come in, what they are told by mail, and who else is told of it."""

from __future__ import annotations

from tradesense.core.identity.models import IdentityPolicy
from tradesense.core.sensitive import Secret
from tradesense.settings.base import Name, Section


class MailSettings(Section, frozen=True, kw_only=True):
    """``[identity.mail]``: what mails say."""

    product: str = "TradeSense"
    """What mails call the platform."""
    locale: str = "en"
    """The language for who has not chosen one, or one that there are no texts in."""
    links: str = ""
    """The address that links begin with: that of the pages which take the tokens. ``http.base_url`` when empty."""
    templates: str = ""
    """A folder of texts, ``LANGUAGE.toml`` each, that go before those that come with the platform."""


class WebhookSettings(Section, frozen=True, kw_only=True):
    """``[identity.webhooks.NAME]``: who is told of identity's events."""

    url: str
    """Where the events are posted: https, and a public address."""
    events: tuple[str, ...] = ("identity.*",)
    """Actions of the audit trail, or a room followed by ``.*``."""
    secret: Secret
    """``whsec_`` and 24 to 64 random bytes in base64; the receiver checks signatures with it."""
    next_secret: Secret = Secret("")
    """A second one, while the receiver changes from one to the other: every message is signed with both."""


class IdentitySettings(Section, frozen=True, kw_only=True):
    """``[identity]``: accounts, sessions and tokens."""

    provider: str = "memory"
    """Who keeps accounts and sessions: an ``IdentityStore``."""
    hasher: str = "argon2"
    """The ``PasswordHasher``."""
    signer: str = "jose"
    """The ``TokenSigner``."""
    messenger: str = "console"
    """The ``Messenger`` for mail."""
    breached: str = "null"
    """The ``BreachedPasswords`` source."""
    csrf_key: Secret = Secret("")
    """At least 32 bytes that CSRF tokens are made with."""
    csrf_other_key: Secret = Secret("")
    """A second key whose CSRF tokens are taken while the key is changed: first the new one, then the old one."""
    webhook_sender: str = "http"
    """The ``WebhookSender``."""
    webhooks: dict[Name, WebhookSettings] = {}
    """Who is told of identity's events, each a section ``[identity.webhooks.NAME]``."""
    policy: IdentityPolicy = IdentityPolicy()
    """Lengths of passwords, lives of sessions and tokens, limits of logins."""
    mail: MailSettings = MailSettings()
    """What mails say."""
    return_to: tuple[str, ...] = ()
    """URLs, beside paths of this site, that one may go on to after a link of a mail: whole, letter by letter."""
