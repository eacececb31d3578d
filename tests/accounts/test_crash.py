"""A server that is killed between the commit and the mail: after a restart the mail is sent."""

from __future__ import annotations

import secrets
import signal

from talking import Person, Talker

import mailserver
import servers
from platform_process import Runner, serving
from servers import reachable_folder, wait_until

SENDER = "noreply@example.org"


def by_smtp(port):
    return {
        "TRADESENSE_IDENTITY__MESSENGER": "smtp",
        "TRADESENSE_SMTP__HOST": "127.0.0.1",
        "TRADESENSE_SMTP__PORT": str(port),
        "TRADESENSE_SMTP__SECURITY": "none",
        "TRADESENSE_SMTP__SENDER": SENDER,
        "TRADESENSE_TELEMETRY__LOG_FORMAT": "json",
    }


def test_F02_a_kill_between_the_commit_and_the_mail_loses_no_mail():
    port = servers.free_port()  # nobody listens there yet
    emails = [f"crash-{secrets.token_hex(6)}@example.org" for _ in range(3)]
    with reachable_folder() as folder:
        with serving(by_smtp(port), folder=folder) as server:
            for email in emails:
                with Person(server.url, email) as person:
                    person.sign_up()
            with Talker(server.url) as anyone:
                asked = anyone.post("/api/v1/auth/password/forgot", json={"email": emails[0]})
                assert asked.status_code == 202
            server.process.send_signal(signal.SIGKILL)
            server.process.wait(20)
        with mailserver.serving(port=port) as (taken, _, _), serving(by_smtp(port), folder=folder) as server:
            wait_until(
                lambda: all(taken.to(email) for email in emails) and len(taken.to(emails[0])) >= 2,
                "the mails of before the kill",
                seconds=90,
            )
            subjects = [mail["Subject"] for mail in taken.to(emails[0])]
            assert any("Welcome" in subject for subject in subjects)
            assert any("Reset" in subject for subject in subjects)
            ids = {mail["Message-ID"] for _, mail in taken.mails}
            assert len(ids) == 4, "what was sent twice has one id"
            token = mailserver.parts(taken.to(emails[1])[-1])["text/plain"].partition("#token=")[2].split()[0]
            with Talker(server.url) as anyone:
                assert anyone.post("/api/v1/auth/verify-email", json={"token": token}).status_code == 200
        verified = Runner(folder)("audit", "verify")
        assert verified.code == 0, verified.err
