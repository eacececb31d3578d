from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tradesense.adapters.local.secrets import LocalKeyEncryption
from tradesense.adapters.system.ambient import SystemClock, SystemRandom
from tradesense.core.secrets.ports import KeyEncryption
from tradesense.core.sensitive import MASK
from tradesense.settings.describe import describe
from tradesense.settings.sections import adapter_settings

GOOD = "b8Kx2VnQ5rTz9MwLc4Hs7JdYf3Gp6AeU"

R55 = {
    "no-csrf-key": ({"TRADESENSE_IDENTITY__CSRF_KEY": ""}, "identity.csrf_key", "not set"),
    "no-audit-key": ({"TRADESENSE_AUDIT__KEY": ""}, "audit.key", "not set"),
    "no-root-key": ({"TRADESENSE_SECRETS__LOCAL__ROOT_KEY": ""}, "secrets.local.root_key", "not set"),
    "no-token-key": ({"JWT_SECRET_KEY": ""}, "identity.jose.secret", "not set"),
    "short-csrf-key": ({"TRADESENSE_IDENTITY__CSRF_KEY": GOOD[:31]}, "identity.csrf_key", "has 31 bytes"),
    "short-audit-key": ({"TRADESENSE_AUDIT__KEY": GOOD[:8]}, "audit.key", "has 8 bytes"),
    "short-root-key": ({"TRADESENSE_SECRETS__LOCAL__ROOT_KEY": "x"}, "secrets.local.root_key", "it has 1 bytes"),
    "short-token-key": ({"JWT_SECRET_KEY": GOOD[:31]}, "identity.jose.secret", "has 31 bytes"),
    "default-key": (
        {"JWT_SECRET_KEY": "changeme-changeme-changeme-changeme"},
        "identity.jose.secret",
        "from an example",
    ),
    "example-key": ({"TRADESENSE_AUDIT__KEY": "your-Secret-Key-here-1234567890-abcd"}, "audit.key", "from an example"),
    "repeated-key": ({"TRADESENSE_AUDIT__KEY": "ab" * 20}, "audit.key", "from an example"),
    "equal-keys": (
        {"TRADESENSE_AUDIT__KEY": GOOD, "TRADESENSE_IDENTITY__CSRF_KEY": GOOD},
        "audit.key",
        "the same as identity.csrf_key",
    ),
    "http-base-url": ({"TRADESENSE_HTTP__BASE_URL": "http://app.internal.net"}, "http.base_url", "plain http"),
    "no-base-url": ({"TRADESENSE_HTTP__BASE_URL": ""}, "http.base_url", "not set"),
    "debug": ({"TRADESENSE_DEBUG": "true"}, "debug", "shown to everybody"),
    "wildcard-host": ({"TRADESENSE_HTTP__ALLOWED_HOSTS": "*"}, "http.allowed_hosts", "wildcard"),
    "wildcard-subdomain": ({"TRADESENSE_HTTP__ALLOWED_HOSTS": "a.net,*.b.net"}, "http.allowed_hosts", "wildcard"),
    "wildcard-origin": ({"TRADESENSE_HTTP__ALLOWED_ORIGINS": "*"}, "http.allowed_origins", "wildcard"),
    "proxies-everywhere": ({"TRADESENSE_HTTP__TRUSTED_PROXIES": "0.0.0.0/0"}, "http.trusted_proxies", "everybody"),
    "shared-sqlite": (
        {"DATABASE_URL": "sqlite:///x.db", "TRADESENSE_HTTP__PROCESSES": "2", "REDIS_URL": "redis://cache.internal"},
        "database.url",
        "cannot serve 2 processes",
    ),
    "passphrase": (
        {
            "TRADESENSE_SECRETS__LOCAL__ROOT_KEY": "correct horse battery staple",
            "TRADESENSE_SECRETS__LOCAL__SALT": "this deployment's own",
        },
        "secrets.local.root_key",
        "production wants 32 random bytes",
    ),
    "no-private-key": ({"TRADESENSE_IDENTITY__JOSE__ALGORITHM": "EdDSA"}, "identity.jose.private_key", "not set"),
    "no-such-private-key": (
        {"TRADESENSE_IDENTITY__JOSE__ALGORITHM": "EdDSA", "TRADESENSE_IDENTITY__JOSE__PRIVATE_KEY": GOOD},
        "identity.jose.private_key",
        "neither in PEM nor a JWK",
    ),
    "memory-identity": ({"TRADESENSE_IDENTITY__PROVIDER": "memory"}, "identity.provider", "lost"),
    "memory-secrets": ({"TRADESENSE_SECRETS__PROVIDER": "memory"}, "secrets.provider", "lost"),
    "memory-audit": ({"TRADESENSE_AUDIT__PROVIDER": "memory"}, "audit.provider", "lost"),
}


