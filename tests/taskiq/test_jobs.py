from __future__ import annotations

import asyncio
import signal
import sys
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from taskiq.message import TaskiqMessage

from tradesense.adapters.taskiq import tradesense_adapters
from tradesense.adapters.taskiq._streams import Envelope
from tradesense.adapters.taskiq._worker import LOST, TASK
from tradesense.adapters.taskiq.jobs import JobsHealth, TaskiqJobs
from tradesense.adapters.taskiq.settings import TaskiqSettings
from tradesense.core.errors import AdapterClosed, ConfigurationError, InvalidInput, JobQueueUnavailable
from tradesense.core.jobs.models import Job
from tradesense.core.sensitive import Secret
from tradesense.core.telemetry.models import Status
from tradesense.core.testing import eventually

New = Callable[..., TaskiqJobs]


@asynccontextmanager
async def working(queue: TaskiqJobs, handle: Callable[[Job], Awaitable[None]]) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(queue.work(handle))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()


def job(number: int = 0, **more: Any) -> Job:
    return Job(id=f"job-{number}", name="test", payload={"number": number, "text": "Zürich ☃"}, **more)


async def empty(queue: TaskiqJobs) -> None:
    async def nothing_waits() -> bool:
        return await queue.depth() == 0

    await eventually(nothing_waits, seconds=10)


async def test_jobs_are_done_several_at_once_and_leave_nothing_behind(new: New, unique_prefix: str) -> None:
    done: list[Job] = []
    together = asyncio.Barrier(4)

    async def handle(given: Job) -> None:
        await together.wait()
        done.append(given)

    async with new(job_concurrency=4) as queue:
        jobs = [job(number, traceparent=f"00-{number:032x}-{number:016x}-01") for number in range(1, 41)]
        for one in jobs:
            assert await queue.enqueue(one)
        assert await queue.depth() == 40
        async with working(queue, handle):
            await empty(queue)
        assert sorted(done, key=lambda one: one.payload["number"]) == jobs
        assert await queue._redis.xlen(f"{unique_prefix}:jobs") == 0
        assert await queue._redis.xinfo_consumers(f"{unique_prefix}:jobs", "workers") == []


async def test_a_failing_job_is_tried_five_times_with_growing_pauses_and_then_is_dead(new: New) -> None:
    now = asyncio.get_running_loop().time
    times: list[float] = []

    async def handle(_: Job) -> None:
        times.append(now())
        raise RuntimeError("canary-text")

    async with new(job_retry_seconds=0.1) as queue:
        await queue.enqueue(job(1))
        async with working(queue, handle):
            await empty(queue)
        (dead,) = await queue.dead()
    assert len(times) == 5
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert all(pause >= least for pause, least in zip(pauses, (0.1, 0.2, 0.4, 0.8), strict=True))
    assert (dead.job, dead.error) == (job(1), "RuntimeError")


async def test_a_handler_that_ends_by_cancellation_itself_has_failed(new: New) -> None:
    async def handle(_: Job) -> None:
        raise asyncio.CancelledError

    async with new() as queue:
        await queue.enqueue(job(1))
        async with working(queue, handle):
            await empty(queue)
        assert [dead.error for dead in await queue.dead()] == ["CancelledError"]


async def test_the_last_thousand_dead_jobs_are_kept(new: New) -> None:
    async def handle(_: Job) -> None:
        raise KeyError

    async with new(job_retry_seconds=0.001, job_concurrency=64) as queue:
        for number in range(1010):
            await queue._broker.streams.offer(_envelope(queue, job(number), failures=4), "")
        async with working(queue, handle):
            await empty(queue)
        assert len(await queue.dead()) == 1000


def _envelope(queue: TaskiqJobs, given: Job, *, failures: int) -> Any:
    task = f"task-{given.id}"
    row = msgspec.json.encode(given).decode()
    message = TaskiqMessage(task_id=task, task_name=TASK, labels={}, args=[task, row], kwargs={})
    return Envelope(task, failures, queue._broker.formatter.dumps(message).message)


