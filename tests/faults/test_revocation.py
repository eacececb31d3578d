"""An end holds in every process within a second, also while Redis is away, and stays when Redis forgets."""

from __future__ import annotations

import time
from contextlib import ExitStack

import pytest

from client import PASSWORD, Api
from platform_process import serving

WITHIN = 1.0
REQUESTS = 50


def accepted_after_a_second(other, headers):
    """How many of many requests are answered, a second after the end was acknowledged."""
    ended = time.monotonic()
    while time.monotonic() - ended < WITHIN:  # the time that the promise leaves, spent asking
        other.client.get("/api/v1/auth/session", headers=headers)
    return sum(other.client.get("/api/v1/auth/session", headers=headers).status_code == 200 for _ in range(REQUESTS))


@pytest.mark.timeout(240)
def test_F05_R15_an_end_holds_in_every_process_while_redis_is_away(postgres_url, own_valkey, tmp_path):
    keys = {
        "JWT_SECRET_KEY": "jwt-" + "k3y" * 12,
        "TRADESENSE_IDENTITY__CSRF_KEY": "csrf-" + "k4y" * 12,
        "TRADESENSE_AUDIT__KEY": "audit-" + "k5y" * 12,
    }
    env = {
        "DATABASE_URL": postgres_url,
        "REDIS_URL": own_valkey.server.url(),
        "TRADESENSE_STATE_DIR": str(tmp_path / "var"),
        **keys,
    }
    with ExitStack() as stack:
        one_server = stack.enter_context(serving(env))
        other_server = stack.enter_context(serving(env))
        one, other = stack.enter_context(Api(one_server.url)), stack.enter_context(Api(other_server.url))
        one.login(one_server.admin_email, one_server.admin_password)
        for number, away in enumerate((False, True)):
            email = f"user-{number}@example.org"
            account = {"email": email, "password": PASSWORD, "roles": ["user"]}
            made = one.client.post("/api/v1/users", json=account)
            assert made.status_code == 201, made.text
            login = {"email": email, "password": PASSWORD, "mode": "token"}
            tokens = other.client.post("/api/v1/auth/login", json=login).json()
            bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
            assert other.client.get("/api/v1/auth/session", headers=bearer).status_code == 200
            if away:
                own_valkey.kill()
            assert one.client.delete(f"/api/v1/users/{made.json()['id']}/sessions").status_code == 200
            assert accepted_after_a_second(other, bearer) == 0
            refused = other.client.post("/api/v1/auth/token/refresh", json={"refresh_token": tokens["refresh_token"]})
            assert refused.status_code == 401
        own_valkey.start()
        assert other.client.get("/api/v1/auth/session", headers=bearer).status_code == 401, "and it stays ended"