@pytest.mark.parametrize(("change", "key", "message"), R55.values(), ids=R55)
def test_R55_production_refuses(wrong, production, change, key: str, message: str):
    found = wrong({**production, **change})
    assert list(found) == [key]
    assert message in found[key].message
    assert all(value not in found[key].line() for name, value in production.items() if "KEY" in name)


@pytest.mark.parametrize(
    ("key", "masked"),
    [
        ("identity.webhooks.hr.secret", MASK),
        ("secrets.vault.token", MASK),
        ("database.url", f"postgresql://app:{MASK}@theirs.example/app"),
    ],
)
def test_R47_what_is_shown_in_place_of_a_secret_is_not_taken_for_it(wrong, production, key: str, masked: str):
    """As when the output of `config show` is written to a file, with another address beside it."""
    changes = {
        "identity.webhooks.hr.url": "https://theirs.example/hook",
        "secrets.vault.url": "https://theirs.example",
        "secrets.provider": "vault",
        "database.url": "postgresql://app:good@ours.example/app",
        "identity.webhooks.hr.secret": f"whsec_{GOOD}",
        "secrets.vault.token": GOOD,
        key: masked,
    }
    found = wrong(
        {**production, **{f"TRADESENSE_{name.replace('.', '__').upper()}": one for name, one in changes.items()}}
    )
    assert list(found) == [key]
    assert "the mask that is shown" in found[key].message


def test_R47_a_secret_is_masked_wherever_settings_are_shown(loads, production):
    production["TRADESENSE_SECRETS__VAULT__TOKEN"] = f"canary-{GOOD}"
    rows = {one.key: one.value for one in describe(loads(production))}
    assert rows["secrets.vault.token"] == rows["identity.csrf_key"] == rows["audit.key"] == MASK
    assert not any(value in repr(rows) for name, value in production.items() if "KEY" in name or "TOKEN" in name)


def test_R55_production_refuses_a_settings_file_that_everybody_can_read(loads, wrong, production, tmp_path: Path):
    toml = "[http]\nport = 80\n"
    assert loads(production, toml)
    file = tmp_path / "own.toml"
    file.write_text(toml)
    file.chmod(0o644)
    found = wrong(production, TRADESENSE_SETTINGS_FILE=str(file))
    assert found["settings"].mend == f"chmod o-r {file}"


def test_R55_production_refuses_a_key_file_that_everybody_can_read(loads, wrong, production, tmp_path: Path):
    file = tmp_path / "token"
    file.write_text("x")
    environ = {
        **production,
        "TRADESENSE_SECRETS__PROVIDER": "vault",
        "TRADESENSE_SECRETS__VAULT__URL": "https://v",
        "TRADESENSE_SECRETS__VAULT__TOKEN_FILE": str(file),
    }
    file.chmod(0o600)
    assert loads(environ)
    file.chmod(0o604)
    assert list(wrong(environ)) == ["secrets.vault.token_file"]


def test_production_starts_with_good_values(loads, production):
    loaded = loads(production)
    assert not loaded.settings.debug
    assert {problem.level for problem in loaded.problems} == {"warning", "info"}


@pytest.mark.parametrize("environment", ["development", "testing", "staging", "production"])
def test_a_short_token_key_is_refused_everywhere(wrong, production, environment: str):
    found = wrong({**production, "ENVIRONMENT": environment, "JWT_SECRET_KEY": GOOD[:31]})
    assert found["identity.jose.secret"].origin == "environment variable JWT_SECRET_KEY"


