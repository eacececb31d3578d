from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta

from tradesense.core.errors import SettingsInvalid
from tradesense.core.secrets.ports import SecretStore
from tradesense.core.sensitive import Secret
from tradesense.plugins.manager import Loaded as Found
from tradesense.plugins.manager import Plugins
from tradesense.plugins.manifest import Adapter, Requirement
from tradesense.plugins.registry import Offer
from tradesense.settings.layers import Value
from tradesense.settings.load import load
from tradesense.settings.schema import Settings
from tradesense.settings.sections import adapter_settings
from tradesense.settings.validate import check


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    level: Literal["low", "high"]
    many: frozenset[int] = frozenset()
    size: Annotated[int, Meta(ge=1)] | None = None
    key: Secret | None = None


class Outer(msgspec.Struct, forbid_unknown_fields=True):
    inner: Inner | None = None


def test_all_problems_are_told_at_once(wrong):
    toml = """
debug = "yes"
[http]
port = 70000
prot = 1
[identity]
provider = "sqll"
[identity.policy]
password_min = 0.5
[telemetry]
log_level = "loud"
[databse]
url = "x"
[flags]
refresh = 0
"""
    found = wrong(None, toml, TRADESENSE_CACHE__NEAR_TTL="soon", REDIS_URL="redis://x", TRADESENSE_REDIS__TIMEOUT="x")
    assert {key: (problem.message, problem.origin, problem.mend) for key, problem in found.items()} == {
        "debug": ("expected bool, got str", "tradesense.local.toml:2", "give true or false"),
        "http.port": (
            "expected int <= 65535",
            "tradesense.local.toml:4",
            "give a whole number, at least 0 and at most 65535",
        ),
        "http.prot": ("there is no such setting", "tradesense.local.toml:5", "did you mean port or host?"),
        "identity.provider": ("no plugin offers IdentityStore 'sqll'", "tradesense.local.toml:7", "use one of sql"),
        "identity.policy.password_min": (
            "expected int, got float",
            "tradesense.local.toml:9",
            "give a whole number, at least 8 and at most 64",
        ),
        "telemetry.log_level": (
            "invalid enum value 'loud'",
            "tradesense.local.toml:11",
            "use one of debug, info, warning, error",
        ),
        "databse": ("no adapter has this section", "tradesense.local.toml:13", "did you mean [database]?"),
        "flags.refresh": (
            "expected float > 0.0",
            "tradesense.local.toml:15",
            "give a number, over 0 and at most 60",
        ),
        "cache.near_ttl": (
            "expected float, got str",
            "environment variable TRADESENSE_CACHE__NEAR_TTL",
            "give a number, over 0 and at most 60",
        ),
        "redis.timeout": (
            "expected float, got str",
            "environment variable TRADESENSE_REDIS__TIMEOUT",
            "give a number",
        ),
    }


def test_a_file_has_to_give_the_right_type(wrong):
    found = wrong(None, "[http]\nport = '8000'\nallowed_hosts = 'a,b'\n[audit]\nkey = 7\n")
    assert found["http.port"].message == "expected int, got str"
    assert found["http.allowed_hosts"].mend == "give a list"
    assert found["audit.key"].message == "expected str"


def test_no_problem_shows_a_secret(wrong):
    found = wrong(
        {"JWT_SECRET_KEY": "canary-one", "TRADESENSE_AUDIT__KEY": "canary-two", "DATABASE_URL": "canary://three"},
        "[database]\nurll = 'canary-four'\n[identity]\ncsrf_key = ['canary-five']\n",
    )
    text = " ".join(problem.line() for problem in found.values())
    assert len(found) == 4
    assert "canary" not in text


def test_an_adapters_section_is_checked_when_it_is_chosen(wrong, loads):
    assert wrong(TRADESENSE_SECRETS__PROVIDER="vault")["secrets.vault.url"].message == "it is needed and not set"
    found = wrong({"TRADESENSE_SECRETS__PROVIDER": "vault", "TRADESENSE_SECRETS__VAULT__URL": "ftp://x"})
    assert found["secrets.vault"].message == "url begins with http:// or https://"
    found = wrong(None, "[secrets]\nprovider = 'vault'\nvault = { url = 3, tls = { verifi = true } }\n")
    assert found["secrets.vault.url"].message == "expected str, got int"
    assert found["secrets.vault.tls.verifi"].mend == "did you mean verify?"
    assert loads(None, "[secrets.vault]\nurl = 'ftp://x'\n")  # nobody chose it


