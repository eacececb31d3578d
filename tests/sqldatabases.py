"""The two databases that every SQL adapter is tested on, each test with tables of its own.

`OnSqlite` and `OnPostgresql` are mixed into a test class. They bring `database_url`, and the fixtures of a contract:
`adapter`, `transactions`, `log` and `unreachable`. Every adapter that `adapter` makes has a connection pool of its own,
as every process would.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import contracted
import servers
from servers import Postgres
from tradesense.adapters.sql.migrations import upgrade
from tradesense.adapters.sql.transactions import SqlTransactions
from tradesense.core.audit.chain import AuditChain
from tradesense.core.audit.ports import AuditLog
from tradesense.core.errors import DecryptionFailed
from tradesense.core.secrets.envelope import Sealer
from tradesense.core.secrets.models import WrappedKey
from tradesense.core.secrets.ports import Opener
from tradesense.core.sensitive import Secret

QUICK = 0.5
"""Seconds until an absent server is given up."""


def platform(chain=None, clock=None):
    """What the factories of one process are given."""
    lent = contracted.context(clock)
    lent.chain = chain or AuditChain(bytes(range(32)))
    cipher = Cipher()
    lent.sealer = Sealer(keys=OneKey(cipher), aead=cipher, random=lent.random, namespace="tests")
    return lent


PATIENT = 30.0
"""Seconds: the suites judge what an adapter does, not how busy the machine is."""


def sql(port, url, lent=None, **settings):
    """An SQL adapter of the port, unopened."""
    return contracted.build(contracted.manifest("sql", port), lent or platform(), url=Secret(url), **settings)


def capabilities(port):
    """What the manifest declares."""
    return contracted.manifest("sql", port).capabilities


class Databases:
    """Any of the two."""

    @pytest.fixture
    def adapter(self, database_url):
        return lambda: sql(self.port, database_url, pool_timeout=PATIENT, busy_timeout=PATIENT)

    @pytest.fixture
    def transactions(self):
        return lambda store: SqlTransactions(store._shared)

    @pytest.fixture
    def log(self):
        def beside(unit):
            lent = platform()
            lent.share(type(unit._shared), lambda: unit._shared)
            return contracted.build(contracted.manifest("sql", AuditLog), lent)

        return beside


class OnSqlite(Databases):
    """A file."""

    @pytest.fixture
    def database_url(self, tmp_path):
        return sqlite_url(tmp_path)

    @pytest.fixture
    def unreachable(self, tmp_path):
        return lambda: sql(self.port, f"sqlite:///{tmp_path}/absent/tradesense.db")


class OnPostgresql(Databases):
    """A database of the run's server."""

    @pytest.fixture
    def database_url(self, postgres):
        with postgresql_database(postgres) as url:
            yield url

    @pytest.fixture
    def unreachable(self):
        url = f"postgresql://nobody:nothing@127.0.0.1:{servers.free_port()}/absent"
        return lambda: sql(self.port, url, pool_timeout=QUICK)


def sqlite_url(folder: Path) -> str:
    """A file with tables in this folder."""
    path = folder / "tradesense.db"
    path.write_bytes(_file())
    return f"sqlite:///{path}"


@contextmanager
def postgresql_database(postgres: Postgres) -> Iterator[str]:
    """A database with tables."""
    name = f"sql_{servers.next_number('database')}"
    postgres.execute(f"CREATE DATABASE {name} TEMPLATE {_template(postgres)}")
    yield postgres.url(name)
    postgres.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@cache
def _file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "template.db"
        asyncio.run(upgrade(Secret(f"sqlite:///{path}")))
        return path.read_bytes()


@cache
def _template(postgres: Postgres) -> str:
    name = f"template_{servers.next_number('database')}"
    postgres.execute(f"CREATE DATABASE {name}")
    asyncio.run(upgrade(Secret(postgres.url(name))))
    return name


class Cipher:
    """AES-256-GCM."""

    def seal(self, key: bytes, nonce: bytes, plaintext: bytes, associated: bytes) -> bytes:
        return AESGCM(key).encrypt(nonce, plaintext, associated)

    def open(self, key: bytes, nonce: bytes, ciphertext: bytes, associated: bytes) -> bytes:
        try:
            return AESGCM(key).decrypt(nonce, ciphertext, associated)
        except InvalidTag as error:
            raise DecryptionFailed from error

    def opener(self, key: bytes) -> Opener:
        return partial(self.open, key)


class OneKey:
    """Wraps data keys with one key that all processes of a test know."""

    def __init__(self, cipher: Cipher) -> None:
        self._cipher = cipher

    async def wrap(self, data_key: bytes, context: dict[str, str]) -> WrappedKey:
        return WrappedKey(key_id="tests", blob=self._cipher.seal(bytes(32), bytes(12), data_key, _bound(context)))

    async def unwrap(self, wrapped: WrappedKey, context: dict[str, str]) -> bytes:
        return self._cipher.open(bytes(32), bytes(12), wrapped.blob, _bound(context))


def _bound(context: dict[str, str]) -> bytes:
    return repr(sorted(context.items())).encode()
