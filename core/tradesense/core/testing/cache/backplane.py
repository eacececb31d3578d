"""The contract of ``Backplane``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tradesense.core.cache.ports import Backplane
from tradesense.core.capabilities import Capability
from tradesense.core.errors import BackplaneUnavailable
from tradesense.core.testing.base import Contract, Make, fresh, opened, requires, together
from tradesense.core.testing.checks import Calls, interrupt, refuse_when_closed, refuse_when_unreachable


async def _enter(backplane: Backplane) -> None:
    async with backplane.subscribe("a"):
        pass


CALLS: Calls = {"publish": lambda backplane: backplane.publish("a", b"x"), "subscribe": _enter}


class BackplaneContract(Contract):
    """What every :class:`Backplane` must do."""

    port = Backplane

    @pytest.fixture
    def unreachable(self) -> Make[Backplane] | None:
        """Override this where there is a server: like ``adapter``, with nothing answering at the other end."""
        return None

    async def test_every_subscriber_receives_every_message(self, adapter: Make[Backplane]) -> None:
        async with opened(adapter()) as backplane, AsyncExitStack() as stack:
            topic = fresh()
            listeners = [await stack.enter_async_context(backplane.subscribe(topic)) for _ in range(3)]
            for payload in (b"one", b"two"):
                await backplane.publish(topic, payload)
            for messages in listeners:
                assert await self._receive(messages, 2) == [b"one", b"two"]

    async def test_messages_come_in_the_order_in_which_they_were_published(self, adapter: Make[Backplane]) -> None:
        async with opened(adapter()) as backplane:
            topic = fresh()
            async with backplane.subscribe(topic) as messages:
                sent = [f"{number}".encode() for number in range(300)]
                for payload in sent:
                    await backplane.publish(topic, payload)
                assert await self._receive(messages, len(sent)) == sent

    async def test_messages_of_many_publishers_all_arrive(self, adapter: Make[Backplane]) -> None:
        async with opened(adapter()) as backplane:
            topic = fresh()
            async with backplane.subscribe(topic) as messages:
                await together(100, lambda number: backplane.publish(topic, f"{number}".encode()))
                received = await self._receive(messages, 100)
            assert sorted(received) == sorted(f"{number}".encode() for number in range(100))

    @pytest.mark.parametrize("payload", [b"", bytes(range(256)), b"x" * 1_048_576], ids=["empty", "all bytes", "1 MiB"])
    async def test_any_bytes_arrive_unchanged(self, adapter: Make[Backplane], payload: bytes) -> None:
        async with opened(adapter()) as backplane:
            topic = fresh("tópic 漢字 *")
            async with backplane.subscribe(topic) as messages:
                await backplane.publish(topic, payload)
                assert await self._receive(messages, 1) == [payload]

    async def test_other_topics_are_not_heard(self, adapter: Make[Backplane]) -> None:
        async with opened(adapter()) as backplane:
            topic = fresh()
            async with backplane.subscribe(topic) as messages, backplane.subscribe(f"{topic}*") as wild:
                for other in (f"{topic}x", topic[:-1], topic.upper(), fresh()):
                    await backplane.publish(other, b"for others")
                await backplane.publish(topic, b"for me")
                await backplane.publish(f"{topic}*", b"for the star")
                assert await self._receive(messages, 1) == [b"for me"]
                assert await self._receive(wild, 1) == [b"for the star"]

    async def test_what_was_said_before_is_missed(self, adapter: Make[Backplane]) -> None:
        async with opened(adapter()) as backplane:
            topic = fresh()
            await backplane.publish(topic, b"before")
            async with backplane.subscribe(topic) as messages:
                await backplane.publish(topic, b"after")
                assert await self._receive(messages, 1) == [b"after"]
            await backplane.publish(topic, b"between")
            async with backplane.subscribe(topic) as messages:
                await backplane.publish(topic, b"again")
                assert await self._receive(messages, 1) == [b"again"]

    async def test_one_who_leaves_does_not_disturb_the_others(self, adapter: Make[Backplane]) -> None:
        async with opened(adapter()) as backplane:
            topic = fresh()
            async with backplane.subscribe(topic) as stays:
                async with backplane.subscribe(topic) as leaves:
                    await backplane.publish(topic, b"one")
                    assert await self._receive(leaves, 1) == [b"one"]
                await backplane.publish(topic, b"two")
                assert await self._receive(stays, 2) == [b"one", b"two"]

    async def test_one_who_does_not_read_holds_up_nobody(self, adapter: Make[Backplane]) -> None:
        async with opened(adapter()) as backplane:
            topic = fresh()
            async with backplane.subscribe(topic), backplane.subscribe(topic) as reads:
                async with asyncio.timeout(self.patience):
                    for number in range(1000):
                        await backplane.publish(topic, f"{number}".encode())
                assert (await self._receive(reads, 1000))[-1] == b"999"

    async def test_a_cancelled_listener_leaves_it_usable(self, adapter: Make[Backplane]) -> None:
        async with opened(adapter()) as backplane:
            topic = fresh()

            async def listen() -> None:
                async with backplane.subscribe(topic) as messages:
                    async for _ in messages:
                        pass

            await interrupt(listen)
            await interrupt(lambda: backplane.publish(topic, b"cancelled"))
            topic = fresh()
            async with backplane.subscribe(topic) as messages:
                await backplane.publish(topic, b"done")
                assert await self._receive(messages, 1) == [b"done"]

    async def test_a_closed_backplane_says_so(self, adapter: Make[Any]) -> None:
        await refuse_when_closed(adapter(), CALLS)

    async def test_an_unreachable_backplane_is_unavailable(self, unreachable: Make[Any] | None) -> None:
        await refuse_when_unreachable(unreachable, BackplaneUnavailable, CALLS)

    @requires(Capability.SHARED)
    async def test_two_adapters_hear_each_other(self, adapter: Make[Backplane]) -> None:
        async with opened(adapter()) as one, opened(adapter()) as two:
            topic = fresh()
            async with one.subscribe(topic) as at_one, two.subscribe(topic) as at_two:
                await one.publish(topic, b"by one")
                assert await self._receive(at_two, 1) == [b"by one"]
                await two.publish(topic, b"by two")
                assert await self._receive(at_one, 2) == [b"by one", b"by two"]

    async def _receive(self, messages: AsyncIterator[bytes], count: int) -> list[bytes]:
        async with asyncio.timeout(self.patience):
            return [await anext(messages) for _ in range(count)]
