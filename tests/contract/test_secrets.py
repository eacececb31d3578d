"""The adapters of the secrets room keep their contracts."""

from __future__ import annotations

import base64
import json
import secrets

import asyncpg
import msgspec
import pytest
from cryptography.fernet import Fernet
from grpc import StatusCode

import cloudkit
import contracted
import sqldatabases
from sqldatabases import OnPostgresql, OnSqlite
from tradesense.adapters.env._names import variable
from tradesense.core.secrets import Aead, KeyEncryption, Rotator, SecretStore, StoredSecret
from tradesense.core.sensitive import Secret
from tradesense.core.steady import SteadyClock
from tradesense.core.testing import AeadContract, KeyEncryptionContract, RotatorContract, SecretStoreContract
from tradesense.core.transactions import Transactions

MEMORY = contracted.manifest("memory", SecretStore)


class TestMemorySecrets(SecretStoreContract):
    title = "memory"
    capabilities = MEMORY.capabilities

    @pytest.fixture
    def platform(self):
        return contracted.context()

    @pytest.fixture
    def adapter(self, platform):
        return lambda: contracted.build(MEMORY, platform)

    @pytest.fixture
    def transactions(self, platform):
        return lambda _: contracted.build(contracted.manifest("memory", Transactions), platform)


class TestEnvSecrets(SecretStoreContract):
    title = "env"
    capabilities = contracted.manifest("env", SecretStore).capabilities

    @pytest.fixture
    def seed(self):
        return {
            "a": "one letter",
            "db": "a path",
            "db/password": "a path below it",
            "db-b/password": "between two letters",
            "db.b/password": "Zürich 漢字 𝄞 \r\n\t \"'\\",
            "db_b/password": "",
            "db0/x--y": " spaced ",
            "team-a/0": "x" * 65_536,
        }

    @pytest.fixture
    def adapter(self, seed, monkeypatch):
        for path, value in seed.items():
            monkeypatch.setenv(f"TRADESENSE_SECRET_{variable(path)}", value)
        return lambda: contracted.build(contracted.manifest("env", SecretStore), contracted.context())


class TestFernetTokens(SecretStoreContract):
    title = "fernet"
    capabilities = contracted.manifest("local", SecretStore).capabilities

    @pytest.fixture
    def seed(self):
        return {"a": "one letter", "a/b": "Zürich 漢字 𝄞 \r\n\t \"'\\", "a-b/c": "", "b": "x" * 65_536}

    @pytest.fixture
    def adapter(self, seed, tmp_path):
        key, file = Fernet.generate_key(), tmp_path / "tokens.json"
        file.write_text(
            json.dumps({path: Fernet(key).encrypt(value.encode()).decode() for path, value in seed.items()})
        )
        settings = {"file": str(file), "keys": {"k": Secret(key)}}
        return lambda: contracted.build(contracted.manifest("local", SecretStore), contracted.context(), **settings)


class TestLocalKeys(KeyEncryptionContract):
    title = "local"
    capabilities = contracted.manifest("local", KeyEncryption).capabilities

    @pytest.fixture
    def adapter(self, tmp_path):
        settings = {"root_key": Secret(base64.b64encode(bytes(range(32)))), "ring_file": f"{tmp_path}/keys/ring.json"}
        return lambda: contracted.build(contracted.manifest("local", KeyEncryption), contracted.context(), **settings)


class TestLocalKeysFromAPassphrase(KeyEncryptionContract):
    @pytest.fixture
    def adapter(self, monkeypatch):
        monkeypatch.setattr("tradesense.adapters.local.secrets.ROUNDS", 1000)
        settings = {"root_key": Secret("correct horse battery staple"), "salt": "salt of these tests", "key_id": "k2"}
        return lambda: contracted.build(contracted.manifest("local", KeyEncryption), contracted.context(), **settings)


class TestTransitKeys(KeyEncryptionContract):
    title = "transit"
    capabilities = contracted.manifest("vault", KeyEncryption).capabilities

    @pytest.fixture
    def key(self, openbao):
        openbao.request("POST", "sys/mounts/transit", {"type": "transit"})  # refused where another test was first
        return f"k-{secrets.token_hex(6)}"

    @pytest.fixture
    def adapter(self, openbao, key):
        return lambda: self._keys(openbao, key)

    @pytest.fixture
    def unreachable(self, openbao, key):
        return lambda: self._keys(openbao, key, url="http://127.0.0.1:1")

    def _keys(self, openbao, key, **changed):
        settings = {"url": openbao.address, "token": Secret(openbao.token), "key": key} | changed
        return contracted.build(contracted.manifest("vault", KeyEncryption), contracted.context(), **settings)


