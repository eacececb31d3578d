"""A vault that is killed or sealed under load: the last value, marked as stale, then nothing, then the vault again."""

from __future__ import annotations

import asyncio

import pytest

from tradesense.core.audit.models import Actor
from tradesense.core.errors import SecretNotFound, SecretStoreUnavailable
from tradesense.core.sensitive import Secret
from tradesense.core.testing import eventually
from tradesense.entrypoints.container import open_container
from tradesense.settings.schema import SecretsSettings, Settings

VALUE = "canary-of-the-vault"
TESTS = Actor(kind="operator", id="tests")
MAX_STALE = 6.0


def settings(server, **secrets):
    return Settings(
        environment="testing",
        secrets=SecretsSettings(**{"provider": "vault", "cache_ttl": 0.3, **secrets}),
        adapters={
            "secrets.vault": {
                "url": server.address,
                "token": Secret(server.token),
                "mount": getattr(server, "mount", "secret"),
                "timeout": 2.0,
            },
            "identity.jose": {"secret": Secret("x" * 40)},
        },
    )


async def fetched(services, path="a"):
    try:
        found = await services.secrets.get(path, actor=TESTS)
    except SecretStoreUnavailable as error:
        return error
    return found


async def under_load(services, seconds):
    """Answers of twenty readers who go on asking."""
    answers, end = [], asyncio.get_running_loop().time() + seconds

    async def read():
        while asyncio.get_running_loop().time() < end:
            answers.append(await fetched(services))
            await asyncio.sleep(0.05)

    await asyncio.gather(*(read() for _ in range(20)))
    return answers


@pytest.mark.timeout(180)
async def test_F16_a_killed_vault_shows_the_last_value_as_stale_then_503_then_recovers(own_openbao, monkeypatch):
    monkeypatch.setenv("TRADESENSE_SECRET_A", "never this one")
    async with open_container(settings(own_openbao.server, max_stale=MAX_STALE)) as services:
        await services.secrets.put("a", Secret(VALUE), actor=TESTS)
        first = await fetched(services)
        assert (first.value, first.stale) == (Secret(VALUE), False)
        own_openbao.kill()
        answers = await under_load(services, 2)
        assert {answer.value.reveal() for answer in answers} == {VALUE}
        assert any(answer.stale for answer in answers)

        async def gone():
            """The last value is too old to be given."""
            answer = await fetched(services)
            assert isinstance(answer, SecretStoreUnavailable) or answer.value == Secret(VALUE)
            return isinstance(answer, SecretStoreUnavailable)

        await eventually(gone, seconds=MAX_STALE + 15)
        own_openbao.start()
        own_openbao.server.request("POST", "secret/data/a", {"data": {"value": "anew"}})
        began = asyncio.get_running_loop().time()

        async def back():
            """The vault answers again."""
            answer = await fetched(services)
            return not isinstance(answer, SecretStoreUnavailable) and not answer.stale

        await eventually(back, seconds=30)
        assert asyncio.get_running_loop().time() - began < 15, "5 s are promised; the machine may be busy"
        assert (await fetched(services)).value == Secret("anew")


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
