from __future__ import annotations

import tomllib
from importlib import resources

import msgspec
import pytest

from tradesense.adapters.sql.settings import SqlSettings


def test_redis_url_brings_all_that_processes_share(loads):
    settings = loads(REDIS_URL="redis://127.0.0.1:6379/0").settings
    cache = settings.cache
    assert {cache.provider, cache.backplane, cache.locks, cache.limiter, cache.topics} == {"redis"}
    assert (settings.jobs.provider, settings.jobs.embedded) == ("taskiq", False)
    assert settings.adapters["redis"]["url"].reveal() == "redis://127.0.0.1:6379/0"


def test_redis_url_leaves_alone_what_somebody_set(loads):
    toml = "[jobs]\nprovider = 'memory'\nembedded = true\n"
    loaded = loads(None, toml, REDIS_URL="redis://127.0.0.1", TRADESENSE_CACHE__LOCKS="sql")
    assert (loaded.settings.jobs.provider, loaded.settings.cache.locks) == ("memory", "sql")
    assert loaded.settings.cache.provider == "redis"
    assert loaded.origins["cache.provider"] == "environment variable REDIS_URL"


def test_an_empty_common_variable_is_absent(loads):
    settings = loads(REDIS_URL="", DATABASE_URL=" ", JWT_SECRET_KEY="").settings
    assert settings.cache.provider == "memory"
    assert settings.adapters["database"]["url"].reveal().startswith("sqlite")


def test_the_platforms_own_name_wins_over_the_common_one(loads):
    loaded = loads(DATABASE_URL="sqlite:///one", TRADESENSE_DATABASE__URL="sqlite:///two")
    assert loaded.settings.adapters["database"]["url"].reveal() == "sqlite:///two"


@pytest.mark.parametrize(
    ("name", "section", "key"),
    [
        ("DATABASE_URL", "database", "url"),
        ("JWT_SECRET_KEY", "identity.jose", "secret"),
        ("SENTRY_DSN", "sentry", "dsn"),
        ("TWILIO_ACCOUNT_SID", "twilio", "account_sid"),
        ("TWILIO_AUTH_TOKEN", "twilio", "auth_token"),
        ("GOOGLE_CLIENT_ID", "identity.google", "client_id"),
        ("GITHUB_CLIENT_SECRET", "identity.github", "client_secret"),
        ("LINKEDIN_CLIENT_ID", "identity.linkedin", "client_id"),
        ("MICROSOFT_CLIENT_SECRET", "identity.microsoft", "client_secret"),
    ],
)
def test_common_variables_reach_their_sections(loads, name: str, section: str, key: str):
    value = "sqlite:///k3J9vQ2mXr7TzLp5WnYb8HdGc4Fs6AoE"
    loaded = loads({name: value})
    assert loaded.settings.adapters[section][key].reveal() == value
    assert loaded.origins[f"{section}.{key}"] == f"environment variable {name}"


def test_a_section_before_its_adapter_is_an_info(loads):
    problems = {problem.key: problem for problem in loads(SENTRY_DSN="https://x@sentry.internal/1").problems}
    assert problems["sentry"].level == "info"
    assert problems["sentry"].origin == "environment variable SENTRY_DSN"


def test_log_level_is_taken_in_capitals(loads):
    assert loads(LOG_LEVEL="WARNING").settings.telemetry.log_level == "warning"


def test_the_allow_list_has_its_own_variable(loads):
    assert loads(TRADESENSE_PLUGINS="sql, memory").settings.plugins.allow == ("sql", "memory")


def test_variables_with_secrets_are_no_settings(loads):
    environ = {
        "TRADESENSE_SECRET_DB_PASSWORD": "x",
        "TRADESENSE_TEST_SERVERS": "y",
        "OTHER_THING": "z",
        "TRADESENSE_SETTINGS_FILE": "",
    }
    assert loads(environ)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("TRADESENSE_SECRETS__PROVIDR", "provider"),
        ("TRADESENSE_DEBG", "debug"),
        ("TRADESENSE_SECRETS__VAULT__URLS", "url"),
        ("TRADESENSE_SECRETS_PROVIDER", "secrets"),
    ],
)
def test_a_mistyped_variable_is_told_with_the_nearest_name(wrong, name: str, near: str):
    (problem,) = wrong({name: "vault"}).values()
    assert problem.origin == f"environment variable {name}"
    assert near in problem.mend


def test_a_variable_that_cannot_name_a_setting_is_told(wrong):
    assert "TRADESENSE___X" in wrong({"TRADESENSE___X": "1"})


@pytest.mark.parametrize(
    ("environment", "kept"), [("development", 10), ("testing", 10), ("staging", 15), ("production", 15)]
)
def test_each_environment_keeps_its_own_number_of_connections_and_none_has_more(environment, kept):
    """Of the shipped files alone, as production needs a deployment's keys to load."""
    files = [resources.files("tradesense.settings") / f"{name}.toml" for name in ("default", environment)]
    database: dict[str, object] = {}
    for file in files:
        database |= tomllib.loads(file.read_text()).get("database", {})
    settings = msgspec.convert({name: value for name, value in database.items() if name != "url"}, SqlSettings)
    assert (settings.pool_size, settings.pool_size + settings.max_overflow) == (kept, 15)
