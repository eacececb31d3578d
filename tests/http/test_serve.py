"""The server from its start to its end: ports, first administrator, drain, several processes, background work."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from types import SimpleNamespace
from urllib.parse import urlsplit

import psutil
import pytest
from msgspec.structs import replace
from talking import Talker, speak

from platform_process import serving as served
from servers import wait_until
from tradesense.adapters.memory.telemetry import MemoryErrorReporter
from tradesense.core.errors import BackplaneUnavailable, ConfigurationError
from tradesense.entrypoints.http.administrator import EMAIL, first_administrator
from tradesense.entrypoints.http.lifespan import background
from tradesense.entrypoints.http.processes import ServerProcesses
from tradesense.entrypoints.http.serve import PortTaken, addressed, free_port
from tradesense.entrypoints.worker import background as worker
from tradesense.settings.schema import Settings


def asked(server, path):
    with Talker(server.url) as talker:
        return talker.get(path)


def test_the_url_is_printed_when_the_server_answers_and_the_administrator_once(tmp_path):
    with served({}, folder=tmp_path) as server:
        assert asked(server, "/health/live").status_code == 200
        assert server.admin_email == EMAIL
        assert len(server.admin_password) >= 20
        assert server.output.count(server.admin_password) == 1
        assert server.stop() == 0
    with served({}, folder=tmp_path) as server:
        assert not server.admin_email
        assert "admin:" not in server.output


def test_elsewhere_than_in_development_nobody_is_made(tmp_path):
    with served({"ENVIRONMENT": "testing"}, folder=tmp_path) as server:
        assert "admin:" not in server.output


def test_a_port_in_use_is_one_line_and_exit_code_69(server, tradesense):
    port = str(urlsplit(server.url).port)
    done = tradesense("serve", "--port", port)
    assert done.code == 69
    assert len(done.err.strip().splitlines()) == 1
    assert port in done.err
    assert "--port 0" in done.err
    assert done.out == ""


def test_a_host_that_is_not_ours_is_one_line_and_exit_code_78(tradesense):
    done = tradesense("serve", "--host", "192.0.2.1", "--port", "0")
    assert done.code == 78
    assert len(done.err.strip().splitlines()) == 1


def test_a_database_that_cannot_be_made_ends_the_start_with_one_line(tradesense):
    done = tradesense("serve", "--port", "0", env={"DATABASE_URL": "sqlite:////proc/nothing/here.db"})
    assert done.code in {69, 78}
    assert "Traceback" not in done.err
    assert "url:" not in done.out


REDIS_AWAY = {"ENVIRONMENT": "testing", "TRADESENSE_CACHE__PROVIDER": "redis", "REDIS_URL": "redis://127.0.0.1:9/0"}


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_dependency_that_is_away_at_the_start_is_one_line_and_exit_code_69(tradesense, processes):
    done = tradesense("serve", "--port", "0", "--processes", processes, env=REDIS_AWAY)
    assert done.code == 69, done.err
    assert_one_line(done)


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_root_key_that_cannot_be_one_is_one_line_and_exit_code_78(tradesense, processes):
    env = {"TRADESENSE_SECRETS__LOCAL__ROOT_KEY": "short"}
    done = tradesense("serve", "--port", "0", "--processes", processes, env=env)
    assert done.code == 78, done.err
    assert "root_key" in done.err
    assert_one_line(done)


def assert_one_line(done):
    """One line about the error, beside warnings about the settings, and nothing of granian's."""
    (line,) = [line for line in done.err.splitlines() if not line.startswith("warning: ")]
    assert line.startswith("error: ")
    assert done.out == ""


def test_a_first_start_in_development_says_nothing_of_alembic(tmp_path):
    with served({"TRADESENSE_TELEMETRY__LOG_LEVEL": "debug"}, folder=tmp_path) as server:
        server.stop()
        assert (tmp_path / "var" / "tradesense.db").exists()
        assert "alembic" not in server.output
        assert "setup plugin" not in server.output


def test_sigterm_says_not_ready_first_and_exits_with_0(tmp_path):
    with served({"TRADESENSE_TELEMETRY__LOG_FORMAT": "json"}, folder=tmp_path) as server:
        seen = []
        with Talker(server.url) as talker:
            assert talker.get("/health/ready").status_code == 200
            server.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(OSError, Exception):  # at the end nobody listens any more
                while len(seen) < 100_000:
                    seen.append(talker.get("/health/ready").status_code)
        assert server.process.wait(15) == 0
    assert 503 in seen
    assert set(seen) <= {200, 503}
    assert sorted(seen) == seen, "once it is not ready it stays so"


