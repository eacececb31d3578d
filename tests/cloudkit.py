"""How the tests of the cloud providers build adapters, and a server that answers as a test says."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import urllib.request
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import contracted
import wire_gcp
from tradesense.core.secrets import KeyEncryption, SecretStore
from tradesense.core.sensitive import Secret

AWS_REGION = "eu-central-1"
PATIENT = 30.0
"""Seconds: the suites judge what an adapter does, not how busy the machine is."""


def aws(name, url, lent=None, **settings):
    """An adapter of AWS, unopened, that asks at ``url``."""
    port = KeyEncryption if name == "aws_kms" else SecretStore
    common = {
        "region": AWS_REGION,
        "endpoint_url": url,
        "access_key_id": "AKIATEST",
        "secret_access_key": Secret("canary-aws-secret-key"),
        "timeout": PATIENT,
    }
    return contracted.build(contracted.manifest("aws", port, name), lent or contracted.context(), **common | settings)


def aws_refusal(code, status=400, message=""):
    """What makes the answer by which a service of AWS refuses."""
    body = json.dumps({"__type": code, "message": message})
    return lambda: web.Response(status=status, text=body, content_type="application/x-amz-json-1.1")


def kms_key(url):
    """A new key of the emulator."""
    request = urllib.request.Request(
        url,
        data=b"{}",
        headers={
            "X-Amz-Target": "TrentService.CreateKey",
            "Content-Type": "application/x-amz-json-1.1",
            "Authorization": f"AWS4-HMAC-SHA256 Credential=a/20260101/{AWS_REGION}/kms/aws4_request",
        },
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())["KeyMetadata"]["KeyId"]


class Scripted:
    """Answers each request with what the test put in ``answers``; the last one for good."""

    def __init__(self) -> None:
        self.answers: list[web.Response | asyncio.Event] = []
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.read())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer):
            return answer()
        await answer.wait()
        return web.Response(status=500)


@contextlib.asynccontextmanager
async def scripted(ssl_context=None) -> AsyncIterator[Scripted]:
    fake = Scripted()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", fake.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=ssl_context)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    fake.url = f"{'https' if ssl_context else 'http'}://127.0.0.1:{port}"
    try:
        yield fake
    finally:
        await runner.cleanup()


def tls(authority):
    """A server's context with a certificate that ``authority`` issued for loopback."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


def gcp(address, lent=None, **settings):
    """An adapter of Google's Secret Manager, unopened, that asks our own server at ``address``."""
    settings = {"project": wire_gcp.PROJECT, "endpoint": address, "plaintext": True, "timeout": PATIENT} | settings
    return contracted.build(contracted.manifest("gcp", SecretStore), lent or contracted.context(), **settings)


def service_account():
    """The file of a service account that nobody knows."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    account = {
        "type": "service_account",
        "project_id": wire_gcp.PROJECT,
        "private_key_id": "1",
        "private_key": pem,
        "client_email": "tests@example.invalid",
        "token_uri": "http://127.0.0.1:1/token",
    }
    return json.dumps(account)


def azure(vault, lent=None, **settings):
    """An adapter of Key Vault, unopened, that asks our own server."""
    settings = vault.settings() | {"timeout": PATIENT} | settings
    settings["client_secret"] = Secret(settings["client_secret"])
    return contracted.build(contracted.manifest("azure", SecretStore), lent or contracted.context(), **settings)


@pytest.fixture
def foreign(self: object, openbao: Any) -> list[str]:  # noqa: ARG001  # of a suite of Vault's
    """Paths of entries that somebody else wrote to Vault, in forms that hold no value of ours."""
    forms = {"fields": {"user": "bob"}, "number": {"value": 7}, "bad": {"value_base64": "%"}}
    for name, fields in forms.items():
        openbao.request("POST", f"{openbao.mount}/data/foreign/{name}", {"data": fields})
    return [f"foreign/{name}" for name in forms]