class TestLocalAead(AeadContract):
    title = "local"
    capabilities = contracted.manifest("local", Aead).capabilities

    @pytest.fixture
    def adapter(self):
        return lambda: contracted.build(contracted.manifest("local", Aead), contracted.context())


def test_R50_the_cipher_is_aes_256_gcm():
    """The fourth test case for 256-bit keys of the specification that GCM was submitted with (case 16)."""
    key = bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2)
    nonce = bytes.fromhex("cafebabefacedbaddecaf888")
    plaintext = bytes.fromhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    )
    associated = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    sealed = bytes.fromhex(
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
        "76fc6ece0f4e1768cddf8853bb2d551b"
    )
    aead = contracted.build(contracted.manifest("local", Aead), contracted.context())
    assert aead.seal(key, nonce, plaintext, associated) == sealed
    assert aead.open(key, nonce, sealed, associated) == plaintext


class TestVaultSecrets(SecretStoreContract):
    title = "vault"
    capabilities = contracted.manifest("vault", SecretStore, "vault").capabilities
    foreign = cloudkit.foreign

    @pytest.fixture
    def adapter(self, openbao, request):
        # The engine keeps the larger of the mount's number and the secret's.
        least = 1 if "newest_versions" in request.node.name else 100
        openbao.request("POST", f"{openbao.mount}/config", {"max_versions": least})
        return lambda: self._store(openbao)

    @pytest.fixture
    def unreachable(self, openbao):
        return lambda: self._store(openbao, url="http://127.0.0.1:1")

    @pytest.fixture
    def denied(self, openbao):
        return lambda: self._store(openbao, token=Secret("nobody"))

    @pytest.fixture
    def skewed(self, openbao):
        return lambda seconds: self._store(openbao, clock=contracted.Ahead(seconds))

    def _store(self, openbao, *, clock=None, **changed):
        settings = {
            "url": openbao.address,
            "token": Secret(openbao.token),
            "mount": openbao.mount,
            "timeout": cloudkit.PATIENT,
        } | changed
        lent = contracted.context(clock)
        return contracted.build(contracted.manifest("vault", SecretStore, "vault"), lent, **settings)


class TestVaultOneSecrets(SecretStoreContract):
    title = "vault_v1"
    capabilities = contracted.manifest("vault", SecretStore, "vault_v1").capabilities

    @pytest.fixture
    def adapter(self, openbao):
        mount = f"{openbao.mount}-v1"
        openbao.request("POST", f"sys/mounts/{mount}", {"type": "kv", "options": {"version": "1"}})
        yield lambda clock=None: self._store(openbao, clock=clock, mount=mount)
        openbao.request("DELETE", f"sys/mounts/{mount}")

    @pytest.fixture
    def skewed(self, adapter):
        return lambda seconds: adapter(contracted.Ahead(seconds))

    @pytest.fixture
    def unreachable(self, openbao):
        return lambda: self._store(openbao, url="http://127.0.0.1:1")

    @pytest.fixture
    def denied(self, openbao):
        return lambda: self._store(openbao, token=Secret("nobody"))

    def _store(self, openbao, *, clock=None, **changed):
        settings = {
            "url": openbao.address,
            "token": Secret(openbao.token),
            "mount": openbao.mount,
            "timeout": cloudkit.PATIENT,
        } | changed
        lent = contracted.context(clock)
        return contracted.build(contracted.manifest("vault", SecretStore, "vault_v1"), lent, **settings)


class TestSqlSecretsOnSqlite(OnSqlite, SecretStoreContract):
    title = "sql on SQLite"
    capabilities = sqldatabases.capabilities(SecretStore)


class TestSqlSecretsOnPostgresql(OnPostgresql, SecretStoreContract):
    title = "sql on PostgreSQL"
    capabilities = sqldatabases.capabilities(SecretStore)

    @pytest.fixture
    def skewed(self, database_url):
        def make(seconds):
            lent = sqldatabases.platform(clock=SteadyClock(contracted.Ahead(seconds)))
            return sqldatabases.sql(SecretStore, database_url, lent)

        return make


class TestAwsSecrets(SecretStoreContract):
    title = "aws"
    capabilities = contracted.manifest("aws", SecretStore, "aws").capabilities

    @pytest.fixture
    def adapter(self, moto, unique_prefix):
        return lambda lent=None: cloudkit.aws("aws", moto.address, lent, prefix=f"{unique_prefix}/")

    @pytest.fixture
    def skewed(self, adapter):
        return lambda seconds: adapter(contracted.context(contracted.Ahead(seconds)))

    @pytest.fixture
    def unreachable(self):
        return lambda: cloudkit.aws("aws", "http://127.0.0.1:1")

    @pytest.fixture
    async def denied(self):
        async with cloudkit.scripted() as server:
            server.answers = [cloudkit.aws_refusal("AccessDeniedException")]
            yield lambda: cloudkit.aws("aws", server.url)


