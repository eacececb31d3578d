"""Lines of one turn go together and in order, and none is lost on the way out."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
import threading

import pytest

from tradesense.entrypoints.lines import ATOMIC, Lines

CRASH = """
import asyncio, multiprocessing
from tradesense.entrypoints.lines import Lines

async def work():
    lines = Lines()
    lines.__enter__()
    for number in range(100):
        lines.write(b"line %d" % number)
    raise SystemExit(3)

def child():
    asyncio.run(work())

if __name__ == "__main__":
    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    raise SystemExit(process.exitcode)
"""


@pytest.fixture
def ends():
    """Two ends of a socket on which every write is a message of its own: what is written to, and what is read."""
    write, read = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    read.settimeout(10)
    with write, read:
        yield write, read


async def turn():
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_the_lines_of_one_turn_are_written_together_and_in_order(ends):
    write, read = ends
    with Lines(write.fileno()) as lines:
        for number in range(5):
            lines.write(b"%d" % number)
        await turn()
        lines.write(b"next")
        await turn()
        assert [read.recv(8192), read.recv(8192)] == [b"0\n1\n2\n3\n4\n", b"next\n"]


async def test_no_write_is_longer_than_what_processes_may_write_to_one_pipe_at_once(ends):
    write, read = ends
    with Lines(write.fileno()) as lines:
        written = [b"%04d" % number + b"x" * 300 for number in range(40)] + [b"y" * 5000, b"z"]
        for line in written:
            lines.write(line)
        await turn()
        found = []
        while sum(part.count(b"\n") for part in found) < len(written):
            found.append(read.recv(8192))
    assert b"".join(found).split(b"\n")[:-1] == written
    assert all(part.endswith(b"\n") for part in found)
    assert sum(len(part) > ATOMIC for part in found) == 1, "a line that is too long goes alone"


async def test_before_it_is_entered_and_after_it_is_left_each_line_is_written_at_once(ends):
    write, read = ends
    lines = Lines(write.fileno())
    lines.write(b"before")
    with lines:
        lines.write(b"within")
    lines.write(b"after")
    assert [read.recv(99) for _ in range(3)] == [b"before\n", b"within\n", b"after\n"]


@pytest.fixture
def pipe():
    """What is written to, and a function that closes it and returns what has come."""
    read, write = os.pipe()
    found = []
    reader = threading.Thread(target=lambda: found.append(_all_of(read)))
    reader.start()

    def come():
        os.close(write)
        reader.join(30)
        return found[0]

    return write, come


def _all_of(descriptor):
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read()


async def test_what_is_logged_comes_after_the_lines_before_it(monkeypatch, pipe):
    write, come = pipe
    stream = os.fdopen(os.dup(write), "w", buffering=1)
    handler = logging.StreamHandler(stream)
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    with stream, Lines(write) as lines:
        lines.write(b"one")
        logging.getLogger("test").warning("two")
        lines.write(b"three")
        await asyncio.to_thread(logging.getLogger("test").warning, "four")
    assert handler.filters == []
    assert come() == b"one\ntwo\nthree\nfour\n"


async def test_threads_that_log_lose_no_line_and_double_none(pipe):
    write, come = pipe
    over = threading.Event()
    with Lines(write) as lines:
        others = [threading.Thread(target=_flush_until, args=(lines, over)) for _ in range(3)]
        for other in others:
            other.start()
        for number in range(5_000):
            lines.write(b"%d" % number)
            if number % 7 == 0:
                await asyncio.sleep(0)
        over.set()
        for other in others:
            other.join()
    assert [int(line) for line in come().splitlines()] == list(range(5_000))


def _flush_until(lines, over):
    while not over.is_set():
        lines.flush()


async def test_what_cannot_be_written_is_dropped():
    read, write = os.pipe()
    os.close(read)
    with Lines(write) as lines:
        lines.write(b"nobody reads")
        await turn()
        lines.write(b"nor this")
    os.close(write)


def test_a_process_that_gives_up_writes_what_it_had(tmp_path):
    program = tmp_path / "crash.py"
    program.write_text(CRASH)
    done = subprocess.run([sys.executable, program], capture_output=True, timeout=60, check=False)
    assert done.returncode == 3
    assert done.stderr.splitlines() == [b"line %d" % number for number in range(100)]
