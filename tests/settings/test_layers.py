from __future__ import annotations

import json
from pathlib import Path

import pytest

from tradesense.settings.layers import lines, merge, read_toml
from tradesense.settings.load import load


def test_development_starts_with_nothing_set(loads, tmp_path: Path):
    loaded = loads()
    settings = loaded.settings
    assert settings.environment == "development"
    assert settings.debug
    assert settings.state_dir == str(tmp_path / "var")
    assert settings.identity.provider == settings.secrets.provider == settings.audit.provider == "sql"
    assert settings.cache.limiter == settings.jobs.provider == "memory"
    assert settings.adapters["database"]["url"].reveal() == f"sqlite:///{tmp_path}/var/tradesense.db"
    assert loaded.origins["secrets.provider"].startswith("settings/default.toml:")
    assert loaded.origins["debug"] == "settings/development.toml:3"
    assert loaded.origins["environment"] == "the default"


def test_each_layer_wins_over_the_one_before(loads):
    toml = "[cache]\nnear_ttl = 3\n[telemetry]\nlog_format = 'json'\nlog_level = 'error'\n"
    loaded = loads({"TRADESENSE_TELEMETRY__LOG_LEVEL": "warning", "LOG_LEVEL": "debug"}, toml)
    telemetry = loaded.settings.telemetry
    assert (telemetry.log_format, telemetry.log_level, loaded.settings.cache.near_ttl) == ("json", "warning", 3.0)
    assert telemetry.metrics == "prometheus"  # a table is added to, not replaced
    assert loaded.origins["telemetry.log_format"] == "tradesense.local.toml:4"
    assert loaded.origins["telemetry.log_level"] == "environment variable TRADESENSE_TELEMETRY__LOG_LEVEL"


def test_a_list_is_replaced(loads):
    toml = "[http]\nallowed_hosts = ['one', 'two']\n"
    assert loads(None, toml, TRADESENSE_HTTP__ALLOWED_HOSTS="three").settings.http.allowed_hosts == ("three",)


@pytest.mark.parametrize("text", ["a,b", " a , b ,", json.dumps(["a", "b"])])
def test_a_variable_may_hold_a_list(loads, text: str):
    assert loads(TRADESENSE_HTTP__ALLOWED_HOSTS=text).settings.http.allowed_hosts == ("a", "b")


def test_a_variable_may_hold_numbers_booleans_and_tables(loads):
    loaded = loads(
        {
            "TRADESENSE_HTTP__PORT": "9000",
            "TRADESENSE_CACHE__NEAR_TTL": "0.25",
            "TRADESENSE_DEBUG": "false",
            "TRADESENSE_SECRETS__PROVIDER": "vault",
            "TRADESENSE_SECRETS__VAULT__URL": "http://127.0.0.1:8200",
            "TRADESENSE_SECRETS__VAULT__LABELS": '{"team": "a"}',
            "TRADESENSE_SECRETS__VAULT__TLS__VERIFY": "0",
        }
    )
    settings = loaded.settings
    assert (settings.http.port, settings.cache.near_ttl, settings.debug) == (9000, 0.25, False)
    vault = settings.adapters["secrets.vault"]
    assert vault["labels"] == {"team": "a"}
    assert vault["tls"].verify is False


def test_text_that_means_something_to_dynaconf_is_plain_text(loads, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ENV_FOR_DYNACONF", "production")
    monkeypatch.setenv("DYNACONF_DEBUG", "false")
    for text in ("@format {env[HOME]}", "@int 3", "@jinja {{ 1 }}", "@del", "dynaconf_merge"):
        settings = loads(TRADESENSE_SECRETS__NAMESPACE=text).settings
        assert settings.secrets.namespace == text
        assert settings.debug


def test_another_file_may_be_named(loads, wrong, tmp_path: Path):
    (tmp_path / "own.toml").write_text("[http]\nport = 1\n")
    loaded = loads(TRADESENSE_SETTINGS_FILE="own.toml")
    assert loaded.settings.http.port == 1
    assert loaded.origins["http.port"] == "own.toml:2"
    problem = wrong(TRADESENSE_SETTINGS_FILE="absent.toml")["settings"]
    assert "absent.toml cannot be read: No such file" in problem.message


def test_the_file_may_choose_the_environment_and_a_variable_wins(loads):
    toml = "environment = 'testing'\n"
    assert loads(None, toml).settings.identity.provider == "memory"
    assert loads(None, toml).origins["environment"] == "tradesense.local.toml:1"
    assert loads(None, toml, ENVIRONMENT="development").settings.identity.provider == "sql"


def test_a_file_that_is_not_toml_is_told_with_its_line(wrong):
    problem = wrong(None, "[http]\nport = 1\nport 2\n")["settings"]
    assert problem.origin == "tradesense.local.toml:3"
    assert problem.message == "the file is not TOML"


def test_lines_are_found_in_every_form_of_toml():
    text = 'top = 1\n[a]\nb.c = 2\n"d" = [\n  1,\n]\n[a.e]\nf = "x = y"\n[[g]]\n'
    assert lines(text) == {"top": 1, "a": 2, "a.b.c": 3, "a.d": 4, "a.e": 7, "a.e.f": 8, "g": 9}


def test_names_that_dynaconf_or_python_know_are_names_like_others(tmp_path: Path):
    file = tmp_path / "x.toml"
    file.write_text("[items]\nget = 1\nkeys = 2\n[values.items]\nupdate = 3\n")
    problems = []
    tree = merge([read_toml(file, "x", problems), read_toml(file, "y", problems)])
    assert not problems
    assert tree["items"]["get"].origin == "y:2"
    assert tree["values"]["items"]["update"].raw == 3


@pytest.mark.parametrize("name", ["'a b'", "'a.b'", "a__b", "'@x'", "''"])
def test_a_name_that_is_none_is_told(wrong, name: str):
    found = wrong(None, f"[http]\n{name} = 1\n")
    assert [problem.origin for problem in found.values()] == ["tradesense.local.toml:2"]


def test_nothing_of_a_value_is_in_its_repr(loads):
    loaded = loads(JWT_SECRET_KEY="Hy6TgBn3RfVc8EdXs5WqAzPlOk0ImJu2", SENTRY_DSN="https://canary@sentry.internal/1")
    assert "Hy6T" not in repr(loaded)
    assert "canary" not in repr(loaded)


def test_options_win_over_everything(tmp_path: Path, plugins, monkeypatch: pytest.MonkeyPatch):
    environ = {"TRADESENSE_HTTP__PORT": "1"}
    loaded = load(environ, directory=tmp_path, plugins=plugins, options={"http.port": 2, "http.base_url": ""})
    assert loaded.settings.http.port == 2
    assert loaded.origins["http.port"] == "option --port"
    assert loaded.origins["http.base_url"] == "option --base-url"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRADESENSE_HTTP__PORT", "3")
    monkeypatch.delenv("ENVIRONMENT", raising=False)
    assert load(plugins=plugins).settings.http.port == 3
