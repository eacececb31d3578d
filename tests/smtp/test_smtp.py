"""Mail to real SMTP servers: protected ways, logins, refusals, and servers that misbehave."""

from __future__ import annotations

import asyncio
from email.utils import parsedate_to_datetime

import pytest

import contracted
import mailserver
import servers
from tradesense.core.errors import ConfigurationError, InvalidInput, MessengerUnavailable
from tradesense.core.identity.models import Message
from tradesense.core.identity.ports import Messenger
from tradesense.core.sensitive import Secret
from tradesense.core.telemetry.models import Status

SENDER = "noreply@example.org"
MESSAGE = Message(to="ada@example.org", subject="Grüße", text="Hällo\n.\nend\n", html="<p>Hällo</p>", key="k1")


def smtp(port, **settings):
    built = {"host": "localhost", "port": port, "sender": SENDER, "security": "none", **settings}
    return contracted.build(contracted.manifest("smtp", Messenger), contracted.context(), **built)


async def test_a_mail_has_both_bodies_and_the_headers_of_one_that_a_machine_sends():
    with mailserver.serving() as (taken, port, _):
        async with smtp(port, sender_name="Acme, Inc. <x>") as messenger:
            await messenger.send(MESSAGE)
        ((recipients, mail),) = taken.mails
    assert recipients == ["ada@example.org"]
    assert mailserver.parts(mail) == {"text/plain": "Hällo\n.\nend\n", "text/html": "<p>Hällo</p>\n"}
    assert mail["Subject"] == "Grüße"
    assert mail["From"].addresses[0].addr_spec == SENDER
    assert mail["From"].addresses[0].display_name == "Acme, Inc. <x>"
    assert len(mail["From"].addresses) == 1
    assert mail["Auto-Submitted"] == "auto-generated"
    assert parsedate_to_datetime(mail["Date"]).tzinfo is not None


async def test_F02_a_message_of_one_key_has_one_id_whoever_sends_it():
    other = Message(to=MESSAGE.to, subject="x", text="y", key="k2")
    with mailserver.serving() as (taken, port, _):
        for message in (MESSAGE, MESSAGE, other):
            async with smtp(port) as messenger:
                await messenger.send(message)
        ids = [mail["Message-ID"] for _, mail in taken.mails]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.filterwarnings("ignore:Requiring AUTH")  # it takes the TLS around the whole connection for none
@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_protected_way_with_a_login(security):
    with mailserver.serving(security=security, login=True) as (taken, port, ca_file):
        given = {"security": security, "ca_file": ca_file, "username": mailserver.NAME.decode()}
        async with smtp(port, **given, password=Secret(mailserver.PASSWORD)) as messenger:
            await messenger.send(MESSAGE)
        assert len(taken.to(MESSAGE.to)) == 1
        async with smtp(port, **given, password=Secret("wrong")) as messenger:
            with pytest.raises(MessengerUnavailable, match="name or password") as caught:
                await messenger.send(MESSAGE)
        assert "wrong" not in repr(caught.value)


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_certificate_of_nobody_we_trust_is_refused(security):
    with mailserver.serving(security=security) as (taken, port, _):
        async with smtp(port, security=security) as messenger:
            with pytest.raises(MessengerUnavailable, match="certificate"):
                await messenger.send(MESSAGE)
        assert not taken.mails


async def test_nothing_goes_in_the_clear_where_the_server_offers_no_starttls():
    with mailserver.serving() as (taken, port, ca_file):
        async with smtp(port, security="starttls", ca_file=ca_file, timeout=5) as messenger:
            with pytest.raises(MessengerUnavailable):
                await messenger.send(MESSAGE)
        assert not taken.mails


@pytest.mark.parametrize(
    ("command", "reply", "error"),
    [
        ("RCPT", "550 5.1.1 no such user ada@example.org", InvalidInput),
        ("RCPT", "450 4.2.1 try later", MessengerUnavailable),
        ("DATA", "451 4.3.0 greylisted", MessengerUnavailable),
        ("DATA", "554 5.7.1 looks like spam", MessengerUnavailable),
    ],
)
async def test_a_refusal_is_for_ever_or_for_now(command, reply, error):
    with mailserver.serving() as (taken, port, _):
        taken.refuse[command] = reply
        async with smtp(port) as messenger:
            with pytest.raises(error) as caught:
                await messenger.send(MESSAGE)
            assert MESSAGE.to not in str(caught.value)
            taken.refuse.clear()
            await messenger.send(MESSAGE)
        assert len(taken.mails) == 1


async def test_a_server_that_is_away_or_silent_is_unavailable_in_time_and_health_says_so():
    ended = asyncio.Event()

    async def silent(reader, writer):
        await reader.read()
        writer.close()
        await writer.wait_closed()
        ended.set()

    hanging = await asyncio.start_server(silent, "127.0.0.1", 0)
    for port in (servers.free_port(), hanging.sockets[0].getsockname()[1]):
        platform = contracted.context()
        given = {"host": "127.0.0.1", "port": port, "sender": SENDER, "security": "none", "timeout": 0.5}
        messenger = contracted.build(contracted.manifest("smtp", Messenger), platform, **given)
        (health,) = platform.checks
        async with messenger, asyncio.timeout(20):
            assert (await health.check()).status is Status.UP
            with pytest.raises(MessengerUnavailable):
                await messenger.send(MESSAGE)
            assert (await health.check()).status is Status.DEGRADED
    async with asyncio.timeout(20):
        await ended.wait()
    hanging.close()
    await hanging.wait_closed()


@pytest.mark.parametrize(
    "to",
    ["a@example.org, b@example.org", "a@example.org\r\nBcc: b@example.org", "<a@example.org>", "a@b@example.org", ""],
)
async def test_an_address_is_one_address(to):
    with mailserver.serving() as (taken, port, _):
        async with smtp(port) as messenger:
            with pytest.raises(InvalidInput):
                await messenger.send(Message(to=to, subject="x", text="y"))
        assert not taken.mails


@pytest.mark.parametrize("end", ["\r", "\n", "\x00", "\x1b[2J", "\u2028", "\x85"], ids=repr)
async def test_a_subject_is_one_line(end):
    with mailserver.serving() as (taken, port, _):
        async with smtp(port) as messenger:
            with pytest.raises(InvalidInput):
                await messenger.send(Message(to=MESSAGE.to, subject=f"x{end}Bcc: b@example.org", text="y"))
        assert not taken.mails


async def test_a_body_cannot_end_the_mail_and_begin_another():
    smuggled = "x\r\n.\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n\nx\n.\nx\r.\r"
    with mailserver.serving() as (taken, port, _):
        async with smtp(port) as messenger:
            await messenger.send(Message(to=MESSAGE.to, subject="x", text=smuggled, html=smuggled))
        assert [recipients for recipients, _ in taken.mails] == [[MESSAGE.to]]


@pytest.mark.parametrize(
    ("settings", "origin"),
    [
        ({"sender": ""}, "smtp.sender"),
        ({"sender": "a@example.org\r\nBcc: b@example.org"}, "smtp.sender"),
        ({"host": "mail.example.org", "security": "none"}, "smtp.security"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings, origin):
    with pytest.raises(ConfigurationError) as caught:
        smtp(25, **settings)
    assert caught.value.origin == origin
