from __future__ import annotations

import pytest

from tradesense.core.sensitive import Secret
from tradesense.settings.references import places, references, secrets_in, substituted

VAULT = {"TRADESENSE_SECRETS__PROVIDER": "vault", "TRADESENSE_SECRETS__VAULT__URL": "https://v"}


def test_a_reference_is_kept_and_found(loads):
    environ = {"DATABASE_URL": "secret://db/url", "JWT_SECRET_KEY": "secret://jwt", "REDIS_URL": "secret://db/url"}
    loaded = loads({**environ, **VAULT})
    assert places(loaded.settings) == {
        "database.url": "db/url",
        "redis.url": "db/url",
        "identity.jose.secret": "jwt",
    }
    assert references(loaded.settings) == ("db/url", "jwt")


def test_substituted_settings_hold_the_secrets_themselves(loads):
    before = loads({"DATABASE_URL": "secret://db/url", "TRADESENSE_AUDIT__KEY": "secret://audit", **VAULT}).settings
    after = substituted(before, {"db/url": Secret("sqlite:///x"), "audit": Secret("k" * 32)})
    assert after.adapters["database"]["url"] == Secret("sqlite:///x")
    assert after.audit.key == Secret("k" * 32)
    assert references(after) == ()
    assert references(before) == ("audit", "db/url")
    assert after.http == before.http


def test_every_secret_is_seen(loads):
    keys = {key for key, _ in secrets_in(loads().settings)}
    assert {"identity.csrf_key", "audit.key", "identity.jose.secret", "secrets.local.root_key", "database.url"} <= keys


@pytest.mark.parametrize(
    ("environ", "key", "message"),
    [
        ({"DATABASE_URL": "secret://../etc", **VAULT}, "database.url", "names no valid secret path"),
        ({"DATABASE_URL": "secret://", **VAULT}, "database.url", "names no valid secret path"),
        ({"TRADESENSE_SECRETS__VAULT__TOKEN": "secret://t", **VAULT}, "secrets.vault.token", "before it can read any"),
        ({"TRADESENSE_SECRETS__LOCAL__ROOT_KEY": "secret://t"}, "secrets.local.root_key", "before it can read any"),
        ({"DATABASE_URL": "secret://db"}, "database.url", "needs the database"),
        ({"TRADESENSE_STATE_DIR": "secret://db"}, "state_dir", "may be a reference"),
        ({"TRADESENSE_HTTP__BASE_URL": "secret://db"}, "http.base_url", "may be a reference"),
    ],
)
def test_a_reference_that_cannot_be_resolved_is_told(wrong, environ: dict[str, str], key: str, message: str):
    problem = wrong(environ)[key]
    assert message in problem.message
    assert problem.origin.startswith("environment variable ")
