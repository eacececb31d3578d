"""A vault that is killed or sealed under load: the last value, marked as stale, then nothing, then the vault again."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
import trustme

import cloudkit
from tradesense.core.audit.models import Actor
from tradesense.core.errors import (
    SecretCredentialsExpired,
    SecretDenied,
    SecretNotFound,
    SecretStoreThrottled,
    SecretStoreUnavailable,
    SecretStoreUntrusted,
    TradeSenseError,
)
from tradesense.core.sensitive import Secret
from tradesense.core.testing import eventually
from tradesense.entrypoints.container import open_container
from tradesense.entrypoints.http.problems import status_of
from tradesense.settings.schema import SecretsSettings, Settings

VALUE = "canary-of-the-vault"
TESTS = Actor(kind="operator", id="tests")
MAX_STALE = 4.0
ELSEWHERE = "canary-of-another-provider"


def settings(server, *, timeout=2.0, ca_file="", **secrets):
    return Settings(
        environment="testing",
        secrets=SecretsSettings(**{"provider": "vault", "cache_ttl": 0.3, **secrets}),
        adapters={
            "secrets.vault": {
                "url": server.address,
                "token": Secret(server.token),
                "mount": getattr(server, "mount", "secret"),
                "timeout": timeout,
                "ca_file": ca_file,
            },
            "identity.jose": {"secret": Secret("x" * 40)},
        },
    )


async def fetched(services, path="a"):
    try:
        found = await services.secrets.get(path, actor=TESTS)
    except (SecretStoreUnavailable, SecretDenied) as error:
        return error
    return found


class Load:
    """Twenty readers who go on asking, and what each was answered when. It knows how long this process stood still."""

    def __init__(self, services):
        self.services = services
        self.seen = []
        self.lag = 0.0
        """Seconds that timers of this process came too late, in sum."""
        self._tasks = []

    async def __aenter__(self):
        self._tasks = [asyncio.create_task(self._read()) for _ in range(20)] + [asyncio.create_task(self._beat())]
        return self

    async def __aexit__(self, *_):
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def last(self, word):
        """The last answers are all of this kind."""
        await eventually(lambda: self._is(word), seconds=MAX_STALE + 30)

    def when(self, *words):
        """When something of these kinds was answered last."""
        return max(at for at, kind in self.seen if kind in words)

    async def _is(self, word):
        """The last answers are all of the kind that is waited for."""
        return {kind for _, kind in self.seen[-20:]} == {word}

    async def _read(self):
        while True:
            answer = await fetched(self.services)
            kind = "gone" if isinstance(answer, SecretStoreUnavailable) else "stale" if answer.stale else "fresh"
            assert kind == "gone" or answer.value.reveal() in {VALUE, "anew"}
            self.seen.append((now(), kind))
            await asyncio.sleep(0.05)

    async def _beat(self):
        while True:
            began = now()
            await asyncio.sleep(0.05)
            self.lag += now() - began - 0.05


def now():
    return asyncio.get_running_loop().time()


@pytest.mark.timeout(180)
async def test_F16_a_killed_vault_shows_the_last_value_as_stale_then_503_then_recovers(own_openbao, monkeypatch):
    """The 5 seconds that are promised are counted without those in which this machine did not let us run."""
    monkeypatch.setenv("TRADESENSE_SECRET_A", ELSEWHERE)
    async with open_container(settings(own_openbao.server, max_stale=MAX_STALE)) as services:
        await services.secrets.put("a", Secret(VALUE), actor=TESTS)
        async with Load(services) as load:
            await load.last("fresh")
            own_openbao.kill()
            killed = now()
            await load.last("stale")
            await load.last("gone")
            assert load.when("fresh", "stale") - killed < MAX_STALE + load.lag
            await asyncio.to_thread(own_openbao.start)
            back, stood = now(), load.lag
            own_openbao.server.request("POST", "secret/data/a", {"data": {"value": "anew"}})
            await load.last("fresh")
            assert load.when("gone", "stale") - back < 5 + load.lag - stood
        assert (await fetched(services)).value == Secret("anew")
        assert status_of(SecretStoreUnavailable()) == 503


@pytest.mark.timeout(180)
async def test_F16_a_sealed_vault_is_told_apart_from_a_killed_one(own_openbao):
    async with open_container(settings(own_openbao.server, max_stale=0.0)) as services:
        await services.secrets.put("a", Secret(VALUE), actor=TESTS)
        own_openbao.server.request("POST", "sys/seal")

        async def refused():
            """The vault is away."""
            answer = await fetched(services)
            return answer if isinstance(answer, SecretStoreUnavailable) else None

        assert "is sealed" in (await eventually(refused, seconds=20)).line()
        own_openbao.kill()

        async def unreachable():
            """It is told that nobody answers."""
            return "cannot be reached" in (await refused()).line()

        await eventually(unreachable, seconds=20)


async def test_F16_only_an_outage_is_covered(openbao):
    """What is deleted or refused is so at once, whatever was read before."""
    async with open_container(settings(openbao, cache_ttl=60.0)) as services:
        for value in ("one", "two"):
            await services.secrets.put("a", Secret(value), actor=TESTS)
            assert (await services.secrets.get("a", actor=TESTS)).value == Secret(value), "a write is seen at once"
        await services.secrets.delete("a", actor=TESTS)
        for _ in range(2):
            with pytest.raises(SecretNotFound):
                await services.secrets.get("a", actor=TESTS)
        await services.secrets.put("a", Secret("three"), actor=TESTS)
        assert (await services.secrets.get("a", actor=TESTS)).value == Secret("three")


@pytest.fixture
def limited(openbao):
    """Makes tokens that may do with ``a`` what they like, and nothing with anything else."""
    rule = f'path "{openbao.mount}/+/a" {{ capabilities = ["create", "update", "read"] }}'
    openbao.request("POST", f"sys/policies/acl/{openbao.mount}-a", {"policy": rule})

    def make(**more):
        body = {"policies": [f"{openbao.mount}-a"], **more}
        return openbao.request("POST", "auth/token/create", body)[1]["auth"]["client_token"]

    return make


@asynccontextmanager
async def attribute(proxy, name, value):
    setattr(proxy, name, value)
    yield
    setattr(proxy, name, None if name == "cut_after" else False)
    proxy.reset()


@asynccontextmanager
async def down(proxy):
    await proxy.down()
    yield
    await proxy.up()


@asynccontextmanager
async def throttled(openbao):
    name = f"sys/quotas/rate-limit/{openbao.mount}"
    openbao.request("POST", name, {"path": openbao.mount, "rate": 1, "interval": "10m"})
    openbao.request("GET", f"{openbao.mount}/data/a")  # the one that is let through
    yield
    openbao.request("DELETE", name)


@pytest.mark.timeout(180)
async def test_F16_each_fault_has_its_error_and_no_byte_of_a_secret_is_logged(
    openbao, limited, fault_proxy, monkeypatch, caplog
):
    """What a vault that is sealed or killed is answered with stands above; a broken JSON in the adapter's own tests."""
    caplog.set_level("DEBUG")
    monkeypatch.setenv("TRADESENSE_SECRET_A", ELSEWHERE)
    token = limited()
    async with fault_proxy(openbao.host, openbao.port) as proxy:
        here = SimpleNamespace(address=f"http://{proxy.host}:{proxy.port}", token=token, mount=openbao.mount)
        async with open_container(settings(here, timeout=1.0, max_stale=0.0, cache_ttl=0.0)) as services:
            await services.secrets.put("a", Secret(VALUE), actor=TESTS)
            for fault, kind, words in (
                (attribute(proxy, "black_hole", True), SecretStoreUnavailable, "did not answer within 1 s"),
                (attribute(proxy, "cut_after", 300), SecretStoreUnavailable, "cannot be reached"),
                (down(proxy), SecretStoreUnavailable, "cannot be reached"),
                (throttled(openbao), SecretStoreThrottled, "throttles us"),
            ):
                async with fault:
                    answer = await fetched(services)
                    assert (type(answer), status_of(answer)) == (kind, 503)
                    assert words in answer.line()
                await eventually(lambda: well(services), seconds=20)
            answer = await fetched(services, "b")
            assert (type(answer), status_of(answer)) == (SecretDenied, 403)
            openbao.request("POST", "auth/token/revoke", {"token": token})
            assert type(await fetched(services)) is SecretCredentialsExpired
    assert not [word for word in (VALUE, ELSEWHERE, token, openbao.token) if word in caplog.text]