class TestAwsParameters(SecretStoreContract):
    title = "aws_ssm"
    capabilities = contracted.manifest("aws", SecretStore, "aws_ssm").capabilities
    largest = 8192

    @pytest.fixture
    def adapter(self, moto, unique_prefix):
        return lambda lent=None: cloudkit.aws("aws_ssm", moto.address, lent, prefix=f"/{unique_prefix}/")

    @pytest.fixture
    def skewed(self, adapter):
        return lambda seconds: adapter(contracted.context(contracted.Ahead(seconds)))

    @pytest.fixture
    def unreachable(self):
        return lambda: cloudkit.aws("aws_ssm", "http://127.0.0.1:1")

    @pytest.fixture
    async def denied(self):
        async with cloudkit.scripted() as server:
            server.answers = [cloudkit.aws_refusal("AccessDeniedException")]
            yield lambda: cloudkit.aws("aws_ssm", server.url)


class TestAwsKeys(KeyEncryptionContract):
    title = "aws_kms"
    capabilities = contracted.manifest("aws", KeyEncryption).capabilities

    @pytest.fixture
    def adapter(self, moto):
        key_id = cloudkit.kms_key(moto.address)
        return lambda: cloudkit.aws("aws_kms", moto.address, key_id=key_id)

    @pytest.fixture
    def unreachable(self):
        return lambda: cloudkit.aws("aws_kms", "http://127.0.0.1:1", key_id="alias/any")


class TestGcpSecrets(SecretStoreContract):
    title = "gcp"
    capabilities = contracted.manifest("gcp", SecretStore).capabilities

    @pytest.fixture
    def adapter(self, secret_manager):
        return lambda lent=None: cloudkit.gcp(secret_manager.address, lent)

    @pytest.fixture
    def skewed(self, adapter):
        return lambda seconds: adapter(contracted.context(contracted.Ahead(seconds)))

    @pytest.fixture
    def unreachable(self):
        return lambda: cloudkit.gcp("127.0.0.1:1")

    @pytest.fixture
    def denied(self, secret_manager):
        secret_manager.refuse = StatusCode.PERMISSION_DENIED
        return lambda: cloudkit.gcp(secret_manager.address)


class TestAzureSecrets(SecretStoreContract):
    title = "azure"
    capabilities = contracted.manifest("azure", SecretStore).capabilities
    largest = 25_000

    @pytest.fixture
    def adapter(self, key_vault):
        return lambda lent=None: cloudkit.azure(key_vault, lent)

    @pytest.fixture
    def skewed(self, adapter):
        return lambda seconds: adapter(contracted.context(contracted.Ahead(seconds)))

    @pytest.fixture
    def unreachable(self, key_vault):
        return lambda: cloudkit.azure(key_vault, url="https://localhost:1")

    @pytest.fixture
    def denied(self, key_vault):
        key_vault.refuse = 403
        return lambda: cloudkit.azure(key_vault)


class TestPasswordRotator(RotatorContract):
    title = "password"

    @pytest.fixture
    def adapter(self):
        return lambda: contracted.build(contracted.manifest("local", Rotator), contracted.context())

    @pytest.fixture
    def current(self):
        return StoredSecret(path="team-a/key", value=Secret("the first one of all"), version=1)


class TestPostgresqlRotator(RotatorContract):
    title = "postgresql"

    @pytest.fixture
    def roles(self, postgres):
        made = tuple(f"app_{name}_{secrets.token_hex(4)}" for name in "ab")
        postgres.execute(f"CREATE ROLE {made[0]} LOGIN PASSWORD 'first of both'")
        postgres.execute(f"CREATE ROLE {made[1]} LOGIN")
        yield made
        for role in made:
            postgres.execute(f"DROP ROLE {role}")

    @pytest.fixture
    def adapter(self, postgres):
        manifest = contracted.manifest("postgresql", Rotator)
        return lambda: contracted.build(manifest, contracted.context(), admin_url=Secret(postgres.url()))

    @pytest.fixture
    def options(self, roles):
        return {"roles": ",".join(roles)}

    @pytest.fixture
    def current(self, roles):
        value = msgspec.json.encode({"username": roles[0], "password": "first of both"})
        return StoredSecret(path="team-a/db", value=Secret(value), version=1)

    @pytest.fixture
    def accepts(self, postgres):
        async def logs_in(version):
            found = msgspec.json.decode(version.value.reveal_bytes())
            try:
                connection = await asyncpg.connect(postgres.url(), user=found["username"], password=found["password"])
            except asyncpg.InvalidPasswordError:
                return False
            await connection.close()
            return True

        return logs_in
