"""What the contract cannot see of the adapter for Google Cloud: checksums, aliases, names, errors told apart."""

from __future__ import annotations

import asyncio
import json

import pytest
import trustme
from grpc import StatusCode
from hypothesis import given
from hypothesis import strategies as st

import cloudkit
import contracted
import wire_gcp
from tradesense.adapters.gcp._names import path_of, secret_id
from tradesense.core.errors import (
    ConfigurationError,
    InvalidInput,
    InvalidSecretPath,
    SecretConflict,
    SecretCredentialsExpired,
    SecretDenied,
    SecretNotFound,
    SecretStoreMalformed,
    SecretStoreThrottled,
    SecretStoreUnavailable,
    SecretStoreUntrusted,
)
from tradesense.core.sensitive import Secret
from tradesense.core.telemetry.models import Status

SEGMENT = st.from_regex(r"\A[A-Za-z0-9]([A-Za-z0-9._-]{0,10}[A-Za-z0-9_-])?\Z")


@pytest.mark.parametrize(
    ("code", "meant"),
    [
        (StatusCode.NOT_FOUND, SecretNotFound),
        (StatusCode.PERMISSION_DENIED, SecretDenied),
        (StatusCode.UNAUTHENTICATED, SecretCredentialsExpired),
        (StatusCode.RESOURCE_EXHAUSTED, SecretStoreThrottled),
        (StatusCode.UNAVAILABLE, SecretStoreUnavailable),
        (StatusCode.INTERNAL, SecretStoreUnavailable),
        (StatusCode.DEADLINE_EXCEEDED, SecretStoreUnavailable),
        (StatusCode.INVALID_ARGUMENT, SecretStoreMalformed),
    ],
)
async def test_each_refusal_is_its_own_error(secret_manager, code, meant):
    secret_manager.refuse = code
    async with cloudkit.gcp(secret_manager.address) as store:
        with pytest.raises(meant) as caught:
            await store.get("a")
    assert type(caught.value) is meant
    assert "canary" not in caught.value.line()


async def test_what_may_pass_is_tried_again_and_a_write_that_may_have_been_done_is_not(secret_manager):
    async with cloudkit.gcp(secret_manager.address) as store:
        await store.put("a", Secret("x"))
        secret_manager.failures = [StatusCode.UNAVAILABLE, StatusCode.RESOURCE_EXHAUSTED, StatusCode.INTERNAL]
        assert (await store.get("a")).value == Secret("x")
        secret_manager.calls.clear()
        secret_manager.failures = [StatusCode.RESOURCE_EXHAUSTED, StatusCode.RESOURCE_EXHAUSTED]
        await store.put("a", Secret("y"))
        assert secret_manager.calls.count("AddSecretVersion") == 1

        manager = store._manager
        secret_manager.calls.clear()
        secret_manager.failures = [StatusCode.INTERNAL]
        with pytest.raises(SecretStoreUnavailable):
            await manager.add(store._held.name("a"), b"z")
        assert secret_manager.calls == ["AddSecretVersion"]


async def test_a_value_that_changed_on_the_way_is_not_believed(secret_manager):
    async with cloudkit.gcp(secret_manager.address) as store:
        await store.put("a", Secret("as it was"))
        secret_manager.corrupt = True
        with pytest.raises(SecretStoreMalformed, match="checksum"):
            await store.get("a")
        secret_manager.corrupt = False
        assert (await store.get("a")).value == Secret("as it was")
        secret_manager.forget_checksum = True
        with pytest.raises(SecretStoreMalformed, match="checksum"):
            await store.put("a", Secret("not looked at"))
        assert (await store.get("a")).value == Secret("as it was")


async def test_the_service_refuses_what_has_another_checksum(secret_manager, monkeypatch):
    async with cloudkit.gcp(secret_manager.address) as store:
        monkeypatch.setattr("tradesense.adapters.gcp._client._crc32c", len)
        with pytest.raises(SecretStoreMalformed):
            await store.put("a", Secret("x"))


