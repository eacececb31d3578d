"""Hashes of other systems and of weaker parameters are replaced by the first login that proves the password."""

from __future__ import annotations

import json

import bcrypt
import pytest
from talking import PASSWORD, Talker

from platform_process import Runner, serving
from servers import reachable_folder
from tradesense.core.audit.models import Actor
from tradesense.core.errors import CredentialsRefused, InvalidInput
from tradesense.core.identity.models import Client
from tradesense.core.sensitive import Secret

ACTOR = Actor(kind="operator")
WEAK = "$argon2id$v=19$m=8192,t=1,p=1$"


async def logged_in(services, email, password=PASSWORD):
    return await services.sessions.login(email, Secret(password), client=Client(), actor=ACTOR)


async def test_R01_a_hash_of_another_system_becomes_argon2id_at_the_first_login(services):
    hashed = Secret(bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)))
    await services.accounts.adopt("ada@example.org", hashed, verified=True, actor=ACTOR)
    with pytest.raises(CredentialsRefused):
        await logged_in(services, "ada@example.org", "another password of hers")
    assert (await services.accounts.named("ada@example.org")).password_hash == hashed
    await logged_in(services, "ada@example.org")
    stored = (await services.accounts.named("ada@example.org")).password_hash.reveal()
    assert stored.startswith("$argon2id$v=19$m=47104,t=1,p=1$")
    await logged_in(services, "ada@example.org")


async def test_an_account_with_a_hash_that_is_none_is_not_taken_over(services):
    for text in ("", "plain", "$1$md5crypt$x", "$2b$31$" + "a" * 53):
        with pytest.raises(InvalidInput):
            await services.accounts.adopt("ada@example.org", Secret(text), verified=True, actor=ACTOR)


def test_a_file_of_accounts_is_imported_and_may_be_imported_again():
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    rows = [{"email": f"u{number}@example.org", "password_hash": hashed, "verified": True} for number in range(3)]
    with reachable_folder() as folder:
        runner = Runner(folder)
        assert runner("db", "upgrade").code == 0
        (folder / "accounts.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n")
        for words in ("3 accounts were taken over, 0 were known", "0 accounts were taken over, 3 were known"):
            done = runner("users", "import", "accounts.jsonl")
            assert done.code == 0, done.err
            assert words in done.out + done.err
        (folder / "bad.jsonl").write_text('{"email": "x@example.org", "password_hash": "plain"}\n')
        refused = runner("users", "import", "bad.jsonl")
        assert refused.code == 1
        assert "line 1" in refused.err
        with serving({}, folder=folder) as server, Talker(server.url) as client:
            login = {"email": "u1@example.org", "password": PASSWORD, "mode": "token"}
            assert client.post("/api/v1/auth/login", json=login).status_code == 200