def test_two_adapters_may_share_a_section(loads, wrong, plugins):
    settings = loads(REDIS_URL="redis://x", TRADESENSE_REDIS__STREAM="s", TRADESENSE_REDIS__TIMEOUT="2").settings
    made = {
        offer.adapter.name: adapter_settings(settings, offer.adapter)
        for offer in plugins.registry.offers()
        if offer.adapter.name in {"redis", "taskiq"}
    }
    assert (made["redis"].timeout, made["taskiq"].stream) == (2.0, "s")
    assert "redis.straem" in wrong(None, "[redis]\nstraem = 's'\n")


def test_adapter_settings_are_the_struct_that_the_manifest_names(loads, plugins):
    environ = {"TRADESENSE_SECRETS__PROVIDER": "vault", "TRADESENSE_SECRETS__VAULT__URL": "https://v"}
    settings = loads(environ, "[secrets.vault]\ntoken = 'hvs'\nmounts = ['a']\ntls = { key_file = 'k' }\n").settings
    made = adapter_settings(settings, plugins.registry.choose(SecretStore, "vault", key="secrets.provider").adapter)
    assert (made.url, made.token.reveal(), made.mounts, made.tls.key_file) == ("https://v", "hvs", ("a",), "k")


def test_adapter_settings_made_by_hand_are_checked_too(plugins):
    vault = plugins.registry.choose(SecretStore, "vault", key="secrets.provider").adapter
    settings = Settings(adapters={"secrets.vault": {"url": 1, "mounts": [1]}})
    with pytest.raises(SettingsInvalid) as caught:
        adapter_settings(settings, vault, origins={"secrets.vault.url": "here"})
    assert [(problem.key, problem.origin) for problem in caught.value.problems] == [
        ("secrets.vault.url", "here"),
        ("secrets.vault.mounts", "settings"),
    ]


def test_a_missing_distribution_is_told_with_the_command_that_brings_it(tmp_path: Path, plugins: Plugins):
    adapter = Adapter(
        port=SecretStore,
        name="acme",
        factory="acme:make",
        summary="",
        requires=(Requirement("acme_sdk.client", "acme-sdk", "acme", "tradesense-acme"),),
    )
    registry = type(plugins.registry)([*plugins.registry.offers(), _offer(adapter)])
    with pytest.raises(SettingsInvalid) as caught:
        load({"TRADESENSE_SECRETS__PROVIDER": "acme"}, directory=tmp_path, plugins=Plugins(registry, plugins.found))
    (problem,) = [problem for problem in caught.value.problems if problem.level == "error"]
    assert problem.message == "'acme' needs acme-sdk, which is not installed"
    assert problem.mend == "pip install 'tradesense-acme[acme]'"


def test_a_section_may_belong_to_a_plugin_that_was_left_out(tmp_path: Path, plugins: Plugins):
    found = Found(name="acme", distribution="acme", version="1", state="skipped")
    left_out = Plugins(plugins.registry, [*plugins.found, found])
    (tmp_path / "tradesense.local.toml").write_text("[secrets.acme]\nurl = 'x'\n")
    problems = {p.key: p for p in load({}, directory=tmp_path, plugins=left_out).problems}
    assert problems["secrets.acme"].level == "warning"


@pytest.mark.parametrize("name", ["prod", "Production", "live"])
def test_an_unknown_environment_is_told_with_everything_else(wrong, name: str):
    found = wrong({"ENVIRONMENT": name, "TRADESENSE_HTTP__PORT": "x"})
    assert set(found) == {"environment", "http.port"}
    assert found["environment"].origin == "environment variable ENVIRONMENT"
    assert "production" in found["environment"].mend


def test_the_adapters_table_is_not_for_writing(wrong):
    assert "adapters" in wrong(None, "[adapters.database]\nurl = 'x'\n")


