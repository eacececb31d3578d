"""A secret's value is shown to those alone whose login is of the last minutes."""

from __future__ import annotations

from datetime import timedelta

import httpx2

from tradesense.adapters.system.ambient import SystemClock
from tradesense.core.audit.models import WORKER
from tradesense.core.sensitive import Secret
from tradesense.entrypoints.container import open_container
from tradesense.entrypoints.database import upgrade_database
from tradesense.entrypoints.http.administrator import first_administrator
from tradesense.entrypoints.http.app import create_app
from tradesense.settings.load import load

SITE = "http://127.0.0.1:8000"
SIX_MINUTES = timedelta(minutes=6)


class Later(SystemClock):
    """The host's clock, which a test moves on."""

    by = timedelta()

    def now(self):
        return super().now() + self.by


async def test_R35_a_value_is_not_shown_to_an_old_login_until_it_is_proved_again(tmp_path):
    clock = Later()
    settings = load({"TRADESENSE_STATE_DIR": f"{tmp_path}/var"}, directory=tmp_path).settings
    await upgrade_database(settings)
    async with open_container(settings, clock=clock) as services:
        made = await first_administrator(services)
        await services.secrets.put("team-a/db", Secret("shown"), actor=WORKER)
        transport = httpx2.ASGITransport(app=create_app(services))
        async with httpx2.AsyncClient(transport=transport, base_url=SITE) as client:

            def proved(answer):
                pair = answer.raise_for_status().json()
                client.headers["Authorization"] = f"Bearer {pair['access_token']}"

            password = made.password.reveal()
            login = {"email": made.email, "password": password, "mode": "token"}
            proved(await client.post("/api/v1/auth/login", json=login))
            value = "/api/v1/secrets/team-a/db"
            assert (await client.get(value)).json()["value"] == "shown"

            clock.by += SIX_MINUTES
            refused = await client.get(value)
            assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (403, "step-up-required")
            assert "shown" not in refused.text
            assert (await client.get("/api/v1/secrets")).json()["items"] == ["team-a/db"]

            proved(await client.post("/api/v1/auth/step-up", json={"password": password}))
            assert (await client.get(value)).json()["value"] == "shown"
