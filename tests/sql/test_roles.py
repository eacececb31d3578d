"""Passwords of PostgreSQL roles are really changed: two roles take turns, and one always works."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

import msgspec
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

import contracted
from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.secrets import MemorySecretStore
from tradesense.adapters.postgresql.secrets import scram
from tradesense.adapters.system.ambient import SystemClock
from tradesense.core.errors import ConfigurationError, InvalidInput, RotationFailed
from tradesense.core.secrets.ports import Rotator
from tradesense.core.sensitive import Secret

PATH = "team-a/db"


class Roles:
    """Two roles of a server, a secret with the first one's credential, and a rotator of both."""

    def __init__(self, postgres, url, store):
        suffix = secrets.token_hex(4)
        self.first, self.second = f"app_a_{suffix}", f"app B'\"_{suffix}"
        self.url, self.store = url, store
        self.options = {"roles": f"{self.first},{self.second}"}
        self.rotator = self.build(url)
        postgres.execute(f"CREATE ROLE {self.first} LOGIN PASSWORD 'first'")
        quoted = self.second.replace('"', '""')
        postgres.execute(f'CREATE ROLE "{quoted}" LOGIN')

    def build(self, url, **settings):
        manifest = contracted.manifest("postgresql", Rotator)
        return contracted.build(manifest, contracted.context(), admin_url=Secret(url), **settings)

    async def begin(self):
        place = self.url.partition("@")[2]
        value = {"username": self.first, "password": "first", "url": f"postgresql://{self.first}:first@{place}", "x": 1}
        await self.store.put(PATH, Secret(msgspec.json.encode(value)))

    async def logs_in(self, secret):
        found = msgspec.json.decode(secret.value.reveal_bytes())
        engine = create_async_engine(make_url(found["url"]).set(drivername="postgresql+asyncpg"), poolclass=NullPool)
        try:
            async with engine.connect() as connection:
                return (await connection.execute(text("SELECT session_user"))).scalar_one() == found["username"]
        except DBAPIError:
            return False
        finally:
            await engine.dispose()

    async def rotate(self):
        current = await self.store.get(PATH)
        await self.store.stage(PATH, await self.rotator.create(current, self.options))
        pending = await self.store.pending(PATH)
        assert not await self.logs_in(pending), "nobody may accept it yet"
        for _ in range(2):  # a step that was done before a crash is done again
            await self.rotator.set(current, pending, self.options)
            await self.rotator.test(pending, self.options)
            assert await self.logs_in(current), "the current credential must work until the other was tried"
        await self.store.promote(PATH, pending.version)
        assert await self.logs_in(await self.store.get(PATH))
        assert await self.logs_in(current), "connections of the old credential go on for a whole interval"


@pytest.fixture
async def roles(postgres, postgres_url):
    async with MemorySecretStore(MemoryState(), clock=SystemClock()) as store:
        made = Roles(postgres, postgres_url, store)
        await made.begin()
        yield made


async def test_two_roles_take_turns_and_one_always_works(roles):
    for expected in (roles.second, roles.first, roles.second):
        await roles.rotate()
        found = msgspec.json.decode((await roles.store.get(PATH)).value.reveal_bytes())
        assert (found["username"], found["x"]) == (expected, 1)


async def test_the_server_is_never_sent_a_password(roles, postgres_url):
    await roles.rotate()
    found = msgspec.json.decode((await roles.store.get(PATH)).value.reveal_bytes())
    engine = create_async_engine(make_url(postgres_url).set(drivername="postgresql+asyncpg"), poolclass=NullPool)
    async with engine.connect() as connection:
        query = text("SELECT rolpassword FROM pg_authid WHERE rolname = :name")
        (stored,) = (await connection.execute(query, {"name": found["username"]})).scalars()
    await engine.dispose()
    assert stored.startswith("SCRAM-SHA-256$4096:")
    assert found["password"] not in stored


async def test_what_goes_wrong_is_one_error_without_the_credential(roles, caplog):
    current = await roles.store.get(PATH)
    await roles.store.stage(PATH, await roles.rotator.create(current, roles.options))
    pending = await roles.store.pending(PATH)
    password = msgspec.json.decode(pending.value.reveal_bytes())["password"]
    with pytest.raises(RotationFailed) as untried:
        await roles.rotator.test(pending, roles.options)
    with pytest.raises(RotationFailed) as away:
        await roles.build("postgresql://x:hunter2@127.0.0.1:1/x", timeout=2).set(current, pending, roles.options)
    for refused in (untried, away):
        assert password not in repr(refused.value) + str(refused.value.__context__) + refused.value.line()
        assert "hunter2" not in refused.value.line()
    assert password not in caplog.text
    with pytest.raises(RotationFailed, match="other role"):
        await roles.rotator.set(current, current, roles.options)


@pytest.mark.parametrize("options", [{}, {"roles": "one"}, {"roles": "a,a"}, {"roles": "a,b,c"}, {"roles": ","}])
async def test_a_policy_names_two_roles(roles, options):
    with pytest.raises(InvalidInput, match="two roles"):
        await roles.rotator.create(await roles.store.get(PATH), options)


@pytest.mark.parametrize("value", ["hunter2", "[1]", '{"username":"x"}', '{"username":1,"password":"hunter2"}'])
async def test_a_secret_that_is_no_credential_is_refused_without_a_word_of_it(roles, value):
    await roles.store.put(PATH, Secret(value))
    with pytest.raises(InvalidInput) as refused:
        await roles.rotator.create(await roles.store.get(PATH), roles.options)
    assert "hunter2" not in refused.value.line()


async def test_an_administrator_that_is_not_set_is_told(roles):
    current = await roles.store.get(PATH)
    await roles.store.stage(PATH, await roles.rotator.create(current, roles.options))
    for wrong in ("", "no url"):
        with pytest.raises(ConfigurationError):
            await roles.build(wrong).set(current, await roles.store.pending(PATH), roles.options)


def test_the_verifier_is_that_of_rfc_7677():
    """Its section 3 proves a client with the password `pencil`; the keys behind it are these."""
    made = scram("pencil", base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="))
    stored = base64.b64decode(made.split("$")[2].split(":")[0])
    message = (
        b"n=user,r=rOprNGfwEbeRWgbNEkqO,"
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    )
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    signature = hmac.digest(stored, message, "sha256")
    key = bytes(one ^ other for one, other in zip(proof, signature, strict=True))
    assert hashlib.sha256(key).digest() == stored
