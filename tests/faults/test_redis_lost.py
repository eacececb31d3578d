"""Redis is lost, or forgets, while two processes on PostgreSQL are asked: what each feature does without it."""

from __future__ import annotations

import time

import httpx2
import pytest

from client import PASSWORD, Api
from load import Load, p99
from platform_process import serving
from servers import wait_until

BUDGET = 1.5
"""Seconds in which 99 of 100 requests are answered, outage or not."""
SLACK = 1.0
"""Seconds that a busy machine may add."""
VICTIM = "victim@example.org"
CONTEXT = {"context": {"targetingKey": "u1"}}


def limited(name, **values):
    return {f"TRADESENSE_HTTP__LIMITS__{name}__{key.upper()}": str(value) for key, value in values.items()}


@pytest.fixture
def env(postgres_url, own_valkey):
    return {
        "DATABASE_URL": postgres_url,
        "REDIS_URL": own_valkey.server.url(),
        "TRADESENSE_SECRETS__PROVIDER": "sql",
        "TRADESENSE_IDENTITY__POLICY__LOGIN_ATTEMPTS": "8",
        "TRADESENSE_IDENTITY__POLICY__LOGIN_ATTEMPTS_PER_ADDRESS": "100000",
        "TRADESENSE_IDENTITY__POLICY__LOGIN_DELAY": "600",
        **limited("shut", count=100_000, period=60, fail="closed", routes='["/.well-known/jwks.json"]'),
        **limited("loose", count=100_000, period=60, fail="open", routes='["/api/v1/config"]'),
    }


CALLS = {
    "config": lambda client: client.get("/api/v1/config"),
    "flag": lambda client: client.post("/ofrep/v1/evaluate/flags/beta", json=CONTEXT),
    "secret": lambda client: client.get("/api/v1/secrets/team/key"),
    "session": lambda client: client.get("/api/v1/auth/session"),
    "write": lambda client: client.put("/api/v1/settings/ui.theme", json={"value": "dark"}),
    "shut": lambda client: client.get("/.well-known/jwks.json"),
    "cache": lambda client: client.get("/api/v1/cache/stats"),
}
GOES_ON = set(CALLS) - {"shut"}


def prepared(api, server):
    api.login(server.admin_email, server.admin_password)
    flag = {"variants": {"on": True, "off": False}, "default_variant": "on"}
    assert api.client.put("/api/v1/flags/beta", json=flag).status_code == 200
    assert api.client.put("/api/v1/secrets/team/key", json={"value": "kept"}).status_code == 200
    assert api.register(VICTIM).status_code == 202
    wait_until(lambda: all(knows_the_flag(api) for _ in range(8)), "the flag in both processes", seconds=10)


def knows_the_flag(api):
    """Whether the process that answers on a new connection has it already."""
    with httpx2.Client(
        base_url=api.client.base_url, headers=api.client.headers, trust_env=False, verify=False
    ) as client:
        return CALLS["flag"](client).status_code == 200


def guess(client, password="wrong"):
    body = {"email": VICTIM, "password": password, "mode": "token"}
    return client.post("/api/v1/auth/login", json=body).status_code


def attacked(url, tries):
    """What so many wrong guesses are answered, each on a connection of its own so that either process gets some."""
    found = []
    for _ in range(tries):
        with httpx2.Client(base_url=url, timeout=30, trust_env=False, verify=False) as client:
            found.append(guess(client))
    return found


def healthy(api):
    return api.client.get("/health/ready").json()["status"] == "up"