def test_a_reference_is_no_short_key_but_may_stand_for_one_purpose_alone(loads, wrong, production):
    production |= {
        "JWT_SECRET_KEY": "secret://jwt",
        "TRADESENSE_SECRETS__PROVIDER": "vault",
        "TRADESENSE_SECRETS__VAULT__URL": "https://v",
    }
    assert loads(production)
    assert (
        "the same as" in wrong(production, TRADESENSE_IDENTITY__CSRF_KEY="secret://jwt")["identity.jose.secret"].message
    )


def test_a_key_that_nobody_needs_may_be_absent(loads, production):
    del production["TRADESENSE_SECRETS__LOCAL__ROOT_KEY"]
    production |= {"TRADESENSE_SECRETS__PROVIDER": "vault", "TRADESENSE_SECRETS__VAULT__URL": "https://v"}
    assert loads(production)


def test_development_over_http_says_how_the_cookie_is_called(loads):
    problems = {problem.key: problem for problem in loads().problems}
    assert problems["http.base_url"].level == "info"
    assert "`session`" in problems["http.base_url"].message
    assert not loads(TRADESENSE_HTTP__BASE_URL="https://127.0.0.1:8443").problems


def test_memory_outside_development_is_a_warning(loads, production):
    levels = {problem.key: problem.level for problem in loads({**production, "ENVIRONMENT": "staging"}).problems}
    assert levels["cache.limiter"] == levels["jobs.provider"] == "warning"
    changed = {"ENVIRONMENT": "staging", "TRADESENSE_IDENTITY__PROVIDER": "memory"}
    levels = {problem.key: problem.level for problem in loads({**production, **changed}).problems}
    assert levels["identity.provider"] == "warning"
    assert not [problem for problem in loads(ENVIRONMENT="testing").problems if problem.level != "info"]


def test_mail_that_is_printed_is_a_warning(loads, production):
    problems = {problem.key: problem for problem in loads(production).problems}
    assert "not sent" in problems["identity.messenger"].message


BY_PROCESS = {"cache.provider", "cache.locks", "cache.limiter", "cache.topics", "jobs.provider"}
"""What breaks a promise when each of several processes has its own."""


def test_processes_that_share_nothing_are_a_warning(loads):
    found = {p.key: p for p in loads(TRADESENSE_HTTP__PROCESSES="2").problems if p.level == "warning"}
    assert set(found) == {*BY_PROCESS, "cache.backplane"}
    shared = loads(TRADESENSE_HTTP__PROCESSES="2", REDIS_URL="redis://127.0.0.1")
    assert not [problem for problem in shared.problems if problem.level == "warning"]


def test_production_refuses_processes_that_break_a_promise_together(loads, wrong, production):
    production |= {"TRADESENSE_HTTP__PROCESSES": "2"}
    found = wrong(production)
    assert set(found) == BY_PROCESS
    assert "as many times the limit" in found["cache.limiter"].message
    assert loads({**production, "REDIS_URL": "redis://cache.internal"})
    late = loads({**production, "REDIS_URL": "redis://cache.internal", "TRADESENSE_CACHE__BACKPLANE": "memory"})
    assert {problem.key: problem.level for problem in late.problems}["cache.backplane"] == "warning"


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_what_is_left_to_nobody_is_told(loads, production, environment: str):
    given = {**production, "ENVIRONMENT": environment}
    levels = {p.key: p.level for p in loads(given).problems}
    assert "identity.breached" not in levels, "the common ones are refused unless settings say otherwise"
    levels = {p.key: p.level for p in loads({**given, "TRADESENSE_IDENTITY__BREACHED": "null"}).problems}
    assert levels["identity.breached"] == "warning"
    assert levels["telemetry.errors"] == levels["telemetry.alerts"] == "info"


@pytest.mark.parametrize("environment", ["development", "testing"])
def test_on_ones_own_machine_nobody_is_enough(loads, environment: str):
    keys = {problem.key for problem in loads(ENVIRONMENT=environment).problems}
    assert not keys & {"identity.breached", "telemetry.errors", "telemetry.alerts"}


