"""The rows of the performance table that hold for this release: ours, the peer, their ratio, the bound, holds or not.

Run it with `make bench`. Every ratio is taken in one run, interleaved, as machines drift. HTTP is measured in the
server's own CPU time per request. The results are also written to `var/bench.json`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import mean, median
from timeit import timeit

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import cacheload  # noqa: E402  # after the path
import coordination  # noqa: E402  # after the path
import envelopes  # noqa: E402  # after the path
import flagload  # noqa: E402  # after the path
import identityrows  # noqa: E402  # after the path
import reads  # noqa: E402  # after the path
import secretgrowth  # noqa: E402  # after the path
from measuring import Row, Served, micros_per_request, session_headers  # noqa: E402  # after the path

import load  # noqa: E402  # after the path
import stampede  # noqa: E402  # after the path
from platform_process import command, serving  # noqa: E402  # after the path
from servers import OwnServer, Valkey, free_port, wait_until  # noqa: E402  # after the path

LAUNCHES = 3
"""Of both servers: where a process lies in memory makes it some percent quicker or slower for its whole life."""

STARTS = 15
COLD_STARTS = 5


class Sink(BaseHTTPRequestHandler):
    """Takes OTLP exports and forgets them."""

    def do_POST(self) -> None:  # the name that http.server asks for
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def sink() -> Iterator[str]:
    """An OTLP receiver; its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


@contextlib.contextmanager
def bare_server() -> Iterator[tuple[str, int]]:
    """The peer: a route with nothing around it; its address and process."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "bare.py", str(port)], cwd=HERE, stdout=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}/bare"
        wait_until(lambda: load.answers(url), "the bare server", seconds=30)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(10)


def http_row(id_: str, operation: str, env: dict[str, str], bound: float) -> Row:
    """A full request against a bare one."""
    launches: list[list[float]] = []
    for _ in range(LAUNCHES):
        with bare_server() as (bare_url, bare_pid), serving(env) as server:
            full = Served(f"{server.url}/api/v1/auth/session", session_headers(server), server.process.pid)
            launches.append(micros_per_request(full, Served(bare_url, {}, bare_pid)))
    ours, peer = (mean(side) for side in zip(*launches, strict=True))
    return Row(id_, operation, ours, peer, "us CPU/request", bound)


def p01() -> Row:
    """The full stack, one trace in a hundred recorded."""
    with sink() as endpoint:
        return http_row("P01", "route with the full stack", tracing(endpoint, "0.01"), 1.5)


def p02() -> Row:
    """The full stack, every span recorded."""
    with sink() as endpoint:
        return http_row("P02", "the same, every span recorded", tracing(endpoint, "1"), 2.0)


def tracing(endpoint: str, ratio: str) -> dict[str, str]:
    """Settings that record this part of the traces."""
    return {
        "TRADESENSE_TELEMETRY__TRACES": "otel",
        "TRADESENSE_TELEMETRY__SAMPLE_RATIO": ratio,
        "TRADESENSE_TELEMETRY__OTEL__ENDPOINT": endpoint,
    }


def p03() -> Row:
    """One flag over OFREP by bearer token, against a route that does nothing."""
    launches: list[list[float]] = []
    for _ in range(LAUNCHES):
        with bare_server() as (bare_url, bare_pid), serving({}) as server:
            url, headers = flagload.over_http(server)
            full = Served(url, headers, server.process.pid, body=flagload.QUESTION)
            launches.append(micros_per_request(full, Served(bare_url, {}, bare_pid)))
    ours, peer = (mean(side) for side in zip(*launches, strict=True))
    return Row("P03", "OFREP single evaluation", ours, peer, "us CPU/request", 0.5)


def p18() -> Row:
    """How a handler gets at a service: an attribute of a plain object, against a container's factory."""
    from dependency_injector import providers  # noqa: PLC0415  # the peer of this row alone

    class Service:
        """Something to resolve."""

    class Holder:
        """What handlers are given at the start."""

        __slots__ = ("service",)

        def __init__(self) -> None:
            self.service = Service()

    holder, factory, rounds = Holder(), providers.Factory(Service), 200_000
    ours = min(timeit(lambda: holder.service, number=rounds) for _ in range(5)) / rounds * 1e9
    peer = min(timeit(factory, number=rounds) for _ in range(5)) / rounds * 1e9
    return Row("P18", "service resolution per request", ours, peer, "ns", 300, absolute=True)


