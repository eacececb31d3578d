"""Makers for the identity room, as :mod:`parts` has them for the others: tokens of forms, mails, browsers, webhooks."""

from __future__ import annotations

from tradesense.core.cache.ports import RateLimiter
from tradesense.core.capabilities import Capability
from tradesense.core.identity.browsers import KnownBrowsers
from tradesense.core.identity.csrf import CsrfTokens
from tradesense.core.identity.mails import Mails
from tradesense.core.identity.ports import WebhookSender
from tradesense.core.identity.returning import Returns
from tradesense.core.identity.webhooks import Webhook
from tradesense.entrypoints import parts
from tradesense.entrypoints.adapters import Adapters
from tradesense.entrypoints.mails import catalogue
from tradesense.settings.schema import Settings


def csrf_tokens(adapters: Adapters, settings: Settings) -> CsrfTokens:
    """The CSRF tokens of this deployment."""
    identity, random, name = settings.identity, adapters.random, "identity.csrf_other_key"
    return CsrfTokens(
        key=parts.key(identity.csrf_key, "identity.csrf_key", settings, random),
        other=parts.key(identity.csrf_other_key, name, settings, random) if identity.csrf_other_key else b"",
        random=random,
    )


def known_browsers(adapters: Adapters, settings: Settings) -> KnownBrowsers:
    """The browsers in which accounts have logged in; their key is derived from the one of the CSRF tokens."""
    return KnownBrowsers(
        key=parts.key(settings.identity.csrf_key, "identity.csrf_key", settings, adapters.random),
        clock=adapters.clock,
        random=adapters.random,
        ttl=settings.identity.policy.browser_ttl,
    )


def returns(settings: Settings) -> Returns:
    """Where one may go on to after a link of a mail."""
    return Returns(settings.identity.return_to)


def floor(adapters: Adapters, settings: Settings) -> RateLimiter | None:
    """What counts attempts where accounts lie, so that they are counted when the chosen limiter has forgotten them.

    ``None`` where that one counts there itself, or where nothing is kept.
    """
    name = settings.identity.provider
    if name == settings.cache.limiter:
        return None
    limiter = adapters.beside(RateLimiter, name)
    return limiter if limiter and Capability.PERSISTENT in adapters.capabilities(RateLimiter, name) else None


def mails(settings: Settings, returns: Returns) -> Mails:
    """What mails say in this deployment."""
    mail, http = settings.identity.mail, settings.http
    base = mail.links or http.base_url or f"http://{http.host}:{http.port}"
    return Mails(catalogue(mail.templates), product=mail.product, base=base, locale=mail.locale, returns=returns)


def webhook_sender(adapters: Adapters, settings: Settings) -> WebhookSender:
    """The chosen sender; where nobody is told of anything, one that imports nothing."""
    name = settings.identity.webhook_sender if settings.identity.webhooks else "memory"
    return adapters.choose(WebhookSender, name, "identity.webhook_sender")


def webhooks(settings: Settings) -> dict[str, Webhook]:
    """Who is told of identity's events."""
    return {
        name: Webhook(
            url=one.url, events=one.events, secrets=(one.secret, *([one.next_secret] if one.next_secret else []))
        )
        for name, one in settings.identity.webhooks.items()
    }
