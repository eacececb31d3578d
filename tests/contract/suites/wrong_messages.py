"""Messengers that are wrong on purpose."""

import asyncio

import pytest
from msgspec.structs import replace

from tradesense.adapters.memory.identity import MemoryMessenger
from tradesense.core.capabilities import Capability
from tradesense.core.testing import MessengerContract


class OverMemory(MessengerContract):
    capabilities = frozenset({Capability.DEDUPLICATION})
    Messenger = MemoryMessenger
    patience = 0.1

    @pytest.fixture
    def adapter(self):
        return self.Messenger

    @pytest.fixture
    def sent(self):
        return lambda messenger: messenger.sent


class TestRight(OverMemory):
    patience = 10


class TestSendsTwice(OverMemory):
    caught_by = ("test_a_message_arrives_as_it_was_sent", "test_messages_of_one_key_are_sent_once")

    class Messenger(MemoryMessenger):
        async def send(self, message):
            await super().send(message)
            self.sent.append(message)


class TestLosesUnicode(OverMemory):
    caught_by = ("test_a_message_may_hold_any_unicode_and_be_long",)

    class Messenger(MemoryMessenger):
        async def send(self, message):
            await super().send(replace(message, subject=message.subject.encode("ascii", "replace").decode()))


class TestTakesEqualForSame(OverMemory):
    caught_by = ("test_messages_without_a_key_are_each_sent", "test_messages_of_different_keys_are_each_sent")

    class Messenger(MemoryMessenger):
        async def send(self, message):
            await super().send(replace(message, key=message.text))


class TestIgnoresKeys(OverMemory):
    caught_by = ("test_messages_of_one_key_are_sent_once",)

    class Messenger(MemoryMessenger):
        async def send(self, message):
            await super().send(replace(message, key=""))


class TestMixesMessagesUp(OverMemory):
    caught_by = ("test_concurrent_messages_all_arrive_and_are_not_mixed_up",)

    class Messenger(MemoryMessenger):
        async def send(self, message):
            self._draft = message
            await asyncio.sleep(0)
            await super().send(self._draft)


class TestLetsHeadersIn(OverMemory):
    caught_by = ("test_a_subject_cannot_add_a_recipient",)

    class Messenger(MemoryMessenger):
        async def send(self, message):
            subject, *headers = message.subject.splitlines()
            for header in headers:
                await super().send(replace(message, to=header.partition(": ")[2], subject=subject))
            await super().send(replace(message, subject=subject))


class TestIsNeverClosed(OverMemory):
    caught_by = ("test_a_closed_messenger_refuses",)

    class Messenger(MemoryMessenger):
        def check_open(self):
            pass