def test_requests_that_are_being_answered_are_finished(tmp_path):
    """A login takes a tenth of a second: those that were taken before the signal are answered after it."""
    with served({"TRADESENSE_IDENTITY__POLICY__LOGIN_ATTEMPTS_PER_ADDRESS": "1000"}, folder=tmp_path) as server:
        statuses = []

        def log_in(number):
            body = {"email": f"x{number}@example.org", "password": "y", "mode": "token"}
            with Talker(server.url) as talker:
                statuses.append(talker.post("/api/v1/auth/login", json=body).status_code)

        threads = [threading.Thread(target=log_in, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(statuses) > 0, "the first answer")
        server.process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join(20)
        assert server.process.wait(20) == 0
    assert statuses == [401] * 8


def test_a_terminals_interrupt_ends_it_in_order(tmp_path):
    with served({}, folder=tmp_path) as server:
        os.killpg(server.process.pid, signal.SIGINT)
        assert server.process.wait(15) == 0
        assert "Traceback" not in server.output


def test_a_killed_server_leaves_no_process_and_no_port(tmp_path):
    with served({}, folder=tmp_path) as server:
        children = psutil.Process(server.process.pid).children(recursive=True)
        assert children
        server.process.kill()
        server.process.wait(10)
        psutil.wait_procs(children, timeout=10)
        assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
        port = urlsplit(server.url).port
        wait_until(lambda: _is_free(port), "the port")


def _is_free(port):
    try:
        return free_port("127.0.0.1", port) == port
    except PortTaken:
        return False


def test_two_processes_share_a_port_and_add_up_their_metrics(tmp_path):
    with served({}, "--processes", "2", folder=tmp_path) as server:
        assert len(psutil.Process(server.process.pid).children()) >= 2
        for _ in range(40):
            with Talker(server.url) as talker:
                assert talker.get("/health/startup").status_code == 200
        text = asked(server, "/metrics").text
        (line,) = [
            line
            for line in text.splitlines()
            if line.startswith("http_server_request_duration_seconds_count") and "/health/startup" in line
        ]
        assert float(line.split()[-1]) == 40
        assert server.output.count("admin:") == 1
        assert server.stop() == 0


def test_R15_logout_holds_in_every_process_within_a_second(tmp_path):
    with served({}, "--processes", "2", folder=tmp_path) as server:
        with Talker(server.url) as talker:
            body = {"email": server.admin_email, "password": server.admin_password, "mode": "token"}
            token = talker.post("/api/v1/auth/login", json=body).json()["access_token"]
        bearer = f"Authorization: Bearer {token}\r\n"

        def status(method="GET", path="/api/v1/auth/session"):
            host = urlsplit(server.url).netloc
            message = (
                f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n{bearer}Connection: close\r\n\r\n"
            )
            return speak(server.url, message.encode()).status

        assert {status() for _ in range(20)} == {200}
        assert status("POST", "/api/v1/auth/logout") == 204
        wait_until(lambda: status() == 401, "the end of the session", seconds=3)
        threading.Event().wait(1.0)  # what the promise allows: one second
        assert {status() for _ in range(50)} == {401}


def test_free_port_finds_one_and_refuses_one_that_is_taken():
    port = free_port("127.0.0.1", 0)
    assert port > 0
    with socket.create_server(("127.0.0.1", 0)) as listening, pytest.raises(PortTaken, match="is in use"):
        free_port("127.0.0.1", listening.getsockname()[1])
    with pytest.raises(ConfigurationError, match="cannot listen"):
        free_port("192.0.2.1", 0)


def test_the_address_of_the_server_is_that_of_the_settings():
    settings = addressed(Settings(), host="::1", port=1, processes=3, shared="/tmp/x")
    assert (settings.http.host, settings.http.port, settings.http.processes) == ("::1", 1, 3)
    assert settings.adapters["telemetry.prometheus"] == {"multiprocess_dir": "/tmp/x"}


async def test_of_two_processes_that_start_at_once_one_makes_the_administrator(services):
    services = dataclasses.replace(services, settings=replace(services.settings, environment="development"))
    made = await asyncio.gather(*(first_administrator(services) for _ in range(4)))
    assert len([one for one in made if one]) == 1
    assert await first_administrator(services) is None
    assert "password" not in repr(made).lower() or "*" in repr(made)


async def test_background_work_is_begun_again_when_a_dependency_ended_it(services, monkeypatch):
    monkeypatch.setattr(worker, "FIRST_PAUSE", 0.01)
    begun, often = [], asyncio.Event()

    class Cache:
        async def run(self):
            begun.append(1)
            if len(begun) == 3:
                often.set()
                await asyncio.Event().wait()
            raise BackplaneUnavailable

    async with background(dataclasses.replace(services, cache=Cache())):
        async with asyncio.timeout(10):
            await often.wait()
    assert len(begun) == 3
    assert not [task for task in asyncio.all_tasks() if task.get_name() in {"cache notices", "queued jobs"}]


async def test_background_work_is_begun_again_whatever_ended_it(services, monkeypatch, caplog):
    """A malformed message, a cancelled future and a clean return are all no reason to stop for ever."""
    monkeypatch.setattr(worker, "FIRST_PAUSE", 0.01)
    reporter = MemoryErrorReporter()
    ways = iter([KeyError("canary-7731"), asyncio.CancelledError(), None])
    often = asyncio.Event()

    class Cache:
        async def run(self):
            if (way := next(ways, often)) is often:
                often.set()
                await asyncio.Event().wait()
            if way is not None:
                raise way

    async with background(dataclasses.replace(services, cache=Cache(), errors=reporter)):
        async with asyncio.timeout(10):
            await often.wait()
    assert "background work cache notices was interrupted: KeyError" in caplog.text
    assert "canary" not in caplog.text
    assert [(told.error, told.context["work"]) for told in reporter.reported] == [("KeyError", "cache notices")]


async def test_leaving_raises_nothing_of_background_work(services, caplog):
    begun = asyncio.Event()

    class Cache:
        async def run(self):
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                raise OSError("while it was ended")

    async with background(dataclasses.replace(services, cache=Cache())):
        await begun.wait()
    assert "background work cache notices" in caplog.text


def test_help_does_not_import_the_server():
    code = "import sys, tradesense.entrypoints.http; assert not {'litestar', 'structlog', 'granian'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_killing_a_process_is_news_while_there_is_one():
    processes = ServerProcesses(lambda: None, host="127.0.0.1", port=0, processes=1, drain=0)
    record = logging.LogRecord("_granian", logging.WARNING, "", 0, "Killing worker-1 after it refused", (), None)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        processes._granian.wrks = [SimpleNamespace(inner=child)]
        assert processes._granian.unexplained(record)
        child.kill()
    assert not processes._granian.unexplained(record)
