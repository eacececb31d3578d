"""A holder that was paused for longer than its lease lasts cannot undo what its successor has written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from fencing_holder import Holder
from sqldatabases import postgresql_database

HERE = Path(__file__).parent
TTL = 0.25


class Paused:
    """The other process."""

    def __init__(self, process):
        self.process = process

    def send(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def told(self):
        return self.process.stdout.readline().strip()

    def does(self, line):
        self.send(line)
        return self.told()


@contextmanager
def other_process(*words):
    path = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, str(HERE.parent / "fencing_holder.py"), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    )
    with process:
        try:
            other = Paused(process)
            assert other.told() == "ready"
            yield other
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()


@pytest.fixture
def database_url(postgres):
    with postgresql_database(postgres) as url:
        yield url


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("provider", ["redis", "sql"])
async def test_F08_a_stale_holders_write_is_refused_by_the_database(
    provider, valkey_url, postgres, database_url, soaking
):
    def sql(statement):
        return postgres.execute(statement, database=database_url.rpartition("/")[2])

    sql("CREATE TABLE effects (name text PRIMARY KEY, value text, token bigint)")
    sql("INSERT INTO effects (name) VALUES ('job0'), ('job1'), ('job2')")
    words = (provider, valkey_url, database_url)
    with other_process(*words) as first:
        async with Holder(*words) as second:
            for number in range(200 if soaking else 4):
                name = f"job{number % 3}"
                token = int(first.does(f"acquire {name} {TTL}"))
                if number % 2:
                    assert first.does(f"write {number}-first") == "written"
                first.process.send_signal(signal.SIGSTOP)
                later = int(await second.acquire(name, 60, wait=10))
                assert later > token
                assert await second.write(f"{number}-second") == "written"
                first.process.send_signal(signal.SIGCONT)
                assert first.does(f"write {number}-stale") == "refused"
                assert first.does("release") == "False"
                assert sql(f"SELECT value, token FROM effects WHERE name = '{name}'") == f"{number}-second|{later}"
                assert first.does(f"acquire {name} {TTL}") == "none", "the successor's lease was deleted"
                assert await second.write(f"{number}-again") == "written"
                assert await second.release() == "True"
