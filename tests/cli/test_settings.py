from __future__ import annotations

import json
from pathlib import Path

import pytest

from platform_process import Runner
from tradesense.settings.describe import describe
from tradesense.settings.load import load

KEYS = {
    "TRADESENSE_IDENTITY__CSRF_KEY": "q1w7XkzR0vJm4sYtBn9cUeHdLgPa2fOi",
    "TRADESENSE_AUDIT__KEY": "Zt5RbN8mKx3QvC6yHj1LpWsEd4GuFa7o",
    "TRADESENSE_SECRETS__LOCAL__ROOT_KEY": "Mn2Bv9CxLk4JhGf7DsPo1IuYtReWq6Az4QbXs8Ed3Rk",
    "JWT_SECRET_KEY": "Hy6TgBn3RfVc8EdXs5WqAzPlOk0ImJu2",
}
PRODUCTION = {
    "ENVIRONMENT": "production",
    "DATABASE_URL": "postgresql://app:canary@127.0.0.1:1/app",
    "TRADESENSE_HTTP__BASE_URL": "https://app.internal.net",
    **KEYS,
}
COMMANDS = (["config", "check"], ["serve", "--port", "0"], ["secrets", "list"], ["worker"])


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"JWT_SECRET_KEY": "short"}, "identity.jose.secret"),
        ({"TRADESENSE_AUDIT__KEY": "changeme-changeme-changeme-changeme"}, "audit.key"),
        ({"TRADESENSE_HTTP__BASE_URL": "http://app.internal.net"}, "http.base_url"),
        ({"TRADESENSE_DEBUG": "true"}, "debug"),
        ({"TRADESENSE_SECRETS__PROVIDER": "memory"}, "secrets.provider"),
        (
            {"DATABASE_URL": "sqlite:///x.db", "TRADESENSE_HTTP__PROCESSES": "2", "REDIS_URL": "redis://127.0.0.1:1"},
            "database.url",
        ),
        (
            {
                "TRADESENSE_SECRETS__LOCAL__ROOT_KEY": "correct horse battery staple",
                "TRADESENSE_SECRETS__LOCAL__SALT": "this deployment's own",
            },
            "secrets.local.root_key",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_R55_every_command_refuses_to_start(bare, words: list[str], change: dict[str, str], key: str):
    done = bare(*words, env={**PRODUCTION, **change})
    assert done.exit_code == 78
    told = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(told) == 1
    assert told[0].startswith(f"error: {key}: ")
    assert "(from environment variable " in told[0]
    assert "canary" not in done.output
    assert all(value not in done.output for value in KEYS.values())


def test_R55_an_option_is_held_to_the_rules_too(bare):
    environ = {**PRODUCTION, "DATABASE_URL": "sqlite:///x.db"}
    assert bare("config", "check", env=environ).exit_code == 0
    done = bare("serve", "--processes", "2", "--port", "0", env=environ)
    assert done.exit_code == 78
    assert "SQLite cannot serve 2 processes" in done.stderr


def test_R55_a_refused_start_is_a_process_that_ends_78_before_it_listens(tradesense: Runner):
    done = tradesense("serve", "--port", "0", env={**PRODUCTION, "JWT_SECRET_KEY": "canary-short"})
    assert done.code == 78
    assert "url:" not in done.out
    assert "canary" not in done.out + done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("address", ["http://app.internal.net", "http://localhost:8000"])
def test_R13_production_starts_with_no_address_where_cookies_would_go_in_the_clear(bare, address):
    done = bare("serve", "--port", "0", env={**PRODUCTION, "TRADESENSE_HTTP__BASE_URL": address})
    assert done.exit_code == 78
    assert "error: http.base_url: " in done.stderr


def test_check_tells_all_and_exits_by_the_worst(bare):
    done = bare("config", "check")
    assert done.exit_code == 0
    assert done.stdout.startswith("info: http.base_url: ")
    assert done.stdout.endswith("the settings can be started with\n")
    found = json.loads(bare("config", "check", "-o", "json").stdout)
    assert (found["ok"], found["problems"][0]["level"]) == (True, "info")
    bad = {"TRADESENSE_HTTP__PORT": "x", "TRADESENSE_SECRETS__PROVIDER": "vualt"}
    done = bare("config", "check", "-o", "json", env=bad)
    assert done.exit_code == 78
    errors = {problem["key"]: problem for problem in json.loads(done.stdout)["problems"] if problem["level"] == "error"}
    assert set(errors) == {"http.port", "secrets.provider"}
    assert errors["secrets.provider"]["mend"] == "use one of vault, vault_v1"
    assert errors["http.port"]["origin"] == "environment variable TRADESENSE_HTTP__PORT"


def test_every_shipped_environment_says_what_it_lacks_and_no_more(bare):
    for name, lacks in {
        "development": set(),
        "testing": set(),
        "staging": {"keys"},
        "production": {"keys", "url"},
    }.items():
        done = bare("config", "check", "-o", "json", env={"ENVIRONMENT": name})
        keys = {problem["key"] for problem in json.loads(done.stdout)["problems"] if problem["level"] == "error"}
        wanted = {"identity.csrf_key", "audit.key", "secrets.local.root_key", "identity.jose.secret"}
        assert keys == (wanted if "keys" in lacks else set()) | ({"http.base_url"} if "url" in lacks else set()), name


def test_show_masks_every_secret_and_names_origins(bare, place: Path):
    (place / "tradesense.local.toml").write_text("[http]\nport = 8100\n")
    environ = {**KEYS, "SENTRY_DSN": "https://canary@sentry.internal.net/1", "TRADESENSE_DATABASE__POOL_SIZE": "3"}
    rows = {row["key"]: row for row in json.loads(bare("config", "show", "-o", "json", env=environ).stdout)}
    assert rows["http.port"] == {"key": "http.port", "value": 8100, "origin": "tradesense.local.toml:2"}
    assert rows["database.pool_size"]["value"] == 3
    assert rows["cache.near_ttl"]["origin"] == "the default"
    for key in ("identity.csrf_key", "audit.key", "identity.jose.secret", "sentry.dsn", "database.url"):
        assert rows[key]["value"] == "**********"
    shown = bare("config", "show", env=environ).stdout
    assert all(value not in shown for value in [*KEYS.values(), "canary"])
    assert bare("config", "show", "cache.").stdout.count("\n") == sum(key.startswith("cache.") for key in rows) + 1


def test_a_reference_is_shown_as_what_it_names(bare):
    environ = {"TRADESENSE_SECRETS__PROVIDER": "env", "JWT_SECRET_KEY": "secret://jwt"}
    found = json.loads(bare("config", "explain", "identity.jose.secret", "-o", "json", env=environ).stdout)
    assert found["value"] == "secret://jwt"
    assert found["variables"] == ["TRADESENSE_IDENTITY__JOSE__SECRET", "JWT_SECRET_KEY"]


def test_explain_tells_what_a_setting_is_for(bare):
    found = json.loads(bare("config", "explain", "http.processes", "-o", "json").stdout)
    assert found == {
        "key": "http.processes",
        "value": 1,
        "origin": "the default",
        "default": 1,
        "accepts": "a whole number, at least 1",
        "about": "How many processes answer.",
        "variables": ["TRADESENSE_HTTP__PROCESSES"],
    }
    done = bare("config", "explain", "http.prot")
    assert done.exit_code == 1
    assert "did you mean http.port" in done.stderr


def test_every_setting_explains_itself():
    described = describe(load())
    assert len(described) > 50
    assert [one.key for one in described if not one.about or "another value" in one.accepts] == []


@pytest.mark.parametrize(
    ("variable", "value", "key"),
    [
        ("DATABASE_URL", "postgresql://u:canary%PW@[bad/x", "database.url"),
        ("DATABASE_URL", "postgresql://u:canary@db:port/x", "database.url"),
        ("DATABASE_URL", "mysql://u:canary@db/x", "database.url"),
        ("REDIS_URL", "redis://u:canary@cache:99999", "redis.url"),
        ("REDIS_URL", "cache:6379", "redis.url"),
    ],
)
def test_what_is_no_address_is_told_before_anything_connects(bare, variable: str, value: str, key: str):
    done = bare("config", "check", env={variable: value})
    assert done.exit_code == 78
    assert f"error: {key}: " in done.stdout + done.stderr
    assert "canary" not in done.stdout + done.stderr


def test_a_reference_to_no_secret_names_the_setting_and_the_secret(bare):
    environ = {"TRADESENSE_SECRETS__PROVIDER": "memory", "JWT_SECRET_KEY": "secret://nowhere/jwt"}
    done = bare("secrets", "list", env=environ)
    assert done.exit_code == 78
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "identity.jose.secret names the secret 'nowhere/jwt', and there is none" in line
