"""Canaries that go through every operation on secrets, its errors and a crash are found nowhere, in no form.

The servers are real: the platform as a process with PostgreSQL and Valkey, OpenBao to move to, a collector of traces.
"""

from __future__ import annotations

import base64
import json
import secrets
import threading
from urllib.parse import quote

import httpx2
import pytest

from client import Api
from leftovers import cached, dumped, hits
from platform_process import serving
from servers import wait_until
from telemetry.otlp import collecting

PUT, PATCHED, REFUSED, MOVED, CRASHED, FOREIGN = (
    f'canary-{name}-{secrets.token_hex(12)}"é/+&\\' for name in ("put", "patch", "error", "move", "crash", "foreign")
)


@pytest.mark.parametrize(
    "hide",
    [
        str.encode,
        lambda text: f"?q={quote(text)}".encode(),
        lambda text: json.dumps({"a": [text]}).encode(),
        lambda text: base64.b64encode(f"ab{text}c".encode()),
        lambda text: base64.urlsafe_b64encode(f"{text}".encode()),
        lambda text: text.encode().hex().encode(),
    ],
)
def test_a_canary_is_found_in_every_form(hide):
    assert hits(b"before" + hide(PUT) + b"behind", [PUT, MOVED]) == [PUT]


@pytest.mark.timeout(180)
def test_R52_canaries_are_in_no_log_trace_metric_problem_audit_row_cache_or_dump(
    postgres_url, valkey_url, openbao, tradesense
):
    with collecting() as collector:
        env = environment(postgres_url, valkey_url, openbao, collector)
        with serving(env, folder=tradesense.folder) as server, Api(server.url) as api:
            api.login(server.admin_email, server.admin_password)
            rotated = worked(api)
            places = {"problems": refused(api)}
            for name, address in {"metrics": "/metrics", "health": "/health"}.items():
                places[name] = api.client.get(address).content
            crashed(server, api)
            places["log"] = server.output.encode()
        places |= {name: f"{done.out}{done.err}".encode() for name, done in commands(tradesense, env).items()}
        collector.wait(lambda: any(span.name.startswith("PUT") for span, _ in collector.spans()))
        places["traces"] = "".join(str(message) for _, _, message in collector.exports).encode()
        places["traces as bytes"] = b"".join(message.SerializeToString() for _, _, message in collector.exports)
    places["dump"] = dumped(postgres_url)
    places["cache"] = cached(valkey_url)
    places["files"] = b"".join(file.read_bytes() for file in tradesense.folder.rglob("*") if file.is_file())
    assert b"audit_records" in places["dump"]
    assert b"secrets.rotate" in places["audit tail"]
    assert not [name for name, content in places.items() if not content], "there is something to look at everywhere"
    canaries = [PUT, PATCHED, REFUSED, MOVED, CRASHED, FOREIGN, *rotated]
    assert not {name: found for name, content in places.items() if (found := hits(content, canaries))}


def environment(postgres_url, valkey_url, openbao, collector):
    return {
        "DATABASE_URL": postgres_url,
        "REDIS_URL": valkey_url,
        "TRADESENSE_JOBS__PROVIDER": "memory",
        "TRADESENSE_JOBS__EMBEDDED": "true",
        "TRADESENSE_SECRETS__PROVIDER": "sql",
        "TRADESENSE_SECRETS__VAULT__URL": openbao.address,
        "TRADESENSE_SECRETS__VAULT__TOKEN": openbao.token,
        "TRADESENSE_SECRETS__VAULT__MOUNT": openbao.mount,
        "TRADESENSE_SECRETS__ROTATION__KEY__PATH": "c/key",
        "TRADESENSE_SECRETS__ROTATION__KEY__EVERY": "3600",
        "TRADESENSE_SECRETS__ROTATION__KEY__ROTATOR": "password",
        "TRADESENSE_SECRET_F__KEY": FOREIGN,
        "TRADESENSE_TELEMETRY__LOG_LEVEL": "debug",
        "TRADESENSE_TELEMETRY__TRACES": "otel",
        "TRADESENSE_TELEMETRY__SAMPLE_RATIO": "1",
        "TRADESENSE_TELEMETRY__OTEL__ENDPOINT": collector.url,
        "TRADESENSE_TELEMETRY__OTEL__INTERVAL": "0.2",
    }


