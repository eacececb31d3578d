"""The budget of one network, which no success of one's own account fills up again."""

from __future__ import annotations

import secrets

from talking import PASSWORD, Person, Talker
from test_throttling import AUTH, guess

from platform_process import serving

BUDGET = 12


def test_R08_a_success_clears_no_count_of_the_network_and_forwarded_addresses_buy_none():
    env = {
        "TRADESENSE_IDENTITY__POLICY__LOGIN_ATTEMPTS_PER_ADDRESS": str(BUDGET),
        "TRADESENSE_IDENTITY__POLICY__LOGIN_WINDOW": "600",
        "TRADESENSE_TELEMETRY__LOG_FORMAT": "json",
    }
    with serving(env) as server, Talker(server.url) as client:
        with Person(server.url, f"own-{secrets.token_hex(4)}@example.org") as person:
            person.sign_up()
        statuses = []
        for number in range(BUDGET + 4):
            if number % 4 == 3:
                body = {"email": person.email, "password": PASSWORD, "mode": "token"}
                statuses.append(client.post(f"{AUTH}/login", json=body).status_code)
            else:
                header = {"X-Forwarded-For": f"203.0.113.{number}"}
                statuses.append(guess(client, f"v{number}-{secrets.token_hex(4)}@example.org", **header).status_code)
    assert set(statuses[:BUDGET]) == {200, 401}
    assert set(statuses[BUDGET:]) == {429}
