"""Without Redis or without the secrets vault the platform is degraded, goes on being sent requests, and recovers."""

from __future__ import annotations

import pytest

from client import Api
from platform_process import serving
from servers import wait_until

VALUE = "a value that is kept"


def ready(api):
    answer = api.client.get("/health/ready")
    return answer.status_code, answer.json()["status"]


def becomes(api, state, why):
    wait_until(lambda: ready(api) == state, f"{state} {why}", seconds=15)


@pytest.mark.timeout(180)
def test_F05_without_redis_every_process_goes_on_as_degraded(own_valkey):
    env = {"REDIS_URL": own_valkey.server.url(), "TRADESENSE_SECRETS__PROVIDER": "sql"}
    with serving(env) as server, Api(server.url) as api:
        assert ready(api) == (200, "up")
        api.login(server.admin_email, server.admin_password)
        own_valkey.kill()
        becomes(api, (200, "degraded"), "without redis")
        detail = api.client.get("/health").json()
        states = {check["name"]: check["status"] for check in detail["checks"]}
        assert detail["status"] == "degraded"
        assert states["redis"] == "down"
        assert states["database"] == "up"
        assert api.client.put("/api/v1/secrets/degraded", json={"value": VALUE}).status_code == 200
        assert api.client.get("/api/v1/secrets/degraded").json()["value"] == VALUE
        assert api.client.get("/api/v1/flags").status_code == 200
        api.login(server.admin_email, server.admin_password)
        own_valkey.start()
        becomes(api, (200, "up"), "with redis again")


@pytest.mark.timeout(180)
def test_F05_without_the_vault_only_its_secrets_are_away(own_openbao):
    env = {
        "TRADESENSE_SECRETS__VAULT__URL": own_openbao.server.address,
        "TRADESENSE_SECRETS__VAULT__TOKEN": own_openbao.server.token,
        "TRADESENSE_SECRETS__PROVIDER": "vault",
    }
    with serving(env) as server, Api(server.url) as api:
        assert ready(api) == (200, "up")
        api.login(server.admin_email, server.admin_password)
        own_openbao.kill()
        becomes(api, (200, "degraded"), "without the vault")
        assert api.client.get("/api/v1/secrets/any").status_code == 503
        assert api.client.get("/api/v1/flags").status_code == 200
        assert api.client.get("/api/v1/settings").status_code == 200
        own_openbao.start()
        becomes(api, (200, "up"), "with the vault again")
