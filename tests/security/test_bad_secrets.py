"""Each thing that can be wrong with a secret, or with who keeps it, has an error, a problem type and an exit code."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trustme
from aiohttp import web

import cloudkit
import contracted
from tradesense.core.audit.models import Actor
from tradesense.core.errors import TradeSenseError
from tradesense.core.secrets import SecretStore
from tradesense.core.sensitive import MASK, Secret
from tradesense.entrypoints.cli.failures import explain
from tradesense.entrypoints.container import open_container
from tradesense.entrypoints.http.problems import answer_to
from tradesense.settings.schema import SecretsSettings, Settings

TESTS = Actor(kind="operator", id="tests")
CANARY = "canary-of-bad-input"
TOKEN = "s.canary-token"

INPUT = {
    "no path": (("get", ""), "invalid-secret-path", 400),
    "traversal": (("get", "../etc"), "invalid-secret-path", 400),
    "traversal inside": (("put", "a/../b", CANARY), "invalid-secret-path", 400),
    "hidden traversal": (("get", "a/.%2e/b"), "invalid-secret-path", 400),
    "absolute": (("get", "/a"), "invalid-secret-path", 400),
    "NUL": (("get", "a\0"), "invalid-secret-path", 400),
    "line end": (("put", "a\n", CANARY), "invalid-secret-path", 400),
    "escape": (("get", "a\x1b[2J"), "invalid-secret-path", 400),
    "not ASCII": (("get", "a\u2028b"), "invalid-secret-path", 400),
    "long path": (("get", "a" * 513), "invalid-secret-path", 400),
    "empty": (("put", "a", ""), "secret-empty", 400),
    "65 KiB": (("put", "a", "x" * 65 * 1024), "secret-too-large", 400),
    "mask": (("put", "a", MASK), "secret-masked", 400),
    "wrong CAS": (("put", "a", CANARY, 7), "secret-conflict", 409),
    "CAS of what is there": (("put", "there", CANARY, 0), "secret-conflict", 409),
    "unknown version": (("get", "there", 9), "secret-not-found", 404),
    "no version": (("get", "there", 0), "invalid-input", 400),
    "absent": (("get", "absent"), "secret-not-found", 404),
}
PROVIDERS = {
    "sealed": ("secret-store-sealed", 503, 69),
    "expired token": ("secret-credentials-expired", 403, 1),
    "denied": ("secret-denied", 403, 1),
    "wrong CA": ("secret-store-untrusted", 503, 69),
    "throttling vault": ("secret-store-throttled", 503, 69),
    "throttling AWS": ("secret-store-throttled", 503, 69),
    "malformed": ("secret-store-malformed", 503, 69),
    "away": ("secret-store-unavailable", 503, 69),
}


@pytest.fixture
async def room():
    jose = {"identity.jose": {"secret": Secret("x" * 40)}}
    settings = Settings(environment="testing", secrets=SecretsSettings(provider="memory"), adapters=jose)
    async with open_container(settings) as services:
        await services.secrets.put("there", Secret("x"), actor=TESTS)
        yield services.secrets


async def does(room: Any, verb: str, path: str, *more: Any) -> None:
    if verb == "get":
        await room.get(path, version=more[0] if more else None, actor=TESTS)
    else:
        await room.put(path, Secret(more[0]), cas=more[1] if len(more) > 1 else None, actor=TESTS)


@pytest.mark.parametrize(("call", "code", "status"), INPUT.values(), ids=INPUT)
async def test_bad_input_is_refused_by_its_name(room, call, code, status):
    with pytest.raises(TradeSenseError) as refused:
        await does(room, *call)
    judge(refused.value, code, status, 1)
    assert (await room.list()).items == ("there",)


@asynccontextmanager
async def vault(*answers, url="", **settings):
    """The adapter for Vault, whose health is well, before a server that answers as it is told."""
    async with cloudkit.scripted(settings.pop("tls", None)) as server:
        server.answers = [
            answered(200, {"initialized": True, "sealed": False}),
            answered(403, {"errors": []}),
            *answers,
        ]
        given = {"url": url or server.url, "token": Secret(TOKEN), "timeout": 30.0} | settings
        async with contracted.build(
            contracted.manifest("vault", SecretStore, "vault"), contracted.context(), **given
        ) as store:
            yield store


def answered(status, body):
    return lambda: web.Response(status=status, text=body if isinstance(body, str) else json.dumps(body))


@asynccontextmanager
async def failing(how, folder):
    """A provider that fails so."""
    if how == "throttling AWS":
        async with cloudkit.scripted() as server, cloudkit.aws("aws", server.url) as store:
            server.answers = [cloudkit.aws_refusal("ThrottlingException")]
            yield store
    elif how == "wrong CA":
        trustme.CA().cert_pem.write_to_path(str(folder / "other.pem"))
        async with vault(tls=cloudkit.tls(trustme.CA()), ca_file=str(folder / "other.pem")) as store:
            yield store
    elif how == "away":
        async with vault(url="http://127.0.0.1:1") as store:
            yield store
    else:
        answers = {
            "sealed": answered(503, {"errors": ["Vault is sealed"]}),
            "expired token": answered(403, {"errors": ["permission denied"]}),
            "denied": answered(403, {"errors": ["1 error occurred:\n\t* permission denied"]}),
            "throttling vault": answered(429, {"errors": ["quota exceeded"]}),
            "malformed": answered(200, f'{{"data":{{"data":{{"value":"{CANARY}'),
        }
        async with vault(answers[how]) as store:
            yield store


@pytest.mark.parametrize("how", PROVIDERS)
async def test_each_way_in_which_a_provider_fails_has_its_own_name(how, tmp_path):
    with pytest.raises(TradeSenseError) as failed:
        async with failing(how, tmp_path) as store:
            await store.get("a")
    judge(failed.value, *PROVIDERS[how])


def test_no_two_of_them_are_told_alike():
    codes = {code for code, *_ in PROVIDERS.values()}
    assert len(codes) == len(PROVIDERS) - 1, "throttling is one, whoever does it"
    assert not codes & {code for _, code, _ in INPUT.values()}


def judge(error, code, status, exit_code):
    """The error as HTTP's and the command line's users see it."""
    assert type(error).code == code
    told = answer_to(error, correlation_id="c")
    problem = json.loads(told.body)
    assert (told.status, problem["type"], problem["status"]) == (status, f"urn:tradesense:problem:{code}", status)
    ended, lines = explain(error)
    assert ended == exit_code
    assert len(lines) == 1
    assert lines[0].isprintable()
    shown = f"{told.body.decode()} {lines} {error!r} {error.__cause__!r}"
    assert not [word for word in (CANARY, TOKEN) if word in shown]
