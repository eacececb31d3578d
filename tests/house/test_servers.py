"""The test servers start, answer, keep tests apart and survive what tests do to them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio

from faultproxy import FaultProxy
from platform_process import ServerHandle
from servers import FOLDER_VARIABLE, OpenBao, OwnServer, Postgres, Valkey, wait_until


async def test_each_test_has_a_database_of_its_own(postgres: Postgres, postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("CREATE TABLE things (id int)")
    assert await connection.fetchval("SELECT current_database()") == postgres_url.rpartition("/")[2]
    await connection.close()
    assert postgres.execute("SELECT to_regclass('things') IS NULL") == "t"


async def test_each_test_has_a_valkey_number_of_its_own(valkey: Valkey, valkey_url: str) -> None:
    async with redis.asyncio.Redis.from_url(valkey_url) as client:
        await client.set("a", "1")
        assert await client.get("a") == b"1"
    async with redis.asyncio.Redis.from_url(valkey.url(0)) as other:
        assert await other.get("a") is None


def test_each_test_has_a_mount_of_its_own(openbao: OpenBao) -> None:
    assert openbao.request("POST", f"{openbao.mount}/data/a", {"data": {"x": "1"}})[0] == 200
    assert openbao.request("GET", "secret/data/a")[0] == 404


async def test_a_server_of_ones_own_can_be_killed_and_started_again(own_valkey: OwnServer[Valkey]) -> None:
    own_valkey.kill()
    assert not own_valkey.server.ready()
    own_valkey.start()
    assert own_valkey.server.ready()


async def test_the_proxy_makes_each_fault(valkey: Valkey) -> None:
    async with FaultProxy(valkey.host, valkey.port) as proxy:

        async def ping() -> bytes:
            reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
            try:
                writer.write(b"PING\r\n")
                return await asyncio.wait_for(reader.read(100), 0.5)
            finally:
                writer.transport.abort()

        assert await ping() == b"+PONG\r\n"
        proxy.black_hole = True
        with pytest.raises(TimeoutError):
            await ping()
        proxy.black_hole = False
        proxy.cut_after = 2
        with pytest.raises(ConnectionResetError):
            await ping()
        proxy.cut_after = None
        await proxy.down()
        with pytest.raises(ConnectionRefusedError):
            await ping()
        await proxy.up()
        assert await ping() == b"+PONG\r\n"


def test_no_server_outlives_a_run_that_is_killed(tmp_path: Path) -> None:
    tests = Path(__file__).parents[1]
    (tmp_path / "test_pids.py").write_text(
        "import os, pathlib\n"
        "def test_it(valkey, request):\n"
        f"    pathlib.Path({str(tmp_path / 'port')!r}).write_text(str(valkey.port))\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    (tmp_path / "conftest.py").write_text((tests / "conftest.py").read_text())
    (tmp_path / "keeper.py").write_text((tests / "keeper.py").read_text())
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(tests)},
        capture_output=True,
        check=False,
    )
    assert ended.returncode == -9, ended.stdout.decode()
    port = int((tmp_path / "port").read_text())
    wait_until(lambda: not Valkey(port=port).ready(), "the end of the server", seconds=15)


def test_without_a_run_of_tests_a_command_is_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE)
    handle = ServerHandle.begin("--version", folder=tmp_path, env={})
    assert handle.wait_for_line(lambda line: "tradesense" in line)
    assert handle.process.wait(60) == 0
    assert handle.stop() == 0
