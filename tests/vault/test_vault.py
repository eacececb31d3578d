from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import trustme
from aiohttp import web

import cloudkit
from tradesense.adapters.vault import tradesense_adapters
from tradesense.adapters.vault._api import VaultApi
from tradesense.adapters.vault._health import VaultHealth
from tradesense.adapters.vault.secrets import VaultSecretStore, store
from tradesense.adapters.vault.settings import VaultSettings
from tradesense.core.errors import (
    AdapterClosed,
    ConfigurationError,
    SecretCredentialsExpired,
    SecretDenied,
    SecretNotFound,
    SecretStoreMalformed,
    SecretStoreSealed,
    SecretStoreThrottled,
    SecretStoreUnavailable,
    SecretStoreUntrusted,
    TradeSenseError,
)
from tradesense.core.secrets.models import VersionState
from tradesense.core.sensitive import Secret
from tradesense.core.telemetry.models import Status
from tradesense.plugins import AdapterContext

TOKEN = "s.canary-token"
VALUE = "canary-value"
HEALTHY = (200, b'{"initialized":true,"sealed":false}')
UNKNOWN = (403, b'{"errors":["permission denied"]}')


def made(url: str, token: str = TOKEN, *, mount: str = "secret", **more: Any) -> VaultSecretStore:
    settings = VaultSettings(url=url, token=Secret(token), mount=mount, **more)
    return VaultSecretStore(VaultApi(settings), settings.mount)


class Scripted:
    """Our own server that speaks the API's wire form and answers as a test says."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes] | None] = []
        self.requests: list[str] = []
        self.url = ""
        self.standing = {"sys/health": HEALTHY, "auth/token/lookup-self": UNKNOWN}
        """What is answered to the questions that the adapter asks by itself."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                length = next((int(line[15:]) for line in lines if line.lower().startswith("content-length:")), 0)
                await reader.readexactly(length)
                standing = next((self.standing[one] for one in self.standing if one in lines[0]), None)
                if standing is None:
                    self.requests.append(lines[0])
                answer = standing or self.answers.pop(0)
                if answer is None:
                    return
                status, body = answer
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def scripted() -> AsyncIterator[Scripted]:
    fake = Scripted()
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    fake.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield fake


ENTRY = msgspec.json.encode(
    {
        "data": {
            "data": {"value": VALUE},
            "metadata": {"version": 3, "created_time": "2026-01-02T03:04:05.123456789Z", "deletion_time": ""},
        }
    }
)


@pytest.mark.parametrize("answer", [(500, b"{}"), (502, b"<html>"), (429, b'{"errors":["quota"]}'), None])
async def test_a_read_is_tried_once_more_where_that_may_help(answer: tuple[int, bytes] | None) -> None:
    async with scripted() as fake, made(fake.url) as secrets:
        fake.answers = [answer, (200, ENTRY)]
        found = await secrets.get("a/b")
    assert (found.version, found.value) == (3, Secret(VALUE))
    assert found.created_at is not None
    assert fake.requests == ["GET /v1/secret/data/a/b HTTP/1.1"] * 2


@pytest.mark.parametrize(
    ("answer", "kind", "detail"),
    [
        ((503, b'{"errors":["Vault is sealed"]}'), SecretStoreSealed, "is sealed"),
        ((503, b'{"errors":[]}'), SecretStoreUnavailable, "status 503"),
        ((429, b'{"errors":["request path quota exceeded"]}'), SecretStoreThrottled, "throttles us"),
        ((500, b"not json"), SecretStoreUnavailable, "status 500"),
        ((307, b""), SecretStoreUnavailable, "status 307"),
        ((200, b'{"data":{"data":{"val'), SecretStoreMalformed, "cannot be read"),
        ((200, b"<html>Welcome</html>"), SecretStoreMalformed, "cannot be read"),
        ((200, b'{"data":{"data":null,"metadata":{}}}'), SecretStoreMalformed, "cannot be read"),
        ((200, b"\xff\xfe"), SecretStoreMalformed, "cannot be read"),
        (
            (404, b'{"errors":["no handler for route \\"x/data/a\\". route entry not found."]}'),
            SecretStoreUnavailable,
            "has no engine",
        ),
        (None, SecretStoreUnavailable, "cannot be reached"),
        (UNKNOWN, SecretCredentialsExpired, "knows our token no more"),
        ((403, b'{"errors":["1 error occurred:\\n\\t* permission denied"]}'), SecretDenied, "refused the token"),
    ],
)
async def test_F16_each_way_of_failing_is_an_error_of_its_own(
    answer: tuple[int, bytes] | None, kind: type[TradeSenseError], detail: str
) -> None:
    async with scripted() as fake, made(fake.url) as secrets:
        fake.answers = [answer] * 3
        with pytest.raises(kind, match=detail) as caught:
            await secrets.get("a")
    assert type(caught.value) is kind
    assert TOKEN not in repr(caught.value.__cause__) + caught.value.line()
    assert len(fake.requests) <= 2