KEY_SETTINGS = {
    "TRADESENSE_IDENTITY__CSRF_KEY": "identity.csrf_key",
    "TRADESENSE_AUDIT__KEY": "audit.key",
    "JWT_SECRET_KEY": "identity.jose.secret",
    "TRADESENSE_SECRETS__LOCAL__ROOT_KEY": "secrets.local.root_key",
}


@pytest.mark.parametrize("variable", KEY_SETTINGS)
def test_the_command_that_mends_a_key_makes_one_that_starts(loads, wrong, production, plugins, variable: str):
    for bad in ("", "x"):
        mend = wrong(production, **{variable: bad})[KEY_SETTINGS[variable]].mend
        python, *arguments = shlex.split(mend.split("`")[1])
        assert python == "python"
        done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True)
        settings = loads(production, **{variable: done.stdout.strip()}).settings
        local = plugins.registry.choose(KeyEncryption, "local", key="secrets.key_encryption").adapter
        assert LocalKeyEncryption(adapter_settings(settings, local), random=SystemRandom(), clock=SystemClock())


def test_a_root_key_of_another_length_is_a_passphrase_and_told_with_its_origin(wrong, production):
    found = wrong({**production, "ENVIRONMENT": "staging"}, TRADESENSE_SECRETS__LOCAL__ROOT_KEY=f"{GOOD}{GOOD}")
    (problem,) = found.values()
    assert (problem.key, problem.origin) == (
        "secrets.local.salt",
        "environment variable TRADESENSE_SECRETS__LOCAL__ROOT_KEY",
    )
    assert "its salt has 0 characters" in problem.message
    assert "token_urlsafe(32)" in problem.mend
    assert set(wrong(production, TRADESENSE_SECRETS__LOCAL__ROOT_KEY=f"{GOOD}{GOOD}")) == {
        "secrets.local.root_key",
        "secrets.local.salt",
    }


def test_a_root_key_that_nobody_sets_is_told_with_the_command_that_makes_one(wrong, production):
    del production["TRADESENSE_SECRETS__LOCAL__ROOT_KEY"]
    assert "token_urlsafe(32)" in wrong(production)["secrets.local.root_key"].mend


def test_with_eddsa_the_private_key_is_the_one_that_counts(loads, production):
    del production["JWT_SECRET_KEY"]
    eddsa = {
        "TRADESENSE_IDENTITY__JOSE__ALGORITHM": "EdDSA",
        "TRADESENSE_IDENTITY__JOSE__PRIVATE_KEY": "-----BEGIN PRIVATE KEY-----\nMC4CAQ\n-----END PRIVATE KEY-----",
    }
    assert loads({**production, **eddsa})


def test_an_outbox_beside_the_changes_is_a_warning(loads, production):
    problems = {problem.key: problem for problem in loads(production).problems}
    assert "jobs.outbox" not in problems
    problems = {problem.key: problem for problem in loads(production, TRADESENSE_JOBS__OUTBOX="memory").problems}
    assert (problems["jobs.outbox"].level, problems["jobs.outbox"].mend[:8]) == ("warning", "use sql,")


def test_a_queue_in_memory_needs_its_own_process(wrong):
    assert "nobody would do the jobs" in wrong(TRADESENSE_JOBS__EMBEDDED="false")["jobs.embedded"].message


@pytest.mark.parametrize("url", ["app.example.net", "ftp://x", "https://", "https://x/", "https://x?a=b", "//x"])
def test_a_base_url_is_an_address(wrong, url: str):
    assert wrong(TRADESENSE_HTTP__BASE_URL=url)["http.base_url"].message == "it is not an address"


@pytest.mark.parametrize("network", ["proxy", "10.0.0.1/8", "10.0.0.0/33"])
def test_a_proxy_is_a_network(wrong, network: str):
    assert "is not a network" in wrong(TRADESENSE_HTTP__TRUSTED_PROXIES=network)["http.trusted_proxies"].message


def test_an_example_key_is_a_warning_where_nothing_is_at_stake(loads, production):
    changed = {"ENVIRONMENT": "staging", "JWT_SECRET_KEY": "changeme-changeme-changeme-changeme"}
    problems = {problem.key: problem for problem in loads({**production, **changed}).problems}
    assert problems["identity.jose.secret"].level == "warning"