async def test_a_key_is_taken_once_over_all_processes(new: New) -> None:
    async with new() as one, new() as two:
        taken = await asyncio.gather(*((one, two)[n % 2].enqueue(job(n, key="welcome:1")) for n in range(40)))
        assert sorted(taken) == [False] * 39 + [True]
        assert await one.enqueue(job(1)) is True
        assert await one.enqueue(job(1)) is True, "without a key each is unlike any other"
        assert await two.depth() == 3


async def test_stopped_work_ends_within_its_grace_and_what_does_not_is_done_by_another_at_once(new: New) -> None:
    begun, ended = asyncio.Event(), []

    async def quick(given: Job) -> None:
        begun.set()
        await asyncio.sleep(0.2)
        ended.append(given.id)

    async with new() as queue:
        await queue.enqueue(job(1))
        async with working(queue, quick):
            await begun.wait()
        assert ended == ["job-1"]
        assert await queue.depth() == 0

    started = asyncio.Event()

    async def stuck(_: Job) -> None:
        started.set()
        await asyncio.Event().wait()

    async def record(given: Job) -> None:
        ended.append(given.id)

    async with new(job_grace_seconds=0.05, job_concurrency=2) as queue, new() as other:
        for number in (2, 3, 4):
            await queue.enqueue(job(number))
        async with working(queue, stuck):
            await started.wait()
        assert await queue.depth() == 3
        async with working(other, record):
            await empty(other)
        assert sorted(ended) == ["job-1", "job-2", "job-3", "job-4"]
        assert await other.dead() == ()


async def test_a_long_job_is_not_taken_over(new: New) -> None:
    begun: list[str] = []
    release = asyncio.Event()

    async def handle(given: Job) -> None:
        begun.append(given.id)
        await release.wait()

    async with new(job_idle_seconds=0.6) as one, new(job_idle_seconds=0.6) as two:
        await one.enqueue(job(1))
        async with working(one, handle), working(two, handle):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(2):
                    await asyncio.Event().wait()
            release.set()
            await empty(one)
    assert begun == ["job-1"]


async def test_a_killed_worker_s_job_is_done_by_another(new: New, valkey_url: str, unique_prefix: str) -> None:
    program = textwrap.dedent("""
        import asyncio, sys
        from tradesense.adapters.system.ambient import SystemClock, SystemRandom, Uuid7Ids
        from tradesense.adapters.taskiq.jobs import TaskiqJobs
        from tradesense.adapters.taskiq.settings import TaskiqSettings
        from tradesense.core.sensitive import Secret

        async def handle(job):
            print("begun", flush=True)
            await asyncio.Event().wait()

        async def main():
            settings = TaskiqSettings(url=Secret(sys.argv[1]), prefix=sys.argv[2], timeout=5, job_idle_seconds=0.5)
            async with TaskiqJobs(settings, clock=SystemClock(), ids=Uuid7Ids(SystemClock(), SystemRandom())) as queue:
                await queue.work(handle)

        asyncio.run(main())
    """)
    done = asyncio.Event()

    async def handle(_: Job) -> None:
        done.set()

    async with new(job_idle_seconds=0.5) as queue:
        await queue.enqueue(job(1))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, valkey_url, f"{unique_prefix}:", stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"begun\n"
        process.send_signal(signal.SIGKILL)
        await process.wait()
        assert await queue.depth() == 1
        async with working(queue, handle), asyncio.timeout(5):
            await done.wait()
            await empty(queue)


async def test_a_job_that_kills_its_workers_is_dead_in_the_end(new: New) -> None:
    called: list[str] = []

    async def handle(given: Job) -> None:
        called.append(given.id)

    async with new(job_idle_seconds=0.05) as queue:
        await queue.enqueue(job(1))
        broker = queue._new_broker()
        await broker._declare_consumer_group()
        deliveries = await broker._read(1, 0.01)
        while deliveries[0].envelope.failures < 5:

            async def taken_over() -> list[Any]:
                return (await broker.streams.gather(queue._ids.new(), 50, 1))[0]

            deliveries = await eventually(taken_over, seconds=5)
        await broker.shutdown()
        async with working(queue, handle):
            await empty(queue)
        assert [(dead.job, dead.error) for dead in await queue.dead()] == [(job(1), LOST)]
    assert called == []