def child_cpu(words: list[str]) -> float:
    """CPU milliseconds of one command from start to end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) * 1e3


def p19() -> Row:
    """The command's help against an empty program."""
    ours, peer = [], []
    for _ in range(STARTS):
        ours.append(child_cpu([command(), "--help"]))
        peer.append(child_cpu([sys.executable, "-c", "pass"]))
    return Row("P19", "tradesense --help", median(ours), median(peer), "ms CPU", 5)


def p20() -> Row:
    """From the start of the process until it is ready, embedded default, schema in place."""
    samples = []
    for _ in range(COLD_STARTS):
        with serving({}) as server:
            samples.append(load.cpu_seconds(server.process.pid))
    return Row("P20", "start to ready, embedded default", median(samples), 1.0, "s CPU", 1.5, absolute=True)


def p08() -> Row:
    """A get of the second level, of 50 tasks that get at once: five times as quick as a GET."""
    ours, peer = coordination.measured(coordination.gets)
    return Row("P08", "L2 get, 50 tasks", ours, peer, "us/get", 1 / 5)


def p12() -> Row:
    """A check of a limit, of 50 tasks at once, against a GET."""
    ours, peer = coordination.measured(coordination.limits)
    return Row("P12", "limit check, 50 tasks", ours, peer, "us/check", 1 / 0.95)


def p12_pyrate() -> Row:
    """The same against pyrate-limiter: at least twice as quick."""
    ours, peer = coordination.measured(coordination.limits_beside_pyrate)
    return Row("P12b", "limit check to pyrate-limiter", ours, peer, "us/check", 1 / 2)


def p13() -> Row:
    """A lease taken and given back, of 50 tasks at once, against redis-py's lock."""
    ours, peer = coordination.measured(coordination.leases)
    return Row("P13", "lease acquire and release, 50 tasks", ours, peer, "us/lease", 1 / 1.4)


def p13_contended() -> Row:
    """How long a lease takes from one holder to the next who waits for it."""
    ours, peer = coordination.measured(coordination.hand_overs)
    return Row("P13", "contended hand-over", ours, peer, "us/hand-over", 1 / 10)


def p06() -> Row:
    """A hit in the first level, with every option on, against the memory of cashews."""
    ours, cashews, _ = asyncio.run(cacheload.hits())
    return Row("P06", "L1 hit, 1 KiB, to cashews", ours, cashews, "us", 1 / 15)


def p06b() -> Row:
    """The same against a plain table with time to live."""
    ours, _, cachetools = asyncio.run(cacheload.hits())
    return Row("P06b", "L1 hit, 1 KiB, to cachetools", ours, cachetools, "us", 2)


def p07() -> Row:
    """A decorated function whose result is kept."""
    ours, cashews = asyncio.run(cacheload.decorated())
    return Row("P07", "@cached hit", ours, cashews, "us", 1 / 30)


def p09() -> Row:
    """1,000 callers of one cold key in one process; more than one run of the loader is a failure."""
    calls, seconds = asyncio.run(cacheload.one_process(1_000, stampede.LOADER_SECONDS))
    return Row("P09", "stampede, 1 process", seconds * 1e3 * calls, stampede.LOADER_SECONDS * 1e3, "ms", 1.4)


def p09b() -> Row:
    """The same over four processes and a real server; the best of five, as four processes share the machine."""
    with tempfile.TemporaryDirectory() as folder:
        server = OwnServer(Valkey, Path(folder))
        try:
            found = [
                stampede.stampede(server.server.url(), f"p09-{number}", processes=4, callers=250) for number in range(5)
            ]
        finally:
            server.kill()
    exact = all((one.calls, one.answers, one.errors) == (1, 1_000, 0) for one in found)
    seconds = min(one.seconds for one in found) if exact else float("inf")
    return Row("P09b", "stampede, 4 processes", seconds * 1e3, stampede.LOADER_SECONDS * 1e3, "ms", 2)