async def test_F16_a_certificate_of_somebody_else_is_an_error_of_its_own(tmp_path: Any) -> None:
    authority = trustme.CA()
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    authority.cert_pem.write_to_path(str(tmp_path / "ours.pem"))
    async with cloudkit.scripted(cloudkit.tls(authority)) as server:
        server.answers = [lambda: web.Response(body=HEALTHY[1])]
        with pytest.raises(SecretStoreUntrusted):
            async with made(server.url, ca_file=str(tmp_path / "other.pem")):
                pass
        assert not server.requests
        server.answers = [lambda: web.Response(body=HEALTHY[1]), lambda: web.Response(status=403, body=UNKNOWN[1])]
        async with made(server.url, ca_file=str(tmp_path / "ours.pem")):
            pass


async def test_a_write_is_never_tried_twice() -> None:
    async with scripted() as fake, made(fake.url) as secrets:
        fake.answers = [(500, b"{}"), (200, b"{}")]
        with pytest.raises(SecretStoreUnavailable):
            await secrets.put("a", Secret(VALUE))
    assert len(fake.requests) == 1


async def test_neither_token_nor_value_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with scripted() as fake:
        secrets = made(fake.url)
        async with secrets:
            fake.answers = [(500, b"{}"), (200, ENTRY), (200, ENTRY[:60]), (403, b'{"errors":["permission denied"]}')]
            assert VALUE not in repr(await secrets.get("a"))
            with pytest.raises(SecretStoreUnavailable) as unreadable:
                await secrets.get("a")
            with pytest.raises(SecretDenied) as denied:
                await secrets.get("a")
    shown = caplog.text + repr([unreadable.value, unreadable.value.__cause__, denied.value, denied.value.line()])
    assert TOKEN not in shown
    assert VALUE not in shown


async def test_a_server_that_hangs_is_unavailable_in_time(openbao: Any, fault_proxy: Callable[..., Any]) -> None:
    now = asyncio.get_running_loop().time
    async with fault_proxy(openbao.host, openbao.port) as proxy:
        api = VaultApi(VaultSettings(url=f"http://{proxy.host}:{proxy.port}", token=Secret(openbao.token), timeout=0.5))
        async with VaultSecretStore(api, openbao.mount) as secrets:
            await secrets.put("a", Secret(VALUE))
            proxy.black_hole = True
            began = now()
            with pytest.raises(SecretStoreUnavailable, match=r"did not answer within 0\.5 s"):
                await secrets.get("a")
            assert now() - began < 2
            assert (await VaultHealth(api).check()).status is Status.DOWN
            proxy.black_hole = False
            proxy.reset()
            assert (await secrets.get("a")).value == Secret(VALUE)
            proxy.cut_after = 30
            with pytest.raises(SecretStoreUnavailable, match="cannot be reached"):
                await secrets.get("a")
            proxy.cut_after = None
            await proxy.down()
            with pytest.raises(SecretStoreUnavailable, match="cannot be reached"):
                await secrets.get("a")


async def test_a_sealed_server_says_so_and_serves_again_when_it_is_back(own_openbao: Any) -> None:
    server = own_openbao.server
    settings = VaultSettings(url=server.address, token=Secret(server.token))
    api = VaultApi(settings)
    async with VaultSecretStore(api, "secret") as secrets:
        await secrets.put("a", Secret(VALUE))
        assert (await VaultHealth(api).check()).status is Status.UP
        assert server.request("POST", "sys/seal")[0] < 300
        with pytest.raises(SecretStoreSealed, match="is sealed"):
            await secrets.get("a")
        health = await VaultHealth(api).check()
        assert (health.status, "is sealed" in health.detail) == (Status.DOWN, True)
        with pytest.raises(SecretStoreSealed, match="is sealed"):
            async with made(server.address):
                pass


async def test_a_token_that_may_only_read_is_denied_the_rest(openbao: Any) -> None:
    async with made(openbao.address, openbao.token, mount=openbao.mount) as secrets:
        await secrets.put("a", Secret(VALUE))
    name = f"reader-{openbao.mount}"
    rule = f'path "{openbao.mount}/data/*" {{ capabilities = ["read"] }}'
    openbao.request("POST", f"sys/policies/acl/{name}", {"policy": rule})
    _, created = openbao.request("POST", "auth/token/create", {"policies": [name]})
    token = created["auth"]["client_token"]
    async with made(openbao.address, token, mount=openbao.mount) as reader:
        assert (await reader.get("a")).value == Secret(VALUE)
        with pytest.raises(SecretNotFound):
            await reader.get("absent")
        for call in (reader.put("a", Secret("x")), reader.delete("a"), reader.list(), reader.versions("a")):
            with pytest.raises(SecretDenied, match="refused the token"):
                await call
        openbao.request("POST", "auth/token/revoke", {"token": token})
        with pytest.raises(SecretCredentialsExpired):
            await reader.get("a")


