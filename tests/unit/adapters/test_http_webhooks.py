"""Where webhooks may go, and that they go nowhere else."""

from __future__ import annotations

import ipaddress

import pytest

from hookreceiver import receiving
from tradesense.adapters.http.identity import HttpWebhookSender
from tradesense.adapters.http.settings import HttpSenderSettings
from tradesense.core.addresses import may_connect, target_of
from tradesense.core.errors import AdapterClosed, ConfigurationError, InvalidInput, WebhookRefused, WebhookUnavailable

LOOPBACK = HttpSenderSettings(allowed_networks=("127.0.0.0/8",))

REFUSED_URLS = [
    "http://example.org/",
    "ftp://example.org/",
    "file:///etc/passwd",
    "//example.org/",
    "https:///path",
    "https://",
    "",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://017700000001/",
    "https://127.0.0.1.:443/",
    "https://0/",
    "https://0.0.0.0/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://172.31.255.255/",
    "https://192.168.1.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://100.64.0.1/",
    "https://192.0.0.8/",
    "https://198.18.0.1/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::ffff:169.254.169.254]/",
    "https://[64:ff9b::a9fe:a9fe]/",
    "https://[64:ff9b:1::1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:7f00:1::]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fc00::1]/",
    "https://[fd00:ec2::254]/",
    "https://[ff02::1]/",
    "https://[2001:db8::1]/",
    "https://localhost/",
    "https://LOCALHOST/",
    "https://a.localhost/",
    "https://metadata.google.internal/",
    "https://printer.local/",
    "https://intranet/",
    "https://user@example.org/",
    "https://user:password@example.org/",
    "https://example.org@127.0.0.1/",
    "https://127.0.0.1@example.org/",
    "https://example.org:0/",
    "https://example.org:99999/",
    "https://example.org:x/",
    "https://example.org/#fragment",
    "https://exam ple.org/",
    "https://example.org\\@127.0.0.1/",
    "https://example.org/\r\nHost: evil",
    "https://ex\u3002ample.org/",
    "https://example\u3002org/",
    "https://\u2460\u2461\u2466.0.0.1/",
    "https://%31%32%37.0.0.1/",
    "https://example.org.",
    "https://" + "a" * 2048 + ".org/",
]


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_R58_a_url_that_leads_inside_or_hides_where_it_leads_is_refused(url):
    with pytest.raises(InvalidInput):
        target_of(url)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://example.org", ("example.org", 443, "/")),
        ("https://Hooks.Example.org:8443/a?b=c", ("hooks.example.org", 8443, "/a?b=c")),
        ("https://93.184.215.14/x", ("93.184.215.14", 443, "/x")),
        ("https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/", ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", 443, "/")),
        ("https://xn--bcher-kva.example.org/", ("xn--bcher-kva.example.org", 443, "/")),
    ],
)
def test_R58_a_public_url_is_taken(url, target):
    assert target_of(url) == target


def test_R58_a_network_that_is_allowed_is_allowed_in_either_form():
    allowed = LOOPBACK.networks()
    for text in ("127.0.0.1", "::ffff:127.0.0.1"):
        assert may_connect(ipaddress.ip_address(text), allowed)
    assert not may_connect(ipaddress.ip_address("10.0.0.1"), allowed)
    with pytest.raises(ConfigurationError):
        HttpSenderSettings(allowed_networks=("not one",))


def resolving(*answers):
    """A resolver that gives the next of its answers each time."""
    left = [[ipaddress.ip_address(text) for text in answer] for answer in answers]
    asked = []

    async def resolve(host, _port):
        asked.append(host)
        return left.pop(0) if left else []

    resolve.asked = asked
    return resolve


@pytest.mark.parametrize(
    "answer", [["127.0.0.1"], ["93.184.215.14", "127.0.0.1"], ["::1"], ["169.254.169.254"], ["64:ff9b::a9fe:a9fe"], []]
)
async def test_R58_a_name_with_an_address_inside_is_refused(answer):
    async with HttpWebhookSender(HttpSenderSettings(), resolve=resolving(answer)) as sender:
        with pytest.raises(WebhookRefused):
            await sender.send("https://rebinding.example.org/", {}, b"{}")


@pytest.fixture
async def receiver(tmp_path):
    async with receiving(tmp_path) as receiver:
        yield receiver


def sender_to(receiver, resolve, **more):
    settings = HttpSenderSettings(**{"allowed_networks": ("127.0.0.0/8",), "ca_file": receiver.ca_file, **more})
    return HttpWebhookSender(settings, resolve=resolve)


async def test_R58_the_connection_goes_to_the_address_that_was_checked(receiver):
    resolve = resolving(["127.0.0.2"], ["10.0.0.1"])
    async with sender_to(receiver, resolve) as sender:
        url = f"https://hooks.example.org:{receiver.port}/events?a=b"
        assert await sender.send(url, {"webhook-id": "msg_1"}, b'{"a":1}') == 204
        ((head, body),) = receiver.seen
        assert body == b'{"a":1}'
        assert head.startswith(b"POST /events?a=b HTTP/1.1\r\n")
        assert f"host: hooks.example.org:{receiver.port}".encode() in head.lower()
        assert resolve.asked == ["hooks.example.org"], "the name is resolved once"
        with pytest.raises(WebhookRefused):
            await sender.send(url, {}, b"{}")


async def test_R58_no_redirect_is_followed_and_no_answer_is_read(receiver):
    receiver.answers.append(b"HTTP/1.1 302 Found\r\nlocation: https://127.0.0.1/\r\ncontent-length: 1000000000\r\n\r\n")
    resolve = resolving(["127.0.0.2"])
    async with sender_to(receiver, resolve) as sender:
        assert await sender.send(f"https://hooks.example.org:{receiver.port}/", {}, b"{}") == 302
    assert len(receiver.seen) == 1


async def test_R58_a_host_without_the_certificate_of_its_name_is_not_sent_to(receiver):
    async with sender_to(receiver, resolving(["127.0.0.2"])) as sender:
        with pytest.raises(WebhookUnavailable):
            await sender.send(f"https://other.example.org:{receiver.port}/", {}, b"{}")
    async with sender_to(receiver, resolving(["127.0.0.2"]), ca_file="") as sender:
        with pytest.raises(WebhookUnavailable):
            await sender.send(f"https://hooks.example.org:{receiver.port}/", {}, b"{}")
    assert receiver.seen == []


async def test_a_closed_sender_refuses():
    sender = HttpWebhookSender(HttpSenderSettings())
    with pytest.raises(AdapterClosed):
        await sender.send("https://example.org/", {}, b"{}")
    async with sender:
        pass
    with pytest.raises(AdapterClosed):
        await sender.send("https://example.org/", {}, b"{}")