def p10() -> Row:
    """What an LRU of the same size answers, against what the first level does."""
    ours, least_recently_read, _ = asyncio.run(cacheload.hit_rates())
    return Row("P10", "hits of an LRU to ours, Zipf 1.0", least_recently_read * 100, ours * 100, "% hits", 1 / 1.05)


def p10b() -> Row:
    """What neither level answers of the same load."""
    _, _, both = asyncio.run(cacheload.hit_rates())
    return Row("P10b", "misses of both levels, Zipf 1.0", (1 - both) * 100, 1.0, "% misses", 15, absolute=True)


def p14() -> Row:
    """An envelope that was opened a moment ago, of a kibibyte, against Fernet."""
    ours, peer = envelopes.opened(remembered=True)
    return Row("P14", "envelope decrypt, data key cached", ours, peer, "us CPU", 1 / 9)


def p14_first() -> Row:
    """The same for the first time, with the unwrapping of its data key."""
    ours, peer = envelopes.opened(remembered=False)
    return Row("P14b", "envelope decrypt, data key not cached", ours, peer, "us CPU", 1 / 4)


def p16_session() -> Row:
    """A session of PostgreSQL by its token, 60 callers, against asyncpg's pool."""
    ours, peer = reads.measured("session")
    return Row("P16", "session by key, 60 callers", ours, peer, "us/read", 1 / 0.8)


def p16_flag() -> Row:
    """A flag by its key."""
    ours, peer = reads.measured("flag")
    return Row("P16b", "flag by key, 60 callers", ours, peer, "us/read", 1 / 0.8)


def p16_secret() -> Row:
    """A secret by its path, opened."""
    ours, peer = reads.measured("secret")
    return Row("P16c", "secret by key, 60 callers", ours, peer, "us/read", 1 / 0.8)


ROWS: tuple[Callable[[], Row | list[Row]], ...] = (
    *identityrows.ROWS,
    p01,
    p02,
    p03,
    *flagload.ROWS,
    p06,
    p06b,
    p07,
    p08,
    p09,
    p09b,
    p10,
    p10b,
    p12,
    p12_pyrate,
    p13,
    p13_contended,
    p14,
    p14_first,
    p16_session,
    p16_flag,
    p16_secret,
    *secretgrowth.ROWS,
    p18,
    p19,
    p20,
)


def main() -> int:
    """Measure every row, print the table, write the JSON."""
    wanted = set(sys.argv[1:])
    rows: list[Row] = []
    broken: list[str] = []
    for make in ROWS:
        if wanted and make.__name__.upper().partition("_")[0] not in wanted:
            continue
        try:
            made = make()
            rows += made if isinstance(made, list) else [made]
        except Exception as error:  # noqa: BLE001  # one row that cannot be measured must not hide the others
            broken.append(f"{make.__name__}: {type(error).__qualname__}: {error}")
    line = "{:<4} {:<36} {:>12} {:>12} {:<15} {:>7} {:>6}  {}"
    print(line.format("row", "operation", "ours", "peer", "unit", "ratio", "bound", "holds"))  # noqa: T201  # the table
    for row in rows:
        ratio = "" if row.absolute else f"{row.ratio:.2f}"
        peer = f"{row.peer:.2f}" if not row.absolute or row.id == "P18" else ""
        holds = "yes" if row.holds else "NO"
        print(line.format(row.id, row.operation, f"{row.ours:.2f}", peer, row.unit, ratio, round(row.bound, 2), holds))  # noqa: T201  # the table
    out = Path("var/bench.json")
    out.parent.mkdir(exist_ok=True)
    cores = os.cpu_count()
    found = [asdict(row) | {"ratio": row.ratio, "holds": row.holds, "cores": cores} for row in rows]
    out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    over = [f"{row.id} ({row.operation}): {row.ratio:.2f}, bound {row.bound:.2f}" for row in rows if not row.holds]
    if over:
        sys.stderr.write("over their bound:\n" + "".join(f"  {row}\n" for row in over))
    if broken:
        sys.stderr.write("not measured:\n" + "".join(f"  {row}\n" for row in broken))
    return 1 if over or broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
