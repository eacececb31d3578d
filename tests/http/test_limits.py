"""Rate limits on routes: as settings say, told by RateLimit fields, exact over the processes."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import time
from http.client import HTTPConnection
from ipaddress import IPv4Address
from urllib.parse import urlsplit

import httpx2
import pytest
from talking import Person, Talker, ask

from platform_process import serving as served
from tradesense.core.errors import ConfigurationError, LimiterUnavailable
from tradesense.entrypoints.container import open_container
from tradesense.entrypoints.http.app import create_app, create_routes
from tradesense.entrypoints.http.site import Site
from tradesense.settings.load import load
from tradesense.settings.schema import HttpSettings, LimitSettings, Settings

CONFIG = "/api/v1/config"


def limit(count=3, period=60, **more):
    return LimitSettings(count=count, period=period, **more)


@pytest.fixture
async def application(tmp_path):
    """Makes the application with these limits; the services are open until the test ends."""
    loaded = load({"ENVIRONMENT": "testing"}, directory=tmp_path)
    async with open_container(loaded.settings, plugins=loaded.plugins) as services:

        def make(**limits):
            # The services are frozen; the application reads the limits of the settings alone.
            http = HttpSettings(trusted_proxies=("127.0.0.0/8",), limits=limits)
            object.__setattr__(services, "settings", Settings(environment="testing", http=http))
            return create_app(services)

        make.services = services
        yield make


class AwayLimiter:
    """Counts nothing: its server is away."""

    async def hit_many(self, attempts):  # noqa: ARG002  # the port's
        raise LimiterUnavailable


def sent_by(address):
    return [(b"x-forwarded-for", address.encode())]


async def test_without_limits_nothing_is_said(application):
    answer = await ask(application(), "GET", CONFIG)
    assert answer.status == 200
    assert not {"ratelimit", "ratelimit-policy"} & answer.headers.keys()


async def test_a_limit_counts_down_and_refuses(application):
    app = application(reads=limit(3, 60, routes=(CONFIG,)))
    answers = [await ask(app, "GET", CONFIG) for _ in range(5)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"reads";q=3;w=60'}
    assert [answer.headers["ratelimit"].rpartition(";")[0] for answer in answers] == [
        f'"reads";r={left}' for left in (2, 1, 0, 0, 0)
    ]
    assert all(re.fullmatch(r'"reads";r=\d;t=(60|59)', answer.headers["ratelimit"]) for answer in answers)
    assert 55 <= int(answers[-1].headers["retry-after"]) <= 60
    assert b"limit-exceeded" in answers[-1].body
    assert answers[-1].headers["content-type"].startswith("application/problem+json")


async def test_other_routes_and_other_methods_are_not_counted(application):
    app = application(
        reads=limit(1, routes=("PUT /api/v1/settings/{key}", "/api/v1/flags/{key}")),
        keys=limit(1, routes=("GET /.well-known/jwks.json",)),
    )
    for _ in range(3):
        assert (await ask(app, "GET", CONFIG)).status == 200
    assert [(await ask(app, "GET", f"/api/v1/flags/{n}")).status for n in range(3)] == [401, 429, 429]
    assert [(await ask(app, "HEAD", "/.well-known/jwks.json")).status for _ in range(2)] == [200, 429]


async def test_a_group_of_routes_shares_one_count(application):
    app = application(sign_in=limit(2, routes=("auth",)))
    assert (await ask(app, "GET", "/api/v1/auth/csrf")).status == 200
    assert (await ask(app, "GET", "/.well-known/jwks.json")).status == 200
    assert (await ask(app, "GET", "/api/v1/auth/csrf")).status == 429
    assert (await ask(app, "GET", CONFIG)).status == 200


async def test_without_routes_all_of_them_are_meant(application):
    app = application(everything=limit(2))
    statuses = [(await ask(app, "GET", path)).status for path in (CONFIG, "/.well-known/jwks.json", CONFIG)]
    assert statuses == [200, 200, 429]
    assert (await ask(app, "GET", "/health/live")).status == 200, "the probe is answered before any limit"


async def test_several_limits_are_told_together_and_a_refused_request_costs_nothing(application):
    app = application(minute=limit(2, 60), hour=limit(5, 3600))
    answers = [await ask(app, "GET", CONFIG) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 429, 429]
    assert answers[-1].headers["ratelimit-policy"] == '"minute";q=2;w=60, "hour";q=5;w=3600'
    assert re.fullmatch(r'"minute";r=0;t=\d+, "hour";r=3;t=\d+', answers[-1].headers["ratelimit"])


async def test_addresses_are_counted_apart_and_an_ipv6_network_together(application):
    app = application(reads=limit(1, routes=(CONFIG,)))

    async def status(address):
        return (await ask(app, "GET", CONFIG, headers=sent_by(address))).status

    assert [await status(address) for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1")] == [200, 200, 429]
    assert [await status(address) for address in ("2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1")] == [
        200,
        429,
        200,
    ]
    assert await status("::ffff:192.0.2.1") == 429


async def test_a_shadow_refuses_nobody_and_is_not_told(application):
    app = application(trial=limit(1, shadow=True, routes=(CONFIG,)))
    answers = [await ask(app, "GET", CONFIG) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert "ratelimit" not in answers[-1].headers
    text = application.services.scrape.scrape()[1].decode()
    assert re.search(r'tradesense_limiter_decisions_total\{outcome="shadow-refused",policy="http-trial"\} 2', text)


async def test_a_request_may_cost_more(application):
    app = application(exports=limit(5, cost=2, routes=(CONFIG,)))
    assert [(await ask(app, "GET", CONFIG)).status for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize(
    ("fail", "statuses"), [("closed", [503] * 3), ("open", [200] * 3), ("stricter", [200, 429, 429])]
)
async def test_each_limit_says_what_holds_while_the_count_is_away(application, fail, statuses):
    application.services.throttle._shared = AwayLimiter()
    app = application(reads=limit(4, fail=fail, routes=(CONFIG,)))
    assert [(await ask(app, "GET", CONFIG)).status for _ in range(3)] == statuses


@pytest.mark.parametrize("routes", [("/api/v1/nothing",), ("PUT /api/v1/config",), ("nothing",)])
def test_a_route_that_is_none_is_a_configuration_error(routes):
    settings = Settings(http=HttpSettings(limits={"wrong": limit(routes=routes)}))
    with pytest.raises(ConfigurationError, match="is no route") as caught:
        create_routes(settings, Site(settings))
    assert caught.value.origin == "http.limits.wrong.routes"


def test_a_request_that_costs_more_than_the_limit_is_a_configuration_error():
    settings = Settings(http=HttpSettings(limits={"wrong": limit(2, cost=3)}))
    with pytest.raises(ConfigurationError, match="costs 3 of 2"):
        create_routes(settings, Site(settings))


def limits_in(env, name, **values):
    return env | {f"TRADESENSE_HTTP__LIMITS__{name}__{key.upper()}": str(value) for key, value in values.items()}


@pytest.fixture(scope="module")
def limited_env():
    env = {"TRADESENSE_IDENTITY__POLICY__LOGIN_ATTEMPTS_PER_ADDRESS": "100000"}
    env = limits_in(env, "mine", count=3, period=3600, by="user", routes='["/api/v1/auth/session"]')
    return limits_in(env, "key", count=2, period=3600, by="api-key", routes='["/api/v1/auth/logout-all"]')


def test_users_are_counted_over_their_sessions_and_apart_from_each_other(limited_env):
    with (
        served(limited_env) as server,
        Person(server.url, "a@example.org") as one,
        Person(server.url, "b@example.org") as two,
    ):
        for person in (one, two):
            person.sign_up()
            person.log_in()
        assert [one.get("/api/v1/auth/session").status_code for _ in range(2)] == [200, 200]
        one.log_in()
        assert [one.get("/api/v1/auth/session").status_code for _ in range(2)] == [200, 429]
        assert two.get("/api/v1/auth/session").status_code == 200
        with Talker(server.url) as nobody:
            assert nobody.get("/api/v1/auth/session").status_code == 401


def test_R09_a_forged_address_is_not_another_caller():
    env = limits_in({}, "reads", count=5, period=3600, routes=f'["{CONFIG}"]')
    statuses = []
    with served(env) as server, contextlib.closing(HTTPConnection(urlsplit(server.url).netloc, timeout=20)) as client:
        for _ in range(1000):
            client.request("GET", CONFIG, headers={"X-Forwarded-For": str(IPv4Address(random.getrandbits(32)))})
            with client.getresponse() as answer:
                answer.read()
                statuses.append(answer.status)
    assert (statuses.count(200), statuses.count(429)) == (5, 995)


async def statuses_of(url, count):
    async with httpx2.AsyncClient(
        timeout=60, limits=httpx2.Limits(max_connections=100), trust_env=False, verify=False
    ) as client:
        answers = await asyncio.gather(*(client.get(url) for _ in range(count)))
    return [answer.status_code for answer in answers]


def test_F10_a_limit_lets_exactly_its_number_through_four_processes(valkey_url, unique_prefix):
    env = {"REDIS_URL": valkey_url, "TRADESENSE_REDIS__PREFIX": f"{unique_prefix}:", "TRADESENSE_REDIS__TIMEOUT": "10"}
    env = limits_in(env, "hourly", count=20, period=3600, routes=f'["{CONFIG}"]')
    with served(env, "--processes", "4") as server:
        statuses = asyncio.run(statuses_of(server.url + CONFIG, 400))
    assert (statuses.count(200), statuses.count(429)) == (20, 380)


def test_F10_no_window_sees_more_than_the_limit(valkey_url, unique_prefix):
    period = 2.0
    env = {"REDIS_URL": valkey_url, "TRADESENSE_REDIS__PREFIX": f"{unique_prefix}:", "TRADESENSE_REDIS__TIMEOUT": "10"}
    env = limits_in(env, "quick", count=20, period=period, routes=f'["{CONFIG}"]')
    allowed = []

    async def insist(client, url, end):
        while (sent := time.monotonic()) < end:
            answer = await client.get(url)
            assert answer.status_code in {200, 429}
            if answer.status_code == 200:
                allowed.append((sent, time.monotonic()))

    async def hammer(url):
        async with httpx2.AsyncClient(timeout=60, trust_env=False, verify=False) as client:
            end = time.monotonic() + 3 * period
            await asyncio.gather(*(insist(client, url, end) for _ in range(8)))

    with served(env, "--processes", "4") as server:
        asyncio.run(hammer(server.url + CONFIG))
    assert len(allowed) > 20, "nothing was ever given back"
    sent, answered = sorted(one for one, _ in allowed), sorted(other for _, other in allowed)
    for first, last in zip(sent, answered[20:], strict=False):
        assert last - first >= period - 0.01, f"21 were allowed in {last - first:.3f} s"
