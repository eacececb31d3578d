"""The process that owns the test servers of one run.

The pytest controller starts it with a pipe as its standard input and never writes to it. Workers ask it, over a Unix
socket, to start a command; it holds every child's handle, and ends all of them as soon as the pipe closes: at the end
of the run, and just as well when the controller is interrupted, crashes or is killed.

Protocol: one JSON object a connection, with `argv`, `cwd`, `log`, `user`, `env` and `signal` (what ends it); the answer
is `{"pid": ...}` or `{"error": ...}`. `{"pid": ...}` alone asks whether that child still runs; the answer is
`{"exit": null or code}`.
"""

from __future__ import annotations

import json
import selectors
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

STOP_SECONDS = 10.0


class Keeper:
    """The children, and what ends each of them politely."""

    def __init__(self) -> None:
        self._children: dict[int, tuple[subprocess.Popen[bytes], int]] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if "argv" not in request:
            child = self._children.get(request["pid"])
            return {"exit": child[0].poll() if child else -1}
        try:
            with Path(request["log"]).open("ab") as log:
                process = subprocess.Popen(
                    request["argv"],
                    cwd=request["cwd"],
                    user=request["user"],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=request["env"],
                )
        except (OSError, ValueError) as error:
            return {"error": f"{request['argv'][0]}: {error}"}
        self._children[process.pid] = (process, request["signal"])
        return {"pid": process.pid}

    def stop(self) -> None:
        for process, signal in self._children.values():
            process.send_signal(signal)
        for process, _ in self._children.values():
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def main(folder: Path) -> None:
    keeper = Keeper()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "keeper"))
    listener.listen(16)
    print("ready", flush=True)  # noqa: T201  # the controller waits for this line
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            selector.register(sys.stdin, selectors.EVENT_READ)
            while all(key.fileobj is not sys.stdin for key, _ in selector.select()):
                connection, _ = listener.accept()
                with connection, connection.makefile("rw") as stream:
                    if line := stream.readline():
                        stream.write(json.dumps(keeper.answer(json.loads(line))) + "\n")
                        stream.flush()
    finally:
        keeper.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