async def test_F16_a_token_whose_time_is_over_has_expired(openbao, limited):
    here = SimpleNamespace(address=openbao.address, token=limited(ttl="1s", renewable=False), mount=openbao.mount)
    openbao.request("POST", f"{openbao.mount}/data/a", {"data": {"value": VALUE}})
    async with open_container(settings(here, max_stale=0.0, cache_ttl=0.0)) as services:

        async def over():
            """The token has expired."""
            answer = await fetched(services)
            assert not isinstance(answer, SecretStoreUnavailable)
            return type(answer) is SecretCredentialsExpired

        await eventually(over, seconds=20)


async def test_F16_a_certificate_that_nobody_vouches_for_ends_the_start(openbao, limited, tmp_path, fault_proxy):
    ours, others = trustme.CA(), trustme.CA()
    for name, authority in (("ours", ours), ("others", others)):
        authority.cert_pem.write_to_path(str(tmp_path / name))
    async with fault_proxy(openbao.host, openbao.port, tls=cloudkit.tls(ours)) as proxy:
        here = SimpleNamespace(address=f"https://localhost:{proxy.port}", token=limited(), mount=openbao.mount)
        with pytest.raises(SecretStoreUntrusted):
            async with open_container(settings(here, ca_file=str(tmp_path / "others"))):
                pass
        async with open_container(settings(here, ca_file=str(tmp_path / "ours"))) as services:
            await services.secrets.put("a", Secret(VALUE), actor=TESTS)
            assert (await fetched(services)).value == Secret(VALUE)


async def well(services):
    """The vault answers again."""
    return not isinstance(await fetched(services), TradeSenseError)
