"""The fixtures that every test may take; `servers.py` lists them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

import binaries
import platform_process
import servers
import wire_azure
import wire_gcp
from faultproxy import FaultProxy
from servers import FOLDER_VARIABLE, Moto, OpenBao, OwnServer, Postgres, RedisEight, Valkey
from wire_azure import FakeKeyVault
from wire_gcp import FakeSecretManager

SOAK = "TRADESENSE_TEST_SOAK"
SOAK_SECONDS = 3600
"""How long one experiment may take when it is run whole."""

# How busy the machine is says nothing of the code.
hypothesis.settings.register_profile("patient", hypothesis.settings.default, deadline=None)
hypothesis.settings.load_profile("patient")

_keeper = pytest.StashKey[subprocess.Popen[str]]()
_folder = pytest.StashKey[Path]()

collect_ignore = ["thirdparty"]  # a distribution of its own, tested where it is installed


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "soak: an experiment that `make soak` runs whole and `make test` in short form")
    if hasattr(config, "workerinput") or config.option.collectonly:
        return  # a worker finds the folder in its environment
    folder = Path(tempfile.mkdtemp(prefix="tradesense-run-", dir=binaries.reachable_parent()))
    folder.chmod(0o755)
    keeper = subprocess.Popen(
        [sys.executable, "-I", str(Path(__file__).with_name("keeper.py")), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    config.stash[_keeper], config.stash[_folder] = keeper, folder
    os.environ[FOLDER_VARIABLE] = str(folder)
    assert keeper.stdout is not None
    assert keeper.stdout.readline() == "ready\n", "the keeper of the test servers did not start"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if SOAK not in os.environ:
        return
    for item in items:
        if item.get_closest_marker("soak"):
            # A time-out that a test sets for its short form is nearer to it than the command line's.
            item.add_marker(pytest.mark.timeout(SOAK_SECONDS), append=False)


def pytest_unconfigure(config: pytest.Config) -> None:
    keeper = config.stash.get(_keeper, None)
    if keeper is None:
        return
    os.environ.pop(FOLDER_VARIABLE, None)
    with keeper:  # closes the pipe, which is the word to stop, and waits
        pass
    shutil.rmtree(config.stash[_folder], ignore_errors=True)


@pytest.fixture
def unique_prefix() -> str:
    return f"t{servers.next_number('prefix')}"


@pytest.fixture(scope="session")
def postgres() -> Postgres:
    return servers.shared(Postgres)


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    name = f"test_{servers.next_number('database')}"
    postgres.execute(f"CREATE DATABASE {name}")
    yield postgres.url(name)
    postgres.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def valkey() -> Valkey:
    return servers.shared(Valkey)


@pytest.fixture
def valkey_url(valkey: Valkey) -> Iterator[str]:
    db = servers.next_number("valkey") % (valkey.databases - 1) + 1
    yield valkey.url(db)
    valkey.command("FLUSHDB", db=db)


@pytest.fixture(scope="session")
def redis_eight() -> RedisEight:
    return servers.shared(RedisEight)


@pytest.fixture
def redis_eight_url(redis_eight: RedisEight) -> Iterator[str]:
    db = servers.next_number("redis-eight") % (redis_eight.databases - 1) + 1
    yield redis_eight.url(db)
    redis_eight.command("FLUSHDB", db=db)


@pytest.fixture(scope="session")
def openbao_server() -> OpenBao:
    return servers.shared(OpenBao)


@pytest.fixture
def openbao(openbao_server: OpenBao) -> Iterator[OpenBao]:
    server = openbao_server.fresh_mount(f"kv-{servers.next_number('mount')}")
    yield server
    server.request("DELETE", f"sys/mounts/{server.mount}")


@pytest.fixture(scope="session")
def moto() -> Moto:
    return servers.shared(Moto)


@pytest.fixture
def own_postgres() -> Iterator[OwnServer[Postgres]]:
    with servers.own(Postgres) as server:
        yield server


@pytest.fixture
def own_valkey() -> Iterator[OwnServer[Valkey]]:
    with servers.own(Valkey) as server:
        yield server


@pytest.fixture
def own_openbao() -> Iterator[OwnServer[OpenBao]]:
    with servers.own(OpenBao) as server:
        yield server


@pytest.fixture
def fault_proxy() -> Callable[..., FaultProxy]:
    return FaultProxy


@pytest.fixture
def serving() -> Callable[..., object]:
    return platform_process.serving


@pytest.fixture
def tradesense(tmp_path: Path) -> platform_process.Runner:
    return platform_process.Runner(tmp_path)


@pytest.fixture(scope="session")
def soaking() -> bool:
    return SOAK in os.environ


@pytest.fixture
async def secret_manager() -> AsyncIterator[FakeSecretManager]:
    async with wire_gcp.secret_manager() as server:
        yield server


@pytest.fixture
async def key_vault(tmp_path: Path) -> AsyncIterator[FakeKeyVault]:
    async with wire_azure.key_vault(tmp_path) as server:
        yield server
