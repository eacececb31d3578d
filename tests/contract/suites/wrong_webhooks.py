"""Senders of webhooks that are wrong on purpose."""

import asyncio

import pytest

from tradesense.adapters.memory.identity import MemoryWebhookSender
from tradesense.core.errors import InvalidInput
from tradesense.core.testing import WebhookSenderContract


class OverMemory(WebhookSenderContract):
    Sender = MemoryWebhookSender
    patience = 0.1

    @pytest.fixture
    def adapter(self):
        return self.Sender

    @pytest.fixture
    def url(self):
        return "https://hooks.example.org/events"

    @pytest.fixture
    def posted(self):
        return lambda sender: [(headers, body) for _, headers, body in sender.sent]

    @pytest.fixture
    def answering(self):
        def answering(sender, status):
            sender.status = status

        return answering


class TestRight(OverMemory):
    patience = 10


class TestEncodesAnew(OverMemory):
    caught_by = ("test_a_post_arrives_as_it_was_sent",)

    class Sender(MemoryWebhookSender):
        async def send(self, url, headers, body):
            return await super().send(url, headers, body.decode("ascii", "replace").encode())


class TestLosesHeaders(OverMemory):
    caught_by = ("test_a_post_arrives_as_it_was_sent", "test_concurrent_posts_all_arrive_and_are_not_mixed_up")

    class Sender(MemoryWebhookSender):
        async def send(self, url, headers, body):
            del headers
            return await super().send(url, {"webhook-id": "msg_0"}, body)


class TestSendsAgainByItself(OverMemory):
    caught_by = ("test_the_receivers_status_is_returned_whatever_it_is",)

    class Sender(MemoryWebhookSender):
        async def send(self, url, headers, body):
            status = await super().send(url, headers, body)
            return status if status < 500 else await super().send(url, headers, body)


class TestSaysThatAllIsWell(OverMemory):
    caught_by = ("test_the_receivers_status_is_returned_whatever_it_is",)

    class Sender(MemoryWebhookSender):
        async def send(self, url, headers, body):
            await super().send(url, headers, body)
            return 200


class TestFollowsRedirects(OverMemory):
    caught_by = ("test_no_redirect_is_followed",)

    class Sender(MemoryWebhookSender):
        async def send(self, url, headers, body):
            status = await super().send(url, headers, body)
            if status in range(300, 400):
                await super().send(url, headers, body)
                return 200
            return status


class TestSendsAnywhere(OverMemory):
    caught_by = ("test_a_url_that_leads_inside_or_hides_where_it_leads_is_refused",)

    class Sender(MemoryWebhookSender):
        async def send(self, url, headers, body):
            try:
                return await super().send(url, headers, body)
            except InvalidInput:
                return await super().send("https://example.org/", headers, body)


class TestLooksAtTheSchemeAlone(OverMemory):
    caught_by = ("test_a_url_that_leads_inside_or_hides_where_it_leads_is_refused",)

    class Sender(MemoryWebhookSender):
        async def send(self, url, headers, body):
            if not url.startswith("https://"):
                raise InvalidInput("write https://")
            return await super().send("https://example.org/", headers, body)


class TestLetsNamesLeadInside(OverMemory):
    caught_by = ("test_a_name_that_leads_inside_is_refused",)

    @pytest.fixture
    def inside(self):
        return "https://inside.example.org/"


class TestMixesPostsUp(OverMemory):
    caught_by = ("test_concurrent_posts_all_arrive_and_are_not_mixed_up",)

    class Sender(MemoryWebhookSender):
        async def send(self, url, headers, body):
            self._draft = headers, body
            await asyncio.sleep(0)
            return await super().send(url, *self._draft)


class TestKeepsItsTurnWhenCancelled(OverMemory):
    caught_by = ("test_cancelled_posts_leave_the_sender_usable",)

    class Sender(MemoryWebhookSender):
        async def __aenter__(self):
            self._turn = asyncio.Semaphore()
            return await super().__aenter__()

        async def send(self, url, headers, body):
            await self._turn.acquire()
            await asyncio.sleep(0.01)
            self._turn.release()
            return await super().send(url, headers, body)


class TestIsNeverAway(OverMemory):
    caught_by = ("test_a_receiver_that_is_away_is_unavailable",)

    @pytest.fixture
    def unreachable(self):
        return self.Sender


class TestIsNeverClosed(OverMemory):
    caught_by = ("test_a_closed_sender_refuses",)

    class Sender(MemoryWebhookSender):
        def check_open(self):
            pass
