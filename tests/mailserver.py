"""A real SMTP server in the process: what it took, and how it may be told to misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as POLICY

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

import servers

NAME, PASSWORD = b"tradesense", b"mail-password"


class Taken:
    """Takes mail, or refuses it as it was told to."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], EmailMessage]] = []
        """The envelopes' recipients and the messages, in order."""
        self.refuse: dict[str, str] = {}
        """What a command, ``RCPT`` or ``DATA``, is answered with."""

    async def handle_RCPT(self, _server, _session, envelope, address, _options):  # the library's name
        if "RCPT" in self.refuse:
            return self.refuse["RCPT"]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server, _session, envelope):  # the library's name
        if "DATA" in self.refuse:
            return self.refuse["DATA"]
        message = message_from_bytes(envelope.content, policy=POLICY)
        self.mails.append((list(envelope.rcpt_tos), message))
        return "250 OK"

    def to(self, address: str) -> list[EmailMessage]:
        """The messages for this recipient."""
        return [mail for recipients, mail in self.mails if address in recipients]


def parts(mail: EmailMessage) -> dict[str, str]:
    """The bodies by type, with one kind of line end."""
    return {
        part.get_content_type(): part.get_content().replace("\r\n", "\n")
        for part in mail.walk()
        if not part.is_multipart()
    }


class _Controller(Controller):
    def __init__(self, handler, *, implicit: ssl.SSLContext | None, options) -> None:
        self._options = options
        self._made: list[SMTP] = []
        super().__init__(handler, hostname="127.0.0.1", port=servers.free_port(), ssl_context=implicit)

    def factory(self) -> SMTP:
        self._made.append(SMTP(self.handler, enable_SMTPUTF8=True, **self._options))
        return self._made[-1]

    def stop(self, *_) -> None:
        """Close what clients have left open as well."""
        asyncio.run_coroutine_threadsafe(self._close(), self.loop).result(10)
        super().stop()

    async def _close(self) -> None:
        self.server.close()
        for _ in range(20):  # turns of the loop, in which connections are still being made, and ended
            for each in self._made:
                if each.transport is not None:
                    each.transport.close()
            await asyncio.sleep(0)


@contextlib.contextmanager
def serving(*, security: str = "none", login: bool = False, port: int = 0) -> Iterator[tuple[Taken, int, str]]:
    """A server; yields what it takes, its port, and the file of the authority that signed its certificate.

    :param port: the one to listen on; a free one when 0.
    """
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    options = {}
    if security == "starttls":
        options |= {"tls_context": context, "require_starttls": True}
    if login:
        options |= {"authenticator": _authenticate, "auth_required": True, "auth_require_tls": security == "starttls"}
    taken = Taken()
    controller = _Controller(taken, implicit=context if security == "tls" else None, options=options)
    controller.port = port or controller.port
    with authority.cert_pem.tempfile() as ca_file:
        controller.start()
        try:
            yield taken, controller.port, ca_file
        finally:
            controller.stop()


def _authenticate(_server, _session, _envelope, _mechanism, data):
    if (data.login, data.password) == (NAME, PASSWORD):
        return AuthResult(success=True)
    return AuthResult(success=False, handled=False)
