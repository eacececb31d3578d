"""The contract of what sends messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tradesense.core.capabilities import Capability
from tradesense.core.errors import AdapterClosed, InvalidInput, MessengerUnavailable
from tradesense.core.identity.models import Message
from tradesense.core.identity.ports import Messenger
from tradesense.core.testing.base import Contract, Make, eventually, fresh, opened, requires, together
from tradesense.core.testing.checks import refuse_when_unreachable

Sent = Callable[[Messenger], Sequence[Message]]


class MessengerContract(Contract):
    """What every :class:`Messenger` must do."""

    port = Messenger

    @pytest.fixture
    def sent(self) -> Sent:
        """Override this: return a callable that takes the adapter and tells what the provider has taken, in order.

        Of each message it tells ``to``, ``subject`` and ``text`` as a reader sees them; a message to two addresses
        is told twice. Messages of other tests may be among them.
        """
        pytest.fail(
            f"{type(self).__name__} must override the fixture `sent`: return a callable that takes the adapter and "
            "tells the messages that the provider has taken",
            pytrace=False,
        )

    @pytest.fixture
    def address(self) -> str:
        """Override this where addresses are no email: one that the provider takes and no other test uses."""
        return f"{fresh()}@example.org"

    @pytest.fixture
    def unreachable(self) -> Make[Messenger] | None:
        """Override this where the backend can be away: a callable that makes an adapter of one that does not answer."""
        return None

    async def test_a_message_arrives_as_it_was_sent(self, adapter: Make[Messenger], sent: Sent, address: str) -> None:
        message = Message(to=address, subject="Your code", text="The code is 123456.\n\nIt lasts 10 minutes.\n")
        async with opened(adapter()) as messenger:
            await messenger.send(message)
            assert await self._arrived(messenger, sent, address) == [("Your code", message.text.strip())]

    async def test_a_message_may_hold_any_unicode_and_be_long(
        self, adapter: Make[Messenger], sent: Sent, address: str
    ) -> None:
        subject, text = "Grüße 🦄 日本語", "Ünïcödé 🦄\n" + "line\n" * 200 + "ende é"
        async with opened(adapter()) as messenger:
            await messenger.send(Message(to=address, subject=subject, text=text, html="<p>Grüße</p>"))
            assert await self._arrived(messenger, sent, address) == [(subject, text)]

    async def test_messages_without_a_key_are_each_sent(
        self, adapter: Make[Messenger], sent: Sent, address: str
    ) -> None:
        async with opened(adapter()) as messenger:
            for _ in range(2):
                await messenger.send(Message(to=address, subject="Again", text="the same"))
            assert await self._arrived(messenger, sent, address, count=2) == [("Again", "the same")] * 2

    async def test_messages_of_different_keys_are_each_sent(
        self, adapter: Make[Messenger], sent: Sent, address: str
    ) -> None:
        async with opened(adapter()) as messenger:
            for key in (fresh("key"), fresh("key")):
                await messenger.send(Message(to=address, subject="Again", text="the same", key=key))
            assert await self._arrived(messenger, sent, address, count=2) == [("Again", "the same")] * 2

    async def test_concurrent_messages_all_arrive_and_are_not_mixed_up(
        self, adapter: Make[Messenger], sent: Sent, address: str
    ) -> None:
        async with opened(adapter()) as messenger:
            ends = await together(
                16, lambda n: messenger.send(Message(to=address, subject=f"Number {n}", text=f"text {n}"))
            )
            assert ends == [None] * 16
            arrived = await self._arrived(messenger, sent, address, count=16)
            assert sorted(arrived) == sorted((f"Number {n}", f"text {n}") for n in range(16))

    @pytest.mark.parametrize("end", ["\r\n", "\n", "\r"], ids=["crlf", "lf", "cr"])
    async def test_a_subject_cannot_add_a_recipient(
        self, adapter: Make[Messenger], sent: Sent, address: str, end: str
    ) -> None:
        thief = f"{fresh('thief')}@example.org"
        async with opened(adapter()) as messenger:
            try:
                await messenger.send(Message(to=address, subject=f"Hello{end}Bcc: {thief}", text="for one"))
            except InvalidInput:
                assert not _to(sent(messenger), address)
            else:
                assert len(await self._arrived(messenger, sent, address)) == 1
            assert not _to(sent(messenger), thief)

    @requires(Capability.DEDUPLICATION)
    async def test_messages_of_one_key_are_sent_once(self, adapter: Make[Messenger], sent: Sent, address: str) -> None:
        async with opened(adapter()) as messenger:
            key = fresh("key")
            for number in range(3):
                await messenger.send(Message(to=address, subject=f"Number {number}", text="once", key=key))
            await messenger.send(Message(to=address, subject="Last", text="once"))
            assert await self._arrived(messenger, sent, address, count=2) == [("Number 0", "once"), ("Last", "once")]

    async def test_an_unreachable_messenger_is_unavailable(self, unreachable: Make[Any] | None, address: str) -> None:
        message = Message(to=address, subject="Nobody", text="takes this")
        await refuse_when_unreachable(unreachable, MessengerUnavailable, {"send": lambda one: one.send(message)})

    async def test_a_closed_messenger_refuses(self, adapter: Make[Messenger], address: str) -> None:
        messenger = adapter()
        message = Message(to=address, subject="Too early", text="or too late")
        with pytest.raises(AdapterClosed):
            await messenger.send(message)
        async with opened(messenger):
            pass
        with pytest.raises(AdapterClosed):
            await messenger.send(message)

    async def _arrived(
        self, messenger: Messenger, sent: Sent, address: str, *, count: int = 1
    ) -> list[tuple[str, str]]:
        async def enough() -> list[Message]:
            """As many messages as were sent."""
            arrived = _to(sent(messenger), address)
            return arrived if len(arrived) >= count else []

        return [(message.subject, message.text.strip()) for message in await eventually(enough, seconds=self.patience)]


def _to(messages: Sequence[Message], address: str) -> list[Message]:
    return [message for message in messages if message.to == address]
