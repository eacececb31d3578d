from __future__ import annotations

import json
from pathlib import Path
from unittest.mock import patch

import pytest

from tradesense.core.capabilities import Capability
from tradesense.core.secrets.ports import SecretStore
from tradesense.core.telemetry.models import Health, Status
from tradesense.core.telemetry.service import HealthService
from tradesense.entrypoints.cli.examination import Examination
from tradesense.entrypoints.cli.proving import prove
from tradesense.plugins.manager import Plugins, load
from tradesense.plugins.manifest import Adapter
from tradesense.plugins.registry import Offer, Registry
from tradesense.settings.schema import Settings

DOWN = {"REDIS_URL": "redis://127.0.0.1:1"}
NO_DATABASE = {"DATABASE_URL": "postgresql://u:canary@127.0.0.1:1/x"}


def test_a_healthy_platform_is_up(cli, read):
    assert read("health")["status"] == "up"
    assert "all" in cli("health").stdout


@pytest.mark.parametrize("environ", [DOWN, NO_DATABASE], ids=["redis", "database"])
@pytest.mark.parametrize("words", [["health"], ["users", "list"], ["doctor"]], ids=" ".join)
def test_a_server_that_is_away_is_69_in_one_line(cli, environ: dict[str, str], words: list[str]):
    done = cli(*words, env=environ)
    assert done.exit_code == 69
    assert "127.0.0.1:1" in done.output
    assert "Traceback" not in done.output
    assert "canary" not in done.output
    if words != ["doctor"]:
        assert done.stderr.count("\n") == 1


def test_doctor_finds_nothing_wrong_with_a_migrated_platform(read):
    found = {row["check"]: row for row in read("doctor")}
    assert {row["status"] for row in found.values()} == {"ok"}
    assert {"python", "tradesense", "environment", "plugin sql", "database"} <= set(found)
    assert any(check.startswith("health of ") for check in found)


@pytest.mark.parametrize(("essential", "word", "code"), [(True, "wrong", 69), (False, "degraded", 0)])
async def test_doctor_tells_an_outage_by_what_it_means_for_the_whole(essential, word, code):
    class Away:
        name = "part"

        async def check(self) -> Health:
            return Health(name="part", status=Status.DOWN, detail="no answer")

    part = Away()
    part.essential = essential
    examination = Examination()
    examination._report(await HealthService([part]).report())
    assert examination.findings == [{"check": "health of part", "status": word, "detail": "no answer"}]
    assert examination.code == code


def test_doctor_tells_what_to_run_before_the_first_start(bare):
    done = bare("doctor")
    assert done.exit_code == 1
    assert "run `tradesense db upgrade`" in done.stdout


def test_doctor_goes_on_where_settings_are_wrong(bare):
    done = bare("doctor", "-o", "json", env={"TRADESENSE_HTTP__PORT": "x"})
    assert done.exit_code == 78
    found = {row["check"]: row for row in json.loads(done.stdout)}
    assert found["setting http.port"]["status"] == "wrong"
    assert found["plugin sql"]["status"] == "ok"
    assert "database" not in found


def test_plugins_are_listed_with_what_chose_them(bare):
    rows = {row["name"]: row for row in json.loads(bare("plugins", "list", "-o", "json").stdout)}
    assert rows["sql"]["distribution"] == "tradesense 0.1.0"
    assert "identity.provider" in rows["sql"]["chosen_by"]
    assert rows["vault"]["chosen_by"] == []
    assert "secrets.vault" in rows["vault"]["offers"]
    allowed = bare("plugins", "list", "-o", "json", env={"TRADESENSE_PLUGINS": "memory,null", "ENVIRONMENT": "testing"})
    assert "warning" in allowed.stderr  # argon2 and others are chosen and not there
    states = {row["name"]: row["state"] for row in json.loads(allowed.stdout)}
    assert (states["memory"], states["sql"]) == ("loaded", "skipped")


def test_a_plugin_is_shown_with_its_adapters(bare):
    rows = json.loads(bare("plugins", "show", "redis", "-o", "json").stdout)
    assert {row["port"] for row in rows} == {
        "cache.CacheStore",
        "cache.Backplane",
        "cache.LockProvider",
        "cache.RateLimiter",
        "cache.Topics",
    }
    assert bare("plugins", "show", "redis").stdout.startswith("redis: tradesense 0.1.0, loaded\n")
    assert "did you mean redis" in bare("plugins", "show", "rediss").stderr
    assert bare("plugins", "show", "nothing-like-it").exit_code == 1


def test_a_plugin_is_checked_by_building_what_it_offers(bare):
    rows = json.loads(bare("plugins", "check", "sql", "-o", "json").stdout)
    assert {row["ok"] for row in rows} == {True}
    done = bare("plugins", "check", "vault")
    assert done.exit_code == 1
    assert "the login 'token' needs token (from secrets.vault.token)" in done.stdout
    done = bare(
        "plugins",
        "check",
        "vault",
        env={"TRADESENSE_PLUGINS": "memory,sql,argon2,jose,console,null,local,prometheus,common"},
    )
    assert "skipped" in done.stderr


def test_an_adapter_that_lacks_what_it_declares_is_told():

    def offer(name: str, *capabilities: Capability) -> Offer:
        adapter = Adapter(
            port=SecretStore,
            name=name,
            factory="types:SimpleNamespace",
            summary="",
            capabilities=frozenset(capabilities),
        )
        return Offer(adapter=adapter, plugin="acme", distribution="acme", version="1")

    class Reader:
        def __init__(self, *_: object) -> None: ...

        async def get(self, path: str) -> None: ...

        async def list(self) -> None: ...

    offers = [offer("reader"), offer("writer", Capability.WRITE)]
    plugins = Plugins(Registry([*load().registry.offers(), *offers]), [])
    with patch("types.SimpleNamespace", Reader):
        rows = prove(plugins, offers, Settings())
    assert [(row["name"], row["ok"], row["detail"]) for row in rows] == [
        ("reader", True, "built"),
        ("writer", False, "has no delete, put"),
    ]


def test_a_new_plugin_is_written(bare, place: Path):
    done = bare("plugins", "new", "secrets", "acme")
    assert done.exit_code == 0, done.output
    assert (place / "tradesense-acme" / "pyproject.toml").is_file()
    assert "pip install -e tradesense-acme" in done.stderr
    assert bare("plugins", "new", "secrets", "acme").exit_code == 1
    assert bare("plugins", "new", "fish", "acme").exit_code == 1