def well(seen):
    """Every call of the load went through."""
    assert all(set(counts) <= {200} for counts in seen.values()), seen


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_F05_over_http_with_redis_killed_each_feature_does_what_it_promises(env, own_valkey, soaking):
    with serving(env, "--processes", "2") as server, Api(server.url) as api:
        prepared(api, server)
        assert healthy(api)
        began = time.monotonic()
        with Load(server.url, CALLS, headers=api.client.headers) as load:
            wait_until(lambda: len(load.seen) > 100, "the load", seconds=30)
            well(load.statuses(began))
            own_valkey.kill()
            killed = time.monotonic()
            wait_until(lambda: not healthy(api), "degraded", seconds=10)
            guesses = attacked(server.url, 24)
            wait_until(lambda: time.monotonic() - killed > (30 if soaking else 4), "the outage", seconds=60)
            wait_until(lambda: len(load.between(killed)) > 150, "the load", seconds=60)
            own_valkey.start()
            back = time.monotonic()
            wait_until(lambda: healthy(api), "redis again", seconds=5 + SLACK)
            wait_until(lambda: api.client.get("/.well-known/jwks.json").status_code == 200, "it is open", seconds=5)
            assert time.monotonic() - back < 5 + SLACK
            settled = back + 5  # by then the other process has found it as well
            wait_until(lambda: len(load.between(settled)) > 60, "the load", seconds=30)
        during = load.statuses(killed + 0.5, back)
        for name in GOES_ON:
            assert set(during[name]) == {200}, (name, during)
        assert set(during["shut"]) == {503}, "what fails closed lets nobody through while the count is away"
        assert set(guesses) == {401, 429}
        assert guesses.count(401) <= 2 * 8 // 4, "each process counts to a quarter of the limit"
        well(load.statuses(settled))
        every = load.between(began)
        assert not [one for one in every if one.status in {0, 500}]
        assert p99(load.between(killed, back)) < BUDGET


REFRESH = "/api/v1/auth/token/refresh"


def rights(url, pair):
    """How the two tokens of one login are answered: by the session, and by a renewal."""
    with httpx2.Client(base_url=url, timeout=30, trust_env=False, verify=False) as client:
        session = client.get("/api/v1/auth/session", headers={"Authorization": f"Bearer {pair['access_token']}"})
        renewal = client.post(REFRESH, json={"refresh_token": pair["refresh_token"]})
    return session.status_code, renewal.status_code


@pytest.mark.timeout(180)
def test_F06_what_was_revoked_stays_dead_when_redis_forgets_everything(env, own_valkey):
    """The truth is in PostgreSQL; Redis only remembers it."""
    with serving(env, "--processes", "2") as server, Api(server.url) as api, Api(server.url) as other:
        prepared(api, server)
        logged_out, spent = (other.login(VICTIM) for _ in range(2))
        token = spent["refresh_token"]
        for _ in range(2):  # the grace for a double submit is over once the successor has been used
            answer = other.client.post(REFRESH, json={"refresh_token": token})
            assert answer.status_code == 200
            token = answer.json()["refresh_token"]
        ended = {"Authorization": f"Bearer {logged_out['access_token']}"}
        assert other.client.post("/api/v1/auth/logout", headers=ended).status_code == 204
        kept = other.login(VICTIM)
        assert attacked(server.url, 9) == [401] * 8 + [429], (
            "a success ends the row of failures, and then there are eight"
        )
        assert api.client.put("/api/v1/secrets/team/key", json={"value": "new"}).status_code == 200
        assert api.client.delete("/api/v1/flags/beta").status_code == 204
        for forget in (forget_all, restart):
            forget(own_valkey)
            wait_until(lambda: healthy(api), "redis again", seconds=10)
            for _ in range(6):  # whichever process answers
                assert rights(server.url, logged_out)[0] == 401
                assert rights(server.url, logged_out)[1] in {400, 401}
                assert other.client.get("/api/v1/auth/session").status_code == 200
                assert api.client.get("/api/v1/secrets/team/key").json()["value"] == "new"
                assert api.client.get("/api/v1/flags/beta").status_code == 404
            assert attacked(server.url, 2) == [429] * 2, "no attempt is given back: the database has counted as well"
        assert guess(other.client, PASSWORD) == 429, "the right password has to wait as well"
        # a spent token is still known for one, and ends its family
        assert rights(server.url, spent)[1] in {400, 401}
        assert rights(server.url, kept)[0] == 200


def forget_all(own_valkey):
    own_valkey.server.command("FLUSHALL")


def restart(own_valkey):
    own_valkey.kill()
    own_valkey.start()
