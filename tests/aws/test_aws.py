"""What the contract cannot see of the AWS adapters: errors told apart, retries, stages, what is shown."""

from __future__ import annotations

import asyncio
import logging

import pytest
import trustme

import cloudkit
import contracted
from tradesense.core.errors import (
    DecryptionFailed,
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
from tradesense.core.secrets.models import VersionState, WrappedKey
from tradesense.core.sensitive import Secret
from tradesense.core.telemetry.models import Status

VALUE = "canary-value"
refusal = cloudkit.aws_refusal


@pytest.mark.parametrize(
    ("code", "status", "meant"),
    [
        ("ResourceNotFoundException", 400, SecretNotFound),
        ("InvalidRequestException", 400, SecretNotFound),
        ("AccessDeniedException", 400, SecretDenied),
        ("UnrecognizedClientException", 400, SecretDenied),
        ("InvalidSignatureException", 400, SecretDenied),
        ("DecryptionFailure", 400, SecretDenied),
        ("SomethingNew", 403, SecretDenied),
        ("ExpiredTokenException", 400, SecretCredentialsExpired),
        ("ThrottlingException", 400, SecretStoreThrottled),
        ("TooManyRequestsException", 429, SecretStoreThrottled),
        ("InternalServiceError", 500, SecretStoreUnavailable),
        ("ServiceUnavailable", 503, SecretStoreUnavailable),
        ("ValidationException", 400, SecretStoreMalformed),
    ],
)
async def test_each_refusal_is_its_own_error(code, status, meant):
    async with cloudkit.scripted() as server, cloudkit.aws("aws", server.url) as store:
        server.answers = [refusal(code, status, "canary-message")]
        with pytest.raises(meant) as caught:
            await store.get("a")
    assert type(caught.value) is meant
    assert "canary" not in caught.value.line()


@pytest.mark.parametrize(("code", "status"), [("ThrottlingException", 400), ("InternalServiceError", 500)])
async def test_what_may_pass_is_tried_again_and_the_rest_is_not(code, status):
    async with cloudkit.scripted() as server, cloudkit.aws("aws", server.url) as store:
        server.answers = [refusal(code, status), refusal(code, status), refusal("AccessDeniedException")]
        with pytest.raises(SecretDenied):
            await store.get("a")
        assert len(server.requests) == 3


async def test_a_write_that_may_have_been_done_is_not_done_twice():
    async with cloudkit.scripted() as server, cloudkit.aws("aws_ssm", server.url) as store:
        server.answers = [refusal("InternalServerError", 500)]
        with pytest.raises(SecretStoreUnavailable):
            await store.put("a", Secret(VALUE))
        assert len(server.requests) == 1
        server.answers = [refusal("ThrottlingException"), refusal("AccessDeniedException")]
        with pytest.raises(SecretDenied):
            await store.put("a", Secret(VALUE))
        assert len(server.requests) == 3


async def test_a_service_that_hangs_is_unavailable_in_time():
    async with cloudkit.scripted() as server, cloudkit.aws("aws", server.url, timeout=0.5) as store:
        server.answers = [hanging := asyncio.Event()]
        with pytest.raises(SecretStoreUnavailable):
            await asyncio.wait_for(store.get("a"), 20)
        hanging.set()


async def test_a_certificate_of_somebody_else_is_its_own_error(tmp_path):
    authority, other = trustme.CA(), trustme.CA()
    context = cloudkit.tls(authority)
    for name, one in (("ours", authority), ("other", other)):
        one.cert_pem.write_to_path(tmp_path / f"{name}.pem")
    async with cloudkit.scripted(context) as server:
        server.answers = [refusal("ResourceNotFoundException")]
        async with cloudkit.aws("aws", server.url, ca_file=str(tmp_path / "other.pem")) as store:
            with pytest.raises(SecretStoreUntrusted):
                await store.get("a")
        async with cloudkit.aws("aws", server.url, ca_file=str(tmp_path / "ours.pem")) as store:
            with pytest.raises(SecretNotFound):
                await store.get("a")


async def test_neither_key_nor_value_is_shown(caplog):
    caplog.set_level(logging.INFO)
    async with cloudkit.scripted() as server, cloudkit.aws("aws", server.url) as store:
        server.answers = [refusal("ValidationException", 400, VALUE)]
        with pytest.raises(SecretStoreUnavailable) as caught:
            await store.put("a", Secret(VALUE))
        shown = repr(vars(store)) + repr(vars(store._service)) + caplog.text + repr(caught.value) + caught.value.line()
    assert "canary" not in shown


async def test_health_tells_a_service_that_answers_from_one_that_does_not(moto):
    async with cloudkit.aws("aws_ssm", moto.address, timeout=30) as store:
        assert (await store.list("no-such/")).items == ()  # the emulator takes its time for the first of these
    for url, status in ((moto.address, Status.UP), ("http://127.0.0.1:1", Status.DOWN)):
        for name, more in (("aws", {}), ("aws_ssm", {}), ("aws_kms", {"key_id": cloudkit.kms_key(moto.address)})):
            lent = contracted.context()
            async with cloudkit.aws(name, url, lent, **more):
                (check,) = lent.checks
                assert (check.name, (await check.check()).status) == (name, status)


async def test_the_stages_are_those_of_the_service(moto, unique_prefix):
    async with cloudkit.aws("aws", moto.address, prefix=f"{unique_prefix}/") as store:
        for value in ("one", "two"):
            await store.put("a", Secret(value))
        staged = await store.stage("a", Secret("three"))
        assert await _stages(store) == {1: [], 2: ["AWSCURRENT"], 3: ["AWSPENDING"]} | {1: ["AWSPREVIOUS"]}
        assert [one.state for one in await store.versions("a")][-1] is VersionState.PENDING
        await store.promote("a", staged)
        stages = await _stages(store)
        assert (stages[2], "AWSCURRENT" in stages[3]) == (["AWSPREVIOUS"], True)
        await store.put("a", Secret("four"), cas=3)
        assert await store.pending("a") is None


async def _stages(store):
    reply = await store._service.call("describe_secret", SecretId=store._name("a"))
    return {int(key[-13:]): value for key, value in reply["VersionIdsToStages"].items()}


async def test_a_write_takes_the_place_of_what_was_pending(moto, unique_prefix):
    async with cloudkit.aws("aws", moto.address, prefix=f"{unique_prefix}/") as store:
        await store.put("a", Secret("one"))
        staged = await store.stage("a", Secret("two"))
        with pytest.raises(SecretConflict):
            await store.put("a", Secret("never"), cas=staged)
        assert await store.put("a", Secret("three"), cas=1) == 3
        assert (await store.get("a")).value == Secret("three")
        with pytest.raises(SecretConflict):
            await store.promote("a", staged)


async def test_what_others_wrote_is_read_and_has_a_number_that_stays(moto, unique_prefix):
    async with cloudkit.aws("aws", moto.address, prefix=f"{unique_prefix}/") as store:
        await store._service.call("create_secret", Name=f"{unique_prefix}/a", SecretString=VALUE)
        found = await store.get("a")
        assert found.value == Secret(VALUE)
        assert found == await store.get("a")
        assert await store.put("a", Secret("ours")) > 1
        assert (await store.list()).items == ("a",)


async def test_parameter_store_says_what_it_cannot_hold(moto):
    async with cloudkit.aws("aws_ssm", moto.address) as store:
        for value in (b"\xff\xfe", b"tradesense:empty"):
            with pytest.raises(InvalidInput):
                await store.put("a", Secret(value))
        with pytest.raises(InvalidSecretPath):
            await store.put("/".join("abcdefghijklmnopq"), Secret("x"))
    async with cloudkit.aws("aws_ssm", moto.address, prefix="/") as store:
        with pytest.raises(InvalidSecretPath):
            await store.put("aws/x", Secret("x"))


async def test_a_key_that_is_not_for_us_is_no_broken_envelope():
    async with cloudkit.scripted() as server, cloudkit.aws("aws_kms", server.url, key_id="k") as keys:
        server.answers = [refusal("AccessDeniedException", 400, "User is not authorized to perform: kms:Decrypt")]
        with pytest.raises(SecretDenied):
            await keys.unwrap(WrappedKey(key_id="k", blob=b"x" * 60), {})
        server.answers = [refusal("AccessDeniedException", 400, "The ciphertext refers to a customer master key …")]
        with pytest.raises(DecryptionFailed):
            await keys.unwrap(WrappedKey(key_id="k", blob=b"x" * 60), {})
