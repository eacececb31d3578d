"""Mail through an SMTP server."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr
from typing import Self

import aiosmtplib

from tradesense.adapters.smtp.settings import SmtpSettings
from tradesense.core.ambient import Clock, Random
from tradesense.core.errors import (
    AdapterClosed,
    ConfigurationError,
    InvalidEmail,
    InvalidInput,
    MessengerUnavailable,
)
from tradesense.core.identity import emails
from tradesense.core.identity.models import Message
from tradesense.core.identity.ports import Messenger
from tradesense.core.telemetry.models import Health, Status
from tradesense.core.telemetry.ports import HealthCheck
from tradesense.plugins.manifest import AdapterContext

ID_BYTES = 16
PERMANENT = 500
"""From this reply code on, sending the same again is of no use (RFC 5321, section 4.2.1)."""

MEND = "see the settings in [smtp], and the log of the server"


class SmtpMessenger:
    """One connection for each message. See :class:`Messenger`.

    A message has the same ``Message-ID`` whenever it is sent under the same key, by which mail programs show it once.
    """

    def __init__(self, settings: SmtpSettings, *, clock: Clock, random: Random) -> None:
        self._settings = settings
        self._clock = clock
        self._random = random
        self._sender = _sender(settings)
        self._domain = self._sender.rpartition("@")[2]
        self._place = f"{settings.host}:{settings.port}"
        self._turns = asyncio.Semaphore(settings.connections)
        self._tls: ssl.SSLContext | None = None
        self._open = False
        self.failing = ""
        """What became of the last message; empty when it was sent."""

    async def __aenter__(self) -> Self:
        if self._settings.security != "none":
            self._tls = _context(self._settings.ca_file)
        self._open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self._open = False

    async def send(self, message: Message) -> None:
        """See :meth:`Messenger.send`.

        :raises InvalidInput: the address or the subject cannot stand in a mail, or the server has no such mailbox.
        """
        if not self._open:
            raise AdapterClosed("SmtpMessenger is not open", mend="use it inside its `async with`")
        mail = self._mail(message)
        async with self._turns:
            try:
                with self._translated():
                    async with asyncio.timeout(self._settings.timeout):
                        await self._hand_over(mail)
            except MessengerUnavailable as error:
                self.failing = error.detail
                raise
        self.failing = ""

    def _mail(self, message: Message) -> EmailMessage:
        """The message in the form of RFC 5322.

        :raises InvalidInput: it has none; nothing of it can become another header.
        """
        try:
            to = emails.normalise(message.to)
        except InvalidEmail as error:
            raise InvalidInput("the address cannot be written to") from error
        if not message.subject.isprintable():
            raise InvalidInput("the subject of a mail is one line of printable characters")
        mail = EmailMessage(policy=SMTP)
        mail["From"] = formataddr((self._settings.sender_name, self._sender))
        mail["To"] = to
        mail["Subject"] = message.subject
        mail["Date"] = format_datetime(self._clock.now())
        mail["Message-ID"] = f"<{self._id(message)}@{self._domain}>"
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday notice answers it
        mail.set_content(message.text, charset="utf-8", cte="quoted-printable")
        if message.html:
            mail.add_alternative(message.html, subtype="html", charset="utf-8", cte="quoted-printable")
        return mail

    def _id(self, message: Message) -> str:
        if not message.key:
            return self._random.bytes(ID_BYTES).hex()
        return hashlib.sha256(message.key.encode()).hexdigest()[: 2 * ID_BYTES]

    async def _hand_over(self, mail: EmailMessage) -> None:
        settings = self._settings
        client = aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port,
            timeout=settings.timeout,
            use_tls=settings.security == "tls",
            start_tls=settings.security == "starttls",
            tls_context=self._tls,
            local_hostname=self._domain,
        )
        async with client:
            if settings.username:
                await client.login(settings.username, settings.password.reveal())
            await client.send_message(mail, sender=self._sender, recipients=[str(mail["To"])])

    @contextmanager
    def _translated(self) -> Generator[None]:
        """Tell what went wrong without what was sent: server replies may quote addresses."""
        try:
            yield
        except aiosmtplib.SMTPRecipientsRefused as error:
            if all(refusal.code >= PERMANENT for refusal in error.recipients):
                raise InvalidInput("the mail server has no such mailbox") from error
            raise self._unavailable("it does not take mail for this address now") from error
        except aiosmtplib.SMTPAuthenticationError as error:
            raise self._unavailable("it refuses our name or password") from error
        except aiosmtplib.SMTPResponseException as error:
            raise self._unavailable(f"it answered {error.code}") from error
        except (TimeoutError, aiosmtplib.SMTPTimeoutError) as error:
            raise self._unavailable(f"it did not answer within {self._settings.timeout:g} s") from error
        except (ssl.SSLError, aiosmtplib.SMTPException, OSError) as error:
            raise self._unavailable(_plainly(error)) from error

    def _unavailable(self, what: str) -> MessengerUnavailable:
        return MessengerUnavailable(f"the mail server {self._place}: {what}", origin="smtp", mend=MEND)


class SmtpHealth:
    """Whether the last mail was sent. It opens no connection: a health check is asked more often than mail is sent."""

    name = "mail"
    essential = False

    def __init__(self, messenger: SmtpMessenger) -> None:
        self._messenger = messenger

    async def check(self) -> Health:
        """See :meth:`HealthCheck.check`."""
        failing = self._messenger.failing
        return Health(name=self.name, status=Status.DEGRADED if failing else Status.UP, detail=failing)


def _sender(settings: SmtpSettings) -> str:
    try:
        return emails.normalise(settings.sender)
    except InvalidEmail as error:
        raise ConfigurationError(
            "mail needs the address that it comes from", origin="smtp.sender", mend="set smtp.sender"
        ) from error


def _context(ca_file: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        raise ConfigurationError(f"{ca_file} cannot be read", origin="smtp.ca_file") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _plainly(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError) or isinstance(error.__cause__, ssl.SSLCertVerificationError):
        return "its certificate is not one that is trusted"
    if isinstance(error, aiosmtplib.SMTPNotSupported):
        return "it does not offer what smtp.security or smtp.username asks for"
    return "there is no connection"


def messenger(settings: SmtpSettings, context: AdapterContext) -> SmtpMessenger:
    """The factory.

    :raises ConfigurationError: ``smtp.sender`` is no address.
    """
    made = SmtpMessenger(settings, clock=context.clock, random=context.random)
    context.watch(SmtpHealth(made))
    return made


_: type[Messenger] = SmtpMessenger
_health: type[HealthCheck] = SmtpHealth
