"""What the contract cannot see of the adapter for Azure: names, numbers of versions, errors told apart, logins."""

from __future__ import annotations

import asyncio

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

import cloudkit
import contracted
from tradesense.adapters.azure._names import path_of, secret_name
from tradesense.core.errors import (
    ConfigurationError,
    InvalidSecretPath,
    SecretCredentialsExpired,
    SecretDenied,
    SecretNotFound,
    SecretStoreMalformed,
    SecretStoreThrottled,
    SecretStoreUnavailable,
    SecretStoreUntrusted,
)
from tradesense.core.secrets.models import VersionState
from tradesense.core.sensitive import Secret
from tradesense.core.telemetry.models import Status

SEGMENT = st.from_regex(r"\A[A-Za-z0-9]([A-Za-z0-9._-]{0,10}[A-Za-z0-9_-])?\Z")


@pytest.mark.parametrize(
    ("status", "meant"),
    [
        (404, SecretNotFound),
        (403, SecretDenied),
        (429, SecretStoreThrottled),
        (500, SecretStoreUnavailable),
        (503, SecretStoreUnavailable),
        (400, SecretStoreMalformed),
    ],
)
async def test_each_refusal_is_its_own_error(key_vault, status, meant):
    key_vault.refuse = status
    async with cloudkit.azure(key_vault) as store:
        with pytest.raises(meant) as caught:
            await store.get("a")
    assert type(caught.value) is meant
    assert "canary" not in caught.value.line()


async def test_what_may_pass_is_tried_again_and_a_write_that_may_have_been_done_is_not(key_vault):
    async with cloudkit.azure(key_vault) as store:
        await store.put("a", Secret("x"))
        key_vault.failures = [503, 429, 500]
        assert (await store.get("a")).value == Secret("x")
        name = store._name("a")
        key_vault.calls.clear()
        key_vault.failures = [500]
        with pytest.raises(SecretStoreUnavailable):
            await store._vault.call(lambda client: client.set_secret(name, "y"), repeatable=False)
        assert len(key_vault.calls) == 1
        key_vault.failures = [429, 429]
        await store._vault.call(lambda client: client.set_secret(name, "y"), repeatable=False)


async def test_a_wrong_client_secret_is_its_own_error(key_vault):
    async with cloudkit.azure(key_vault, client_secret="canary-wrong") as store:
        with pytest.raises(SecretCredentialsExpired) as caught:
            await store.get("a")
    assert "canary" not in caught.value.line()
    with pytest.raises(ConfigurationError):
        async with cloudkit.azure(key_vault, client_secret=""):
            pass


async def test_a_revoked_token_is_its_own_error(key_vault):
    async with cloudkit.azure(key_vault) as store:
        with pytest.raises(SecretNotFound):
            await store.get("a")
        key_vault.refuse = 401
        with pytest.raises(SecretCredentialsExpired):
            await store.get("a")


async def test_a_certificate_of_somebody_else_is_its_own_error(key_vault, tmp_path):
    trustme.CA().cert_pem.write_to_path(other := str(tmp_path / "other.pem"))
    async with cloudkit.azure(key_vault, ca_file=other) as store:
        with pytest.raises(SecretStoreUntrusted):
            await store.get("a")


async def test_a_vault_that_hangs_is_unavailable_in_time(key_vault):
    async with cloudkit.azure(key_vault, timeout=0.5) as store:
        key_vault.hang = True
        with pytest.raises(SecretStoreUnavailable):
            await asyncio.wait_for(store.get("a"), 20)


async def test_two_processes_give_no_number_twice(key_vault):
    async with cloudkit.azure(key_vault) as one, cloudkit.azure(key_vault) as two:
        written = await asyncio.gather(
            *(store.put("a", Secret(f"{number}")) for number in range(5) for store in (one, two))
        )
        assert len(set(written)) == 10
        assert sorted(written) == [version.version for version in await one.versions("a")]


async def test_versions_of_others_have_numbers_that_stay(key_vault):
    async with cloudkit.azure(key_vault) as store:
        await store._vault.call(lambda client: client.set_secret("a", "theirs"))
        found = await store.get("a")
        assert (found.value, await store.get("a")) == (Secret("theirs"), found)
        assert (await store.get_version("a", found.version)).value == Secret("theirs")
        assert await store.put("a", Secret("ours")) == found.version + 1


async def test_a_disabled_secret_is_not_there(key_vault):
    async with cloudkit.azure(key_vault) as store:
        await store.put("a", Secret("x"))
        (version,) = key_vault.secrets["a"]
        version["attributes"]["enabled"] = False
        with pytest.raises(SecretNotFound):
            await store.get("a")
        assert (await store.list()).items == ()
        assert [one.state for one in await store.versions("a")] == [VersionState.DELETED]


async def test_a_deleted_secret_that_is_written_goes_on_counting(key_vault):
    async with cloudkit.azure(key_vault) as store:
        for value in ("one", "two"):
            await store.put("a", Secret(value))
        await store.delete("a")
        assert await store.put("a", Secret("three")) == 3
        assert (await store.get_version("a", 1)).value == Secret("one")


async def test_health_asks_for_what_nobody_has(key_vault):
    for refuse, status in ((0, Status.UP), (403, Status.DOWN), (503, Status.DOWN)):
        key_vault.refuse = refuse
        lent = contracted.context()
        async with cloudkit.azure(key_vault, lent, timeout=10):
            (check,) = lent.checks
            assert (await check.check()).status is status


@given(path=st.lists(SEGMENT, min_size=1, max_size=3).map("/".join), prefix=st.sampled_from(["", "app-0"]))
def test_every_path_has_a_name_of_its_own_whatever_the_case(path, prefix):
    name = secret_name(prefix, path)
    assert path_of(prefix, name) == path
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


@pytest.mark.parametrize("name", ["other", "app-0a-", "app-0a-3", "app-0A"])
def test_names_of_others_are_no_paths(name):
    assert path_of("app-0", name) is None


async def test_what_the_vault_cannot_hold_is_refused(key_vault):
    async with cloudkit.azure(key_vault) as store:
        with pytest.raises(InvalidSecretPath):
            await store.put("a/" * 60 + "a", Secret("x"))
        assert not key_vault.calls


@pytest.mark.parametrize("login", ["managed-identity", "workload-identity"])
def test_a_machine_can_have_its_own_identity(login, key_vault, monkeypatch, tmp_path):
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(tmp_path / "token"))
    store = cloudkit.azure(key_vault, login=login)
    assert "canary" not in repr(vars(store)) + repr(vars(store._vault)) + repr(store._vault._settings)