def test_a_table_in_place_of_a_value_and_the_reverse(wrong):
    found = wrong(None, "http = 1\n[identity.provider]\nname = 'sql'\n[audit.key]\na = 1\n")
    assert set(found) == {"http", "identity.provider", "audit.key"}


def test_the_whole_of_a_struct_is_walked():
    problems = []
    table = {name: Value(raw, name, text=True) for name, raw in [("level", "hgih"), ("many", "1,2"), ("size", "0")]}
    assert check(Outer, {"inner": table}, problems=problems).inner is None
    assert [(problem.key, problem.mend) for problem in problems] == [
        ("inner.level", "did you mean high?"),
        ("inner.size", "give a whole number, at least 1"),
    ]
    table |= {"level": Value("low", ""), "size": Value("null", "", text=True), "key": Value("k", "")}
    inner = check(Outer, {"inner": table}, problems=[]).inner
    assert (inner.many, inner.size, inner.key.reveal()) == (frozenset({1, 2}), None, "k")


def _offer(adapter: Adapter) -> Offer:
    return Offer(adapter=adapter, plugin="acme", distribution="acme", version="1")


def test_tables_with_names_of_their_own_are_checked_entry_by_entry(wrong):
    toml = """
[http.limits.reads]
count = 0
period = 60
[http.limits.writes]
count = 5
[http.limits.Loud]
count = 5
period = 60
[http.limits]
flat = 3
"""
    found = wrong(
        None, toml, TRADESENSE_HTTP__LIMITS__LOGINS__COUNT="many", TRADESENSE_HTTP__LIMITS__LOGINS__FALL="open"
    )
    told = {key: problem.message for key, problem in found.items() if key.startswith("http.limits")}
    assert told == {
        "http.limits.reads.count": "expected int >= 1",
        "http.limits.writes.period": "it is needed and not set",
        "http.limits.Loud": "the name is not valid",
        "http.limits.flat": "expected a table",
        "http.limits.logins.count": "expected int, got str",
        "http.limits.logins.fall": "there is no such setting",
        "http.limits.logins.period": "it is needed and not set",
    }


def test_a_limit_may_come_from_variables_alone(tmp_path):
    env = {"ENVIRONMENT": "testing"} | {
        f"TRADESENSE_HTTP__LIMITS__LOGINS__{name}": value
        for name, value in {"COUNT": "5", "PERIOD": "60", "ROUTES": "auth,users", "SHADOW": "true"}.items()
    }
    limit = load(env, directory=tmp_path).settings.http.limits["logins"]
    assert (limit.count, limit.period, limit.routes, limit.shadow) == (5, 60, ("auth", "users"), True)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_number_is_finite(wrong, value: str):
    found = wrong(None, "", TRADESENSE_IDENTITY__POLICY__LOGIN_WINDOW=value)
    assert list(found) == ["identity.policy.login_window"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOGIN_WINDOW", "nan"),
        ("LOGIN_WINDOW", "inf"),
        ("LOGIN_WINDOW", "-1"),
        ("LOGIN_WINDOW", "0"),
        ("PASSWORD_MIN", "0"),
        ("PASSWORD_MIN", "-8"),
        ("PASSWORD_MAX", "10"),
        ("LOGIN_ATTEMPTS", "0"),
        ("SESSION_IDLE", "-1"),
        ("SESSION_ABSOLUTE", "0"),
        ("ACCESS_TTL", "86400"),
        ("RESET_TTL", "0"),
        ("MAILS_WINDOW", "-inf"),
        ("REFRESH_GRACE", "1e400"),
    ],
)
def test_R55_a_policy_that_would_be_none_is_refused_by_name(tmp_path, name, value):
    with pytest.raises(SettingsInvalid) as caught:
        load({"ENVIRONMENT": "testing", f"TRADESENSE_IDENTITY__POLICY__{name}": value}, directory=tmp_path)
    (problem,) = [problem for problem in caught.value.problems if problem.level == "error"]
    assert problem.key == f"identity.policy.{name.lower()}"
    assert problem.mend.startswith("give a ")
