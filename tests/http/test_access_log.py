"""Every request has its line in the access log, also when the server is told to stop at once."""

from __future__ import annotations

import json
import signal
import threading

import httpx2

from platform_process import serving

REQUESTS = 100


def test_no_line_is_lost_at_sigterm():
    with serving({"TRADESENSE_TELEMETRY__LOG_FORMAT": "json"}) as server:
        answered, barrier = [], threading.Barrier(4)

        def ask(number: int) -> None:
            with httpx2.Client(base_url=server.url, verify=False) as client:
                barrier.wait()
                for turn in range(REQUESTS // 4):
                    name = f"line-{number}-{turn}"
                    client.get("/api/v1/config", headers={"X-Request-Id": name})
                    answered.append(name)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        server.stop(how=signal.SIGTERM)
        logged = [json.loads(line) for line in server.output.splitlines() if '"event":"request"' in line]
    names = [line["correlation_id"] for line in logged]
    assert len(answered) == REQUESTS
    assert set(answered) <= set(names)
    assert len(names) == len(set(names))
    for number in range(4):
        mine = [name for name in names if name.startswith(f"line-{number}-")]
        assert mine == [f"line-{number}-{turn}" for turn in range(REQUESTS // 4)]
