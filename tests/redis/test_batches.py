"""What many tasks ask at one time goes to the server together, and none of them harms the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tradesense.adapters.redis._batches import CARRIERS, Batches
from tradesense.adapters.redis._limiter import RedisLimiter
from tradesense.adapters.redis._locks import RedisLocks
from tradesense.adapters.redis.cache import RedisCache
from tradesense.core.cache.models import Limit
from tradesense.core.errors import AdapterClosed, CacheUnavailable


class Server:
    """Answers ten times what it is asked, when it may."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.may = asyncio.Event()
        self.may.set()
        self.error: Exception | None = None

    async def answer(self, questions: list[int]) -> list[int]:
        self.batches.append(questions)
        await self.may.wait()
        if self.error is not None:
            raise self.error
        return [question * 10 for question in questions]


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def batches(server: Server) -> Batches[int, int]:
    return Batches(server.answer, most=8, patience=60)


async def ask(batches: Batches[int, int], question: int) -> int:
    return await batches.ask(question).answer


async def test_the_questions_of_one_turn_are_one_batch(server: Server, batches: Batches[int, int]) -> None:
    assert await asyncio.gather(*(ask(batches, number) for number in range(8))) == [n * 10 for n in range(8)]
    assert server.batches == [list(range(8))]
    assert await ask(batches, 9) == 90


async def test_a_batch_is_bounded_and_everyone_is_answered(server: Server, batches: Batches[int, int]) -> None:
    assert await asyncio.gather(*(ask(batches, number) for number in range(50))) == [n * 10 for n in range(50)]
    assert max(map(len, server.batches)) == 8


async def test_what_is_asked_while_all_carriers_are_out_goes_together(
    server: Server, batches: Batches[int, int]
) -> None:
    server.may.clear()
    asked = []
    for number in range(CARRIERS + 5):
        asked.append(asyncio.create_task(ask(batches, number)))
        for _ in range(5):
            await asyncio.sleep(0)
    assert [len(batch) for batch in server.batches] == [1] * CARRIERS
    server.may.set()
    await asyncio.gather(*asked)
    assert [len(batch) for batch in server.batches[CARRIERS:]] == [5]


@pytest.mark.parametrize("turns", range(6))
async def test_a_cancelled_caller_takes_nobody_along(batches: Batches[int, int], turns: int) -> None:
    tasks = [asyncio.create_task(ask(batches, number)) for number in range(6)]
    for _ in range(turns):
        await asyncio.sleep(0)
    tasks[2].cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [a for n, a in enumerate(answers) if n != 2] == [0, 10, 30, 40, 50]


async def test_who_asks_again_after_a_cancelled_wait_has_the_answer(server: Server, batches: Batches[int, int]) -> None:
    server.may.clear()
    early, late = batches.ask(1), batches.ask(2)
    await asyncio.sleep(0.01)
    assert early.sent
    early.answer.cancel()
    late.answer.cancel()
    first = early.again()
    server.may.set()
    assert await first == 10
    assert await late.again() == 20


async def test_an_error_is_for_those_of_its_batch_alone(server: Server, batches: Batches[int, int]) -> None:
    server.error = CacheUnavailable("away")
    failed = await asyncio.gather(*(ask(batches, number) for number in range(3)), return_exceptions=True)
    assert [type(error) for error in failed] == [CacheUnavailable] * 3
    assert len({id(error) for error in failed}) == 3
    server.error = None
    assert await ask(batches, 4) == 40


async def test_who_has_waited_too_long_meanwhile_is_refused_with_them(server: Server) -> None:
    batches = Batches(server.answer, most=1, patience=0)
    server.error = CacheUnavailable("away")
    failed = await asyncio.gather(*(ask(batches, number) for number in range(20)), return_exceptions=True)
    assert {type(error) for error in failed} == {CacheUnavailable}
    assert len(server.batches) <= CARRIERS


async def test_closing_refuses_what_waits_and_waits_for_what_is_out(server: Server, batches: Batches[int, int]) -> None:
    server.may.clear()
    out = [asyncio.create_task(ask(batches, number)) for number in range(8 * CARRIERS)]
    await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)
    waiting = asyncio.create_task(ask(batches, 99))
    await asyncio.sleep(0)
    closing = asyncio.create_task(batches.aclose())
    with pytest.raises(AdapterClosed):
        await waiting
    assert not closing.done()
    server.may.set()
    await closing
    done = await asyncio.gather(*out, return_exceptions=True)
    assert done[0] == 0
    assert all(isinstance(answer, (int, AdapterClosed)) for answer in done)


async def calls(clients: Any, command: str) -> int:
    stats = (await clients.commands.info("commandstats")).get(f"cmdstat_{command}", {"calls": 0})
    return int(stats["calls"])


async def test_gets_limits_and_leases_of_one_turn_are_one_command_each(
    connect: Callable[..., Any], own_valkey: Any, random: Any
) -> None:
    clients = await connect(own_valkey.server.url())
    limit = Limit(name="l", count=5, period=60)
    async with RedisCache(clients) as store, RedisLimiter(clients) as limiter, RedisLocks(clients, random) as locks:
        await store.set_many({f"{n}": b"%d" % n for n in range(60)}, 60)
        found = await asyncio.gather(*(store.get(f"{n}") for n in range(61)))
        assert found == [*(b"%d" % n for n in range(60)), None]
        assert await calls(clients, "mget") == 1
        for _ in range(2):  # the first time the server is told the source
            verdicts = await asyncio.gather(*(limiter.hit("k", limit) for _ in range(30)))
        assert sum(verdict.allowed for verdict in verdicts) == 0
        assert await calls(clients, "evalsha") == 2
        leases = await asyncio.gather(*(locks.acquire(f"{n}", 60) for n in range(30)))
        assert all(leases)
        assert await asyncio.gather(*(locks.release(lease) for lease in leases if lease)) == [True] * 30
        assert await calls(clients, "evalsha") == 4