async def test_aliases_say_which_version_is_current_and_which_is_pending(secret_manager):
    async with cloudkit.gcp(secret_manager.address) as store:
        for value in ("one", "two"):
            await store.put("a", Secret(value))
        (name,) = secret_manager.secrets
        secret_manager.secrets[name].version_aliases["theirs"] = 1
        staged = await store.stage("a", Secret("three"))
        assert dict(secret_manager.secrets[name].version_aliases) == {"theirs": 1, "current": 2, "pending": 3}
        await store.promote("a", staged)
        assert dict(secret_manager.secrets[name].version_aliases) == {"theirs": 1, "current": 3}
        staged = await store.stage("a", Secret("four"))
        assert await store.put("a", Secret("five"), cas=3) == 5
        with pytest.raises(SecretConflict):
            await store.promote("a", staged)
        with pytest.raises(SecretNotFound):
            await store.get_version("a", staged)  # nobody will want it any more


async def test_a_secret_that_others_wrote_is_read_and_written(secret_manager):
    async with cloudkit.gcp(secret_manager.address) as store:
        name = store._held.name("team/a")
        await store._manager.call(
            "create_secret", {"parent": store._manager.parent, "secret_id": name.rpartition("/")[2], "secret": {}}
        )
        with pytest.raises(SecretNotFound):
            await store.get("team/a")
        for value in (b"one", b"two"):
            await store._manager.add(name, value)
        assert ((await store.get("team/a")).value, (await store.get("team/a")).version) == (Secret("two"), 2)
        with pytest.raises(SecretConflict):
            await store.put("team/a", Secret("never"), cas=1)
        assert await store.stage("team/a", Secret("three")) == 3
        assert (await store.get("team/a")).version == 2
        assert await store.put("team/a", Secret("four"), cas=2) == 4


async def test_a_service_that_hangs_is_unavailable_in_time(secret_manager):
    async with cloudkit.gcp(secret_manager.address, timeout=0.5) as store:
        secret_manager.hang = True
        with pytest.raises(SecretStoreUnavailable):
            await asyncio.wait_for(store.get("a"), 20)


async def test_a_certificate_of_somebody_else_is_its_own_error(tmp_path):
    file = tmp_path / "account.json"
    file.write_text(cloudkit.service_account())
    async with cloudkit.scripted(cloudkit.tls(trustme.CA())) as server:
        address = server.url.removeprefix("https://")
        async with cloudkit.gcp(address, plaintext=False, credentials_file=str(file)) as store:
            with pytest.raises(SecretStoreUntrusted):
                await store.get("a")


@pytest.mark.parametrize("content", [None, "{", json.dumps({"type": "service_account"})])
async def test_unusable_credentials_are_found_at_the_start(tmp_path, content):
    file = tmp_path / "account.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises((ConfigurationError, SecretDenied)):
        async with cloudkit.gcp("127.0.0.1:1", plaintext=False, credentials_file=str(file)):
            pass


async def test_health_asks_for_what_nobody_has(secret_manager):
    for address, refuse, status in (
        (secret_manager.address, None, Status.UP),
        (secret_manager.address, StatusCode.PERMISSION_DENIED, Status.DOWN),
        ("127.0.0.1:1", None, Status.DOWN),
    ):
        secret_manager.refuse = refuse
        lent = contracted.context()
        async with cloudkit.gcp(address, lent):
            (check,) = lent.checks
            assert (await check.check()).status is status


@given(path=st.lists(SEGMENT, min_size=1, max_size=4).map("/".join), prefix=st.sampled_from(["", "app-", "x"]))
def test_every_path_has_an_id_of_its_own(path, prefix):
    name = secret_id(prefix, path)
    assert path_of(prefix, name) == path
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


@pytest.mark.parametrize("name", ["other", "app-a_", "app-a_x", "app-_2"])
def test_ids_of_others_are_no_paths(name):
    assert path_of("app-", name) is None


async def test_what_the_service_cannot_hold_is_refused(secret_manager):
    async with cloudkit.gcp(secret_manager.address) as store:
        with pytest.raises(InvalidSecretPath):
            await store.put("a/" * 120 + "a" * 30, Secret("x"))
        with pytest.raises(InvalidInput):
            await store.put("a", Secret(b"\xff\xfetradesense:empty"))
        await store.put("empty", Secret(""))
    assert wire_gcp.PROJECT in next(iter(secret_manager.secrets))
