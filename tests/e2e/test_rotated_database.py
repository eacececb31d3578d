"""A server whose database credential is a secret of a vault: the credential is rotated, and nobody's request fails."""

from __future__ import annotations

import secrets
import time
from collections import Counter

import pytest
from sqlalchemy import make_url

from client import Api
from load import Load
from platform_process import serving
from servers import wait_until
from sqldatabases import postgresql_database

WATCH = "0.1"


@pytest.fixture
def roles(postgres):
    """Two roles, one to follow the other, by their names, which are their first passwords as well."""
    made = [f"rotated_{letter}_{secrets.token_hex(4)}" for letter in "ab"]
    for role in made:
        postgres.execute(f"CREATE ROLE {role} LOGIN SUPERUSER PASSWORD '{role}'")
    return made


def test_a_server_takes_a_rotated_database_credential_and_no_request_fails(postgres, openbao, roles):
    with postgresql_database(postgres) as url:
        place = make_url(url)

        def keep(role, password):
            wanted = place.set(username=role, password=password).render_as_string(hide_password=False)
            assert openbao.request("POST", f"{openbao.mount}/data/db", {"data": {"value": wanted}})[0] == 200

        def users():
            found = f"SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = '{place.database}'"
            return postgres.execute(f"{found} AND backend_type = 'client backend'").splitlines()

        def settled(role):
            wait_until(lambda: users() == [role], f"every connection to be of {role}", seconds=60)

        first, second = roles
        keep(first, first)
        env = {
            "DATABASE_URL": "secret://db",
            "TRADESENSE_SECRETS__PROVIDER": "vault",
            "TRADESENSE_SECRETS__WATCH_EVERY": WATCH,
            "TRADESENSE_SECRETS__VAULT__URL": openbao.address,
            "TRADESENSE_SECRETS__VAULT__TOKEN": openbao.token,
            "TRADESENSE_SECRETS__VAULT__MOUNT": openbao.mount,
        }
        with serving(env) as server, Api(server.url) as api:
            api.login(server.admin_email, server.admin_password)
            settled(first)
            calls = {
                "reads": lambda client: client.get("/api/v1/users"),
                "writes": lambda client: client.put("/api/v1/settings/ui.theme", json={"value": secrets.token_hex(4)}),
            }
            headers = {"Authorization": api.client.headers["Authorization"]}
            with Load(server.url, calls, headers=headers, rate=20, connections=4) as load:
                keep(second, second)
                settled(second)
                postgres.execute(f"ALTER ROLE {first} PASSWORD 'another one'")
                keep(first, "another one")
                settled(first)
                postgres.execute(f"ALTER ROLE {second} NOLOGIN")
                last = time.monotonic()
                wait_until(lambda: len(load.between(last)) >= 10, "answers after the last rotation", seconds=60)
            statuses = Counter(seen.status for seen in load.seen)
            assert set(statuses) == {200}, [seen for seen in load.seen if seen.status != 200][:5]
            assert {seen.name for seen in load.seen} == {*calls}