def worked(api):
    """What is done with secrets all day; returns what a rotation has made."""
    ask = api.client
    assert ask.put("/api/v1/secrets/c/key", json={"value": PUT}).json()["version"] == 1
    assert ask.get("/api/v1/secrets/c/key").json()["value"] == PUT
    assert ask.put("/api/v1/secrets/c/object", json={"value": json.dumps({"a": PUT})}).status_code == 200
    assert ask.patch("/api/v1/secrets/c/object", json={"b": PATCHED}).status_code == 200
    assert ask.post("/api/v1/secrets/c/object/rollback", json={"version": 1}).status_code == 200
    assert ask.post("/api/v1/secrets/c/key/rotate").status_code == 200
    made = ask.get("/api/v1/secrets/c/key").json()["value"]
    assert ask.put("/api/v1/secrets/c/moved", json={"value": MOVED}).status_code == 200
    return [made]


def refused(api):
    """The problems that follow from what cannot be done, with a canary in each request."""
    ask, url, value = api.client, "/api/v1/secrets/c/key", {"value": REFUSED}
    answers = [
        ask.put(url, json=value | {"cas": 99}),
        ask.put("/api/v1/secrets/c/..%2fkey", json=value),
        ask.put(url, json={"value": REFUSED * 2000}),
        ask.put(url, json={"value": {"nested": REFUSED}}),
        ask.put(url, json=value | {"cas": REFUSED}),
        ask.put(url, content=json.dumps(value)[:-1], headers={"Content-Type": "application/json"}),
        ask.put(url, content=json.dumps(value), headers={"Content-Type": "text/plain"}),
        ask.patch(url, json={"a": REFUSED}),
        ask.patch("/api/v1/secrets/absent", json={"a": REFUSED}),
        ask.put("/api/v1/settings/c.key", content=REFUSED.encode(), headers={"Content-Type": "application/json"}),
        httpx2.put(ask.base_url.join(url), json=value, trust_env=False, verify=False),
    ]
    assert {answer.status_code // 100 for answer in answers} == {4}, [answer.status_code for answer in answers]
    return b"\n".join(answer.content for answer in answers)


def crashed(server, api):
    """The process is killed while it writes."""
    written = []

    def write():
        try:
            while True:
                api.client.put("/api/v1/secrets/c/crash", json={"value": CRASHED})
                written.append(1)
        except httpx2.TransportError:
            return

    writer = threading.Thread(target=write)
    writer.start()
    wait_until(lambda: len(written) > 2, "some writes")
    server.process.kill()
    writer.join(30)


def commands(tradesense, env):
    """What the command line says, without `secrets get`, which is there to print a value."""
    moved = tradesense("secrets", "migrate", "--from", "sql", "--to", "vault", "--prefix", "c/m", env=env)
    foreign = tradesense("secrets", "migrate", "--from", "env", "--to", "sql", "--prefix", "f/", env=env)
    assert (moved.code, foreign.code) == (0, 0), moved.err + foreign.err
    put = ("--traceback", "secrets", "put", "c/key", "--stdin")
    away = env | {"DATABASE_URL": "postgresql://nobody:nothing@127.0.0.1:1/nowhere"}
    return {
        "migrate": moved,
        "migrate from env": foreign,
        "conflict": tradesense(*put, "--cas", "99", env=env, stdin=REFUSED),
        "crash": tradesense(*put, env=away, stdin=CRASHED),
        "audit tail": tradesense("audit", "tail", "-o", "json", env=env),
    }
