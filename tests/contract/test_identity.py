"""The adapters of the identity room keep their contracts."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import ipaddress
import json
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import contracted
import mailserver
import servers
import sqldatabases
from hookreceiver import HOST, receiving
from rangeserver import ranges
from sqldatabases import OnPostgresql, OnSqlite
from tradesense.adapters.console.identity import ConsoleMessenger
from tradesense.adapters.http.identity import HttpWebhookSender
from tradesense.adapters.http.settings import HttpSenderSettings
from tradesense.core.capabilities import Capability
from tradesense.core.identity import (
    BreachedPasswords,
    ExternalIdentity,
    IdentityProvider,
    IdentityStore,
    Message,
    Messenger,
    PasswordHasher,
    TokenSigner,
)
from tradesense.core.identity.ports import WebhookSender
from tradesense.core.sensitive import Secret
from tradesense.core.testing import (
    BreachedPasswordsContract,
    IdentityProviderContract,
    IdentityStoreContract,
    MessengerContract,
    PasswordHasherContract,
    TokenSignerContract,
    WebhookSenderContract,
)
from tradesense.core.transactions import Transactions

JANE = ExternalIdentity(provider="memory", subject="24400320", email="jane@example.org", email_verified=True)
HS256_SECRET = b"0123456789abcdef0123456789abcdef-only-for-tests"
ED25519_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


class Memory:
    @pytest.fixture
    def platform(self):
        return contracted.context()

    @pytest.fixture
    def adapter(self, platform):
        return lambda: contracted.build(contracted.manifest("memory", self.port), platform)


class TestMemoryIdentity(Memory, IdentityStoreContract):
    capabilities = contracted.manifest("memory", IdentityStore).capabilities

    @pytest.fixture
    def transactions(self, platform):
        return lambda _: contracted.build(contracted.manifest("memory", Transactions), platform)


class TestMemoryProvider(Memory, IdentityProviderContract):
    capabilities = contracted.manifest("memory", IdentityProvider).capabilities

    @pytest.fixture
    def authorize(self):
        async def log_in(provider, url):
            return provider.grant(JANE, parse_qs(urlsplit(url).query)["code_challenge"][0])

        return log_in


class TestMemoryMessenger(Memory, MessengerContract):
    # Beyond its manifest: it can tell equal keys.
    capabilities = contracted.manifest("memory", Messenger).capabilities | {Capability.DEDUPLICATION}

    @pytest.fixture
    def sent(self):
        return lambda messenger: messenger.sent


class TestMemoryWebhookSender(Memory, WebhookSenderContract):
    capabilities = contracted.manifest("memory", WebhookSender).capabilities

    @pytest.fixture
    def url(self):
        return "https://hooks.example.org/events"

    @pytest.fixture
    def posted(self):
        return lambda sender: [(headers, body) for _, headers, body in sender.sent]

    @pytest.fixture
    def answering(self):
        return lambda sender, status: setattr(sender, "status", status)


class TestHttpWebhookSender(WebhookSenderContract):
    capabilities = contracted.manifest("http", WebhookSender).capabilities

    @pytest.fixture
    async def receiver(self, tmp_path):
        async with receiving(tmp_path) as receiver:
            yield receiver

    @pytest.fixture
    def adapter(self, receiver):
        # 127.0.0.2 is allowed for the receiver's sake; 127.0.0.1 stays what nobody may be sent to.
        hosts = {HOST: receiver.address, "inside.example.org": "10.0.0.1"}
        return lambda: _sender(receiver, lambda host: [ipaddress.ip_address(hosts[host])])

    @pytest.fixture
    def url(self, receiver):
        return f"https://{HOST}:{receiver.port}/events"

    @pytest.fixture
    def inside(self):
        return "https://inside.example.org/"

    @pytest.fixture
    def posted(self, receiver):
        return lambda _: [(_headers(head), body) for head, body in receiver.seen]

    @pytest.fixture
    def answering(self, receiver):
        def answering(_, status):
            more = "location: https://127.0.0.1/\r\n" if status in range(300, 400) else ""
            receiver.answers.append(f"HTTP/1.1 {status} Told\r\n{more}content-length: 0\r\n\r\n".encode())

        return answering

    @pytest.fixture
    def unreachable(self, receiver):
        def nowhere(host):
            raise OSError(f"no address of {host}")

        return lambda: _sender(receiver, nowhere)


def _sender(receiver, find):
    async def resolve(host, _port):
        return find(host)

    settings = HttpSenderSettings(allowed_networks=(f"{receiver.address}/32",), ca_file=receiver.ca_file)
    return HttpWebhookSender(settings, resolve=resolve)


def _headers(head):
    pairs = (line.partition(": ") for line in head.decode().split("\r\n")[1:] if line)
    return {name.lower(): value for name, _, value in pairs}


class TestMemoryBreached(Memory, BreachedPasswordsContract):
    capabilities = contracted.manifest("memory", BreachedPasswords).capabilities

    @pytest.fixture
    def adapter(self, platform):
        return lambda: contracted.build(contracted.manifest("memory", self.port), platform, breached=("password",))


class TestNullBreached(BreachedPasswordsContract):
    capabilities = contracted.manifest("null", BreachedPasswords).capabilities

    @pytest.fixture
    def adapter(self):
        return lambda: contracted.build(contracted.manifest("null", BreachedPasswords), contracted.context())

    @pytest.mark.xfail(reason="it knows no password at all")
    async def test_a_known_password_is_contained(self, adapter, known):
        await super().test_a_known_password_is_contained(adapter, known)

    @pytest.mark.xfail(reason="it knows no password at all")
    async def test_concurrent_passwords_are_not_mixed_up(self, adapter, known):
        await super().test_concurrent_passwords_are_not_mixed_up(adapter, known)


class TestCommonPasswords(BreachedPasswordsContract):
    capabilities = contracted.manifest("common", BreachedPasswords).capabilities

    @pytest.fixture
    def adapter(self):
        return lambda: contracted.build(contracted.manifest("common", BreachedPasswords), contracted.context())


class TestHibp(BreachedPasswordsContract):
    capabilities = contracted.manifest("hibp", BreachedPasswords).capabilities

    @pytest.fixture
    async def adapter(self):
        async with ranges() as (_, url):
            yield lambda: _hibp(url)

    @pytest.fixture
    def unreachable(self):
        return lambda: _hibp(f"http://127.0.0.1:{servers.free_port()}/range")


def _hibp(url):
    platform, manifest = contracted.context(), contracted.manifest("hibp", BreachedPasswords)
    return contracted.build(manifest, platform, url=url, timeout=20.0)


class TestConsoleMessenger(MessengerContract):
    capabilities = contracted.manifest("console", Messenger).capabilities

    @pytest.fixture
    def stream(self):
        return io.StringIO()

    @pytest.fixture
    def adapter(self, stream):
        return lambda: ConsoleMessenger(stream)

    @pytest.fixture
    def sent(self, stream):
        def read(_):
            blocks = re.findall(r"--- message\nTo: (.*)\nSubject: (.*)\n\n((?:    .*\n)*)---\n", stream.getvalue())
            return [
                Message(to=to, subject=subject, text=re.sub("^    ", "", body, flags=re.MULTILINE))
                for to, subject, body in blocks
            ]

        return read


class TestSmtpMessenger(MessengerContract):
    capabilities = contracted.manifest("smtp", Messenger).capabilities

    @pytest.fixture
    def server(self):
        with mailserver.serving() as (taken, port, _):
            yield taken, port

    @pytest.fixture
    def adapter(self, server):
        return lambda: _smtp(server[1])

    @pytest.fixture
    def unreachable(self):
        return lambda: _smtp(servers.free_port())

    @pytest.fixture
    def sent(self, server):
        return lambda _: [
            Message(to=to, subject=mail["Subject"], text=mailserver.parts(mail)["text/plain"])
            for recipients, mail in server[0].mails
            for to in recipients
        ]


def _smtp(port):
    settings = {"host": "127.0.0.1", "port": port, "security": "none", "sender": "noreply@example.org"}
    return contracted.build(contracted.manifest("smtp", Messenger), contracted.context(), **settings)


class TestArgon2(PasswordHasherContract):
    capabilities = contracted.manifest("argon2", PasswordHasher).capabilities

    @pytest.fixture
    def adapter(self):
        return lambda: contracted.build(contracted.manifest("argon2", PasswordHasher), contracted.context())


class TestJoseHs256(TokenSignerContract):
    # One manifest stands for both algorithms; this one has no public key.
    capabilities = contracted.manifest("jose", TokenSigner).capabilities

    @pytest.fixture
    def adapter(self):
        return lambda: _jose(algorithm="HS256", secret=Secret(HS256_SECRET))

    @pytest.fixture
    def forge(self):
        return lambda _, header, claims: _compact(
            header, claims, lambda signed: hmac.new(HS256_SECRET, signed, hashlib.sha256).digest()
        )


class TestJoseEdDsa(TokenSignerContract):
    capabilities = contracted.manifest("jose", TokenSigner).capabilities | {Capability.PUBLIC_KEYS}

    @pytest.fixture
    def adapter(self):
        pem = ED25519_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return lambda: _jose(algorithm="EdDSA", private_key=Secret(pem))

    @pytest.fixture
    def forge(self):
        return lambda _, header, claims: _compact(header, claims, ED25519_KEY.sign)


def _jose(**settings):
    return contracted.build(contracted.manifest("jose", TokenSigner), contracted.context(), **settings)


def _compact(header, claims, sign):
    signed = ".".join(_encoded(json.dumps(part).encode()) for part in (header, claims))
    return f"{signed}.{_encoded(sign(signed.encode()))}"


def _encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class TestSqlIdentityOnSqlite(OnSqlite, IdentityStoreContract):
    capabilities = sqldatabases.capabilities(IdentityStore)


class TestSqlIdentityOnPostgresql(OnPostgresql, IdentityStoreContract):
    capabilities = sqldatabases.capabilities(IdentityStore)