async def test_a_deleted_secret_keeps_its_versions_and_goes_on_counting(openbao: Any) -> None:
    async with made(openbao.address, openbao.token, mount=openbao.mount) as secrets:
        for value in ("one", "two"):
            await secrets.put("a/b", Secret(value))
        await secrets.delete("a/b")
        assert [one.state for one in await secrets.versions("a/b")] == [VersionState.DELETED] * 2
        with pytest.raises(SecretNotFound):
            await secrets.get_version("a/b", 1)
        assert await secrets.put("a/b", Secret("three"), cas=0) == 3
        assert [one.state for one in await secrets.versions("a/b")] == [VersionState.DELETED] * 2 + [
            VersionState.AVAILABLE
        ]


async def test_what_others_wrote_is_not_mistaken_for_a_secret(openbao: Any) -> None:
    for name, data in {"fields": {"user": "bob"}, "number": {"value": 7}, "bad": {"value_base64": "%"}}.items():
        openbao.request("POST", f"{openbao.mount}/data/{name}", {"data": data})
    openbao.request("POST", f"{openbao.mount}/data/odd%20name", {"data": {"value": "x"}})
    async with made(openbao.address, openbao.token, mount=openbao.mount) as secrets:
        for path in ("fields", "number", "bad"):
            with pytest.raises(SecretStoreMalformed, match="has no text in the field 'value'"):
                await secrets.get(path)
        assert (await secrets.list()).items == ("bad", "fields", "number")
        await secrets.delete("fields")
        assert await secrets.put("number", Secret(VALUE)) == 2
        for call in (secrets.get_version("number", 9), secrets.delete_versions("number", [9])):
            with pytest.raises(SecretNotFound, match="no version 9 of the secret 'number'"):
                await call


async def test_a_namespace_is_asked_for(openbao: Any) -> None:
    name = f"ns-{openbao.mount}"
    assert openbao.request("POST", f"sys/namespaces/{name}")[0] < 300
    assert openbao.request("POST", f"{name}/sys/mounts/kv", {"type": "kv", "options": {"version": "2"}})[0] < 300
    async with made(openbao.address, openbao.token, mount="kv", namespace=name) as secrets:
        await secrets.put("a", Secret(VALUE))
    assert openbao.request("GET", f"{name}/kv/data/a")[1]["data"]["data"] == {"value": VALUE}
    openbao.request("DELETE", f"sys/namespaces/{name}")


async def test_an_engine_of_version_1_is_refused_and_not_misread(openbao: Any) -> None:
    mount = f"{openbao.mount}-v1"
    openbao.request("POST", f"sys/mounts/{mount}", {"type": "kv", "options": {"version": "1"}})
    async with made(openbao.address, openbao.token, mount=mount) as secrets:
        with pytest.raises(SecretStoreUnavailable) as caught:
            await secrets.put("a", Secret(VALUE))
        assert "KV engine of version 2" in caught.value.mend
    openbao.request("DELETE", f"sys/mounts/{mount}")


async def test_an_absent_server_is_found_at_the_start() -> None:
    secrets = made("http://127.0.0.1:1")
    with pytest.raises(SecretStoreUnavailable, match=r"at http://127\.0\.0\.1:1 cannot be reached"):
        async with secrets:
            pass
    with pytest.raises(AdapterClosed):
        await secrets.get("a")


def test_an_unreadable_authority_is_a_clear_error(tmp_path: Any) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    for file in (tmp_path / "absent.pem", empty):
        with pytest.raises(ConfigurationError, match="not a readable PEM file"):
            made("https://127.0.0.1:1", ca_file=str(file))


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "ftp://x"},
        {"url": "http://user:pw@x"},
        {"mount": "../sys"},
        {"namespace": ".."},
        {"url": "http://x\n"},
        {"timeout": 0},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    settings = msgspec.structs.asdict(VaultSettings(token=Secret(""))) | wrong
    del settings["token"], settings["secret_id"]
    bare = msgspec.defstruct(
        "Bare",
        [
            (field.name, field.type, field.default)
            for field in msgspec.structs.fields(VaultSettings)
            if field.name not in {"token", "secret_id"}
        ],
    )
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(settings, bare)


def test_the_factory_watches_the_server() -> None:
    context = AdapterContext(clock=Any, random=Any, ids=Any)  # type: ignore[arg-type]  # unused here
    adapter = store(VaultSettings(token=Secret(TOKEN)), context)
    assert [check.name for check in context.checks] == ["vault"]
    assert TOKEN not in repr(vars(adapter)) + repr(vars(adapter._api)) + repr(VaultSettings(token=Secret(TOKEN)))
    assert [manifest.name for manifest in tradesense_adapters()] == ["vault", "vault_v1", "transit"]