async def test_what_cannot_be_read_is_dropped_and_does_not_hold_up_the_rest(
    new: New,
) -> None:
    done = asyncio.Event()

    async def handle(_: Job) -> None:
        done.set()

    async with new() as queue:
        good = _envelope(queue, job(1), failures=0)
        streams = queue._broker.streams
        other = _envelope(queue, job(2), failures=0)
        for number, data in enumerate(
            (
                b"\x00 not a message",
                other.data.replace(b"tradesense.job", b"tradesense.else"),
                other.data.replace(b'\\"id\\"', b'\\"xx\\"'),
            )
        ):
            task = other.task if number == 2 else f"bad-{number}"
            await streams.offer(Envelope(task, 0, data), "")
        await queue._redis.xadd(streams.stream, {"e": b"\xff"})
        await queue._redis.xadd(streams.stream, {"other": b"\xff"})
        await streams.offer(good, "")
        async with working(queue, handle), asyncio.timeout(10):
            await done.wait()
            await empty(queue)


async def test_a_worker_goes_on_when_the_server_is_back_and_has_lost_its_memory(
    own_valkey: Any, new: New, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[str] = []

    async def handle(given: Job) -> None:
        done.append(given.id)

    async def second_is_done() -> bool:
        return "job-2" in done

    async with new(own_valkey.server.url()) as queue, working(queue, handle):
        await queue.enqueue(job(1))
        await empty(queue)
        own_valkey.kill()

        async def noticed() -> bool:
            return "no jobs from redis" in caplog.text

        await eventually(noticed, seconds=5)
        with pytest.raises(JobQueueUnavailable, match="cannot be reached"):
            await queue.enqueue(job(2))
        assert (await JobsHealth(queue).check()).status is Status.DOWN
        own_valkey.start()
        assert await queue.enqueue(job(2))
        await eventually(second_is_done, seconds=5)
        assert (await JobsHealth(queue).check()).status is Status.UP
        own_valkey.server.command("FLUSHALL")
        await queue.enqueue(job(3))
        await empty(queue)
    assert done == ["job-1", "job-2", "job-3"]


async def test_a_server_that_hangs_is_unavailable_in_time(
    valkey: Any, new: New, fault_proxy: Callable[..., Any]
) -> None:
    async with (
        fault_proxy(valkey.host, valkey.port) as proxy,
        new(f"redis://{proxy.host}:{proxy.port}/0", timeout=0.3) as queue,
    ):
        proxy.black_hole = True
        async with asyncio.timeout(3):
            for call in (queue.enqueue(job(1)), queue.depth(), queue.dead()):
                with pytest.raises(JobQueueUnavailable, match="did not answer in time"):
                    await call
        proxy.black_hole = False


async def test_a_payload_that_is_no_json_is_refused(new: New) -> None:
    async with new() as queue:
        with pytest.raises(InvalidInput):
            await queue.enqueue(Job(id="1", name="test", payload={"x": object()}))


async def test_an_absent_server_is_one_clear_line_without_the_password(new: New) -> None:
    with pytest.raises(JobQueueUnavailable) as caught:
        async with new("redis://:hunter2@127.0.0.1:1/0"):
            pass
    assert caught.value.line() == (
        "redis at 127.0.0.1:1 cannot be reached (from redis.url); start the server, or correct REDIS_URL"
    )
    with pytest.raises(ConfigurationError) as wrong:
        new("redis://:hunter2/x@127.0.0.1:1/0")
    assert "hunter2" not in wrong.value.line() + repr(caught.value.__cause__)


async def test_a_closed_queue_says_so(new: New) -> None:
    async def handle(_: Job) -> None: ...

    queue = new()
    for _ in range(2):
        for call in (queue.enqueue(job(1)), queue.depth(), queue.dead(), queue.work(handle)):
            with pytest.raises(AdapterClosed):
                await call
        async with queue:
            pass


def test_the_manifest_shares_the_section_of_the_server() -> None:
    (adapter,) = tradesense_adapters()
    assert (adapter.name, adapter.settings_section, adapter.settings) == ("taskiq", "redis", TaskiqSettings)
    assert "hunter2" not in repr(TaskiqSettings(url=Secret("redis://:hunter2@127.0.0.1")))
