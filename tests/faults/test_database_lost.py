"""PostgreSQL ends as in a crash while it is written to, and comes back."""

from __future__ import annotations

import itertools
import signal
import time

import pytest

from client import Api
from load import Load
from platform_process import serving
from servers import wait_until

SLACK = 2.0
"""Seconds that a busy machine may add."""
POOL = 6


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_F04_postgresql_stopped_in_immediate_mode_loses_no_acknowledged_write(own_postgres, soaking):
    own_postgres.server.execute("ALTER ROLE postgres SET synchronous_commit = on")
    env = {
        "DATABASE_URL": own_postgres.server.url(),
        "TRADESENSE_SECRETS__PROVIDER": "sql",
        "TRADESENSE_DATABASE__POOL_SIZE": str(POOL),
        "TRADESENSE_DATABASE__MAX_OVERFLOW": "4",
        "TRADESENSE_DATABASE__POOL_TIMEOUT": "2",
    }
    numbers, acknowledged = itertools.count(), set()

    def write(client):
        number = next(numbers)
        answer = client.put(f"/api/v1/secrets/lost/{number}", json={"value": f"value-{number}"})
        if answer.status_code == 200:
            acknowledged.add(number)
        else:
            assert answer.headers["content-type"].startswith("application/problem+json")
        return answer

    calls = {"write": write, "read": lambda client: client.get("/api/v1/flags")}
    with serving(env) as server, Api(server.url) as api:
        api.login(server.admin_email, server.admin_password)
        began = time.monotonic()
        with Load(server.url, calls, headers=api.client.headers) as load:
            wait_until(lambda: len(acknowledged) > 40, "the load", seconds=30)
            own_postgres.process.send_signal(signal.SIGQUIT)
            stopped = time.monotonic()
            own_postgres.process.wait(20)
            wait_until(lambda: time.monotonic() - stopped > (10 if soaking else 3), "the outage", seconds=30)
            own_postgres.start()
            back = time.monotonic()
            wait_until(
                lambda: [one for one in load.between(stopped) if one.status == 200 and one.began > back],
                "the first success",
                seconds=5 + SLACK,
            )
            wait_until(lambda: len(load.between(back)) > 100, "the load", seconds=30)
        assert {one.status for one in load.between(began)} <= {200, 503}, load.statuses(began)
        away = load.between(stopped + 0.2, back - 3)
        assert {one.status for one in away} <= {503}
        assert max(one.seconds for one in load.between(stopped)) < 3 + SLACK
        assert {one.status for one in load.between(back + 5)} <= {200}
        for number in sorted(acknowledged):
            stored = api.client.get(f"/api/v1/secrets/lost/{number}")
            assert (stored.status_code, stored.json().get("value")) == (200, f"value-{number}")
        wait_until(lambda: sessions(own_postgres.server) <= POOL, "the pool has its size again", seconds=20)


def sessions(server):
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tradesense'"
    return int(server.execute(query))
