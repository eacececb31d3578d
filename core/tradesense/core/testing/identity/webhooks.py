"""The contract of what posts webhooks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import pytest

from tradesense.core.errors import AdapterClosed, InvalidInput, WebhookRefused, WebhookUnavailable
from tradesense.core.identity.ports import WebhookSender
from tradesense.core.testing.base import Contract, Make, fresh, opened, together
from tradesense.core.testing.checks import interrupt, refuse_when_unreachable

Posted = Callable[[WebhookSender], Sequence[tuple[Mapping[str, str], bytes]]]
Answering = Callable[[WebhookSender, int], None]

BODY = '{"type":"identity.login","data":{"name":"Grüße 🦄"}}'.encode()
HEADERS = {"content-type": "application/json", "webhook-id": "msg_1", "webhook-signature": "v1,a= v1,b="}
NOT_TO_BE_SENT_TO = (
    "",
    "http://example.org/",
    "ftp://example.org/",
    "//example.org/",
    "https://",
    "https://user:word@example.org/",
    "https://example.org@127.0.0.1/",
    "https://127.0.0.1/",
    "https://2130706433/",
    "https://0x7f.1/",
    "https://10.0.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://[::1]/",
    "https://[::ffff:169.254.169.254]/",
    "https://[64:ff9b::a9fe:a9fe]/",
    "https://localhost/",
    "https://metadata.google.internal/",
    "https://example.org/\r\nhost: evil",
    "https://" + "a" * 2048 + ".org/",
)
"""What nobody may be sent to by somebody else's word; none of these may be in a network that is allowed."""


class WebhookSenderContract(Contract):
    """What every :class:`WebhookSender` must do."""

    port = WebhookSender

    @pytest.fixture
    def url(self) -> str:
        """Override this: return the https address of a receiver that the adapter may send to."""
        pytest.fail(
            f"{type(self).__name__} must override the fixture `url`: return the https address of a receiver",
            pytrace=False,
        )

    @pytest.fixture
    def posted(self) -> Posted:
        """Override this: return a callable that takes the adapter and tells what the receiver was sent, in order.

        Of each post it tells the headers, their names in lower case, and the body.
        """
        pytest.fail(
            f"{type(self).__name__} must override the fixture `posted`: return a callable that takes the adapter and "
            "tells headers and body of everything that the receiver was sent",
            pytrace=False,
        )

    @pytest.fixture
    def answering(self) -> Answering:
        """Override this: return a callable that takes the adapter and the status that the receiver answers from now on.

        With a status of 300 to 399 the answer names another https address, which nobody may be sent to.
        """
        pytest.fail(
            f"{type(self).__name__} must override the fixture `answering`: return a callable that takes the adapter "
            "and the status of the receiver's next answers",
            pytrace=False,
        )

    @pytest.fixture
    def inside(self) -> str | None:
        """Override this where names are resolved: the address of a host whose name leads to a private network."""
        return None

    @pytest.fixture
    def unreachable(self) -> Make[WebhookSender] | None:
        """Override this where the backend can be away: a callable that makes an adapter of one that does not answer."""
        return None

    async def test_a_post_arrives_as_it_was_sent(
        self, adapter: Make[WebhookSender], url: str, posted: Posted, answering: Answering
    ) -> None:
        async with opened(adapter()) as sender:
            answering(sender, 204)
            assert await sender.send(url, HEADERS, BODY) == 204
            ((headers, body),) = posted(sender)
            assert body == BODY
            assert {name: headers[name] for name in HEADERS} == HEADERS

    @pytest.mark.parametrize("status", [200, 299, 400, 410, 429, 500, 503])
    async def test_the_receivers_status_is_returned_whatever_it_is(
        self, adapter: Make[WebhookSender], url: str, posted: Posted, answering: Answering, status: int
    ) -> None:
        async with opened(adapter()) as sender:
            answering(sender, status)
            assert await sender.send(url, {}, BODY) == status
            assert len(posted(sender)) == 1, "whether to send again is the caller's to decide"

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_no_redirect_is_followed(
        self, adapter: Make[WebhookSender], url: str, posted: Posted, answering: Answering, status: int
    ) -> None:
        async with opened(adapter()) as sender:
            answering(sender, status)
            assert await sender.send(url, {}, BODY) == status
            assert len(posted(sender)) == 1

    @pytest.mark.parametrize("wrong", NOT_TO_BE_SENT_TO)
    async def test_a_url_that_leads_inside_or_hides_where_it_leads_is_refused(
        self, adapter: Make[WebhookSender], posted: Posted, wrong: str
    ) -> None:
        async with opened(adapter()) as sender:
            with pytest.raises(InvalidInput):
                await sender.send(wrong, {}, BODY)
            assert list(posted(sender)) == []

    async def test_a_name_that_leads_inside_is_refused(
        self, adapter: Make[WebhookSender], posted: Posted, inside: str | None
    ) -> None:
        if inside is None:
            pytest.skip("there is no fixture `inside`: the adapter resolves no names")
        async with opened(adapter()) as sender:
            with pytest.raises(WebhookRefused):
                await sender.send(inside, {}, BODY)
            assert list(posted(sender)) == []

    async def test_concurrent_posts_all_arrive_and_are_not_mixed_up(
        self, adapter: Make[WebhookSender], url: str, posted: Posted, answering: Answering
    ) -> None:
        async with opened(adapter()) as sender:
            answering(sender, 200)
            ids = [fresh("msg") for _ in range(16)]
            ends = await together(16, lambda n: sender.send(url, {"webhook-id": ids[n]}, ids[n].encode()))
            assert ends == [200] * 16
            arrived = posted(sender)
            assert sorted(body.decode() for _, body in arrived) == sorted(ids)
            assert all(headers["webhook-id"] == body.decode() for headers, body in arrived)

    async def test_cancelled_posts_leave_the_sender_usable(
        self, adapter: Make[WebhookSender], url: str, answering: Answering
    ) -> None:
        async with opened(adapter()) as sender:
            answering(sender, 200)
            await interrupt(lambda: sender.send(url, {}, BODY))
            async with asyncio.timeout(self.patience):
                assert await sender.send(url, {}, BODY) == 200

    async def test_a_receiver_that_is_away_is_unavailable(
        self, unreachable: Make[WebhookSender] | None, url: str
    ) -> None:
        await refuse_when_unreachable(
            unreachable, WebhookUnavailable, {"send": lambda sender: sender.send(url, {}, BODY)}
        )

    async def test_a_closed_sender_refuses(self, adapter: Make[WebhookSender], url: str) -> None:
        sender = adapter()
        with pytest.raises(AdapterClosed):
            await sender.send(url, {}, BODY)
        async with opened(sender):
            pass
        with pytest.raises(AdapterClosed):
            await sender.send(url, {}, BODY)
