"""What the mails of identity say: one text for each occasion and language, as plain text and as HTML.

A template is written once, in plain words; the HTML is made of it, with everything escaped. Nothing that a stranger
typed stands in a mail but addresses that were checked, so that nobody can send their own words in our name.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from enum import StrEnum
from string import Template
from typing import Annotated
from urllib.parse import quote

import msgspec
from msgspec import Meta

from tradesense.core.errors import ConfigurationError
from tradesense.core.identity.models import Purpose
from tradesense.core.identity.returning import Returns

FALLBACK = "en"
"""The language that every occasion has a text in."""


class Occasion(StrEnum):
    """Why a mail is sent."""

    VERIFY_EMAIL = "verify-email"
    """To a new account, or to one whose owner asks again."""
    ALREADY_REGISTERED = "already-registered"
    """Somebody signed up with an address that has an account."""
    RESET_PASSWORD = "reset-password"  # noqa: S105  # the name of an occasion
    PASSWORD_CHANGED = "password-changed"  # noqa: S105  # the same
    CHANGE_EMAIL_OLD = "change-email-old"
    CHANGE_EMAIL_NEW = "change-email-new"
    CHANGE_EMAIL_TAKEN = "change-email-taken"
    """To an address that another account wants to move to and that has one already."""
    EMAIL_CHANGED = "email-changed"
    ACCOUNT_DISABLED = "account-disabled"
    ACCOUNT_DELETED = "account-deleted"


PURPOSES: Mapping[Occasion, Purpose] = {
    Occasion.VERIFY_EMAIL: Purpose.VERIFY_EMAIL,
    Occasion.RESET_PASSWORD: Purpose.RESET_PASSWORD,
    Occasion.CHANGE_EMAIL_OLD: Purpose.CHANGE_EMAIL_OLD,
    Occasion.CHANGE_EMAIL_NEW: Purpose.CHANGE_EMAIL_NEW,
}
"""The mails that carry a link, and what its token is good for."""

PAGES: Mapping[Purpose, str] = {
    Purpose.VERIFY_EMAIL: "verify-email",
    Purpose.RESET_PASSWORD: "reset-password",
    Purpose.CHANGE_EMAIL_OLD: "confirm-email",
    Purpose.CHANGE_EMAIL_NEW: "confirm-email",
}
"""The page of the client's own that each link opens."""


class MailText(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One occasion in a language: ``$product``, ``$email``, ``$next_email``, ``$minutes``, ``$hours`` are filled in."""

    subject: str
    paragraphs: Annotated[tuple[str, ...], Meta(min_length=1)]
    action: str = ""
    """The words on the link, where there is one."""


Catalogue = Mapping[str, Mapping[Occasion, MailText]]
"""The texts by language and occasion."""


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """A mail's words."""

    subject: str
    text: str
    html: str

    def __repr__(self) -> str:
        """Without the words, which may hold a link that proves who reads it."""
        return f"Rendered(subject={self.subject!r})"


class Mails:
    """Renders mails in the language of whoever reads them."""

    def __init__(
        self, catalogue: Catalogue, *, product: str, base: str, locale: str = FALLBACK, returns: Returns | None = None
    ) -> None:
        self._texts = {language.lower(): texts for language, texts in catalogue.items()}
        self._product = product
        self._base = base.rstrip("/")
        self._locale = locale
        self._returns = returns or Returns()
        self._check()

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that there are texts in."""
        return tuple(sorted(self._texts))

    @property
    def returns(self) -> Returns:
        """Where a reader may go on to."""
        return self._returns

    def link(self, purpose: Purpose, token: str, return_to: str = "") -> str:
        """Where a reader goes with the token, and where on from there, as long as one still may.

        It is in the fragment, which browsers send to no server and name to no other site (ASVS 14.2.1); and the address
        is the configured one, whatever a request said of its host (CVE-2026-25479).
        """
        onward = f"&return_to={quote(return_to, safe='')}" if return_to and self._returns.takes(return_to) else ""
        return f"{self._base}/{PAGES[purpose]}#token={token}{onward}"

    def render(self, occasion: Occasion, locale: str, *, link: str = "", **values: str) -> Rendered:
        """The mail in the reader's language, or the nearest that there is."""
        language = self.negotiate(locale)
        text = self._texts[language].get(occasion) or self._texts[FALLBACK][occasion]
        known = {"product": self._product, "next_email": "", "minutes": "", "hours": "", **values}
        subject = Template(text.subject).substitute(known)
        paragraphs = [Template(paragraph).substitute(known) for paragraph in text.paragraphs]
        return Rendered(
            subject=" ".join(subject.split()),
            text=_plain(paragraphs, link),
            html=_html(language, subject, paragraphs, text.action, link),
        )

    def negotiate(self, *wanted: str) -> str:
        """The first of the ``wanted`` languages that there are texts in, or one that it is a kind of."""
        for locale in (*wanted, self._locale):
            tag = locale.lower().replace("_", "-")
            while tag:
                if tag in self._texts:
                    return tag
                tag = tag.rpartition("-")[0]
        return FALLBACK

    def _check(self) -> None:
        missing = set(Occasion) - set(self._texts.get(FALLBACK, {}))
        if missing:
            raise ConfigurationError(f"there is no mail text {min(missing)!r} in {FALLBACK!r}", origin="identity.mail")
        for language, texts in self._texts.items():
            for occasion in texts:
                try:
                    self.render(occasion, language, email="")
                except (KeyError, ValueError) as error:
                    raise ConfigurationError(
                        f"the mail text {occasion!r} in {language!r} has a placeholder that nothing stands for",
                        origin="identity.mail.templates",
                        mend="use $product, $email, $next_email, $minutes and $hours, and $$ for a dollar sign",
                    ) from error


def _plain(paragraphs: list[str], link: str) -> str:
    first, *rest = paragraphs
    return "\n\n".join([first, *([link] if link else []), *rest]) + "\n"


def _html(language: str, subject: str, paragraphs: list[str], action: str, link: str) -> str:
    """A page that mail programs of any age show: no style sheet, no picture, nothing to fetch."""
    first, *rest = [f"<p>{html.escape(paragraph)}</p>" for paragraph in paragraphs]
    anchor = f'<p><a href="{html.escape(link)}">{html.escape(action)}</a></p>' if link else ""
    body = "\n".join(filter(None, [first, anchor, *rest]))
    return (
        f'<!doctype html>\n<html lang="{html.escape(language)}">\n<head><meta charset="utf-8">'
        f"<title>{html.escape(subject)}</title></head>\n"
        f'<body style="font-family: sans-serif; max-width: 40em">\n{body}\n</body>\n</html>\n'
    )
