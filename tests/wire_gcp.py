"""Our own server that speaks the wire protocol of Google's Secret Manager, by the official package's messages.

It keeps secrets in memory, checks checksums and etags, and refuses what the service refuses. It is not Google's: what
it does at the edges was written after the service's documentation.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import grpc.aio
from google.cloud import secretmanager_v1 as sm
from google.protobuf import empty_pb2
from google_crc32c import value as crc32c

SERVICE = "/google.cloud.secretmanager.v1.SecretManagerService/"
PROJECT = "tests"
Code = grpc.StatusCode
State = sm.SecretVersion.State


class FakeSecretManager(grpc.GenericRpcHandler):
    """`failures` are raised one by one, each instead of an answer; `refuse` for good; `corrupt` spoils what is read."""

    def __init__(self) -> None:
        self.secrets: dict[str, sm.Secret] = {}
        self.versions: dict[str, list[tuple[sm.SecretVersion, bytes]]] = {}
        self.failures: list[Code] = []
        self.refuse: Code | None = None
        self.hang = False
        self.corrupt = False
        self.forget_checksum = False
        self.calls: list[str] = []
        self.address = ""
        self._etags = 0

    def service(self, handler_call_details):
        method = handler_call_details.method.removeprefix(SERVICE)
        answer = getattr(self, method, None)
        if not handler_call_details.method.startswith(SERVICE) or answer is None:
            return None

        async def handle(request, context):
            self.calls.append(method)
            if self.hang:
                await asyncio.Event().wait()
            if self.failures:
                await context.abort(self.failures.pop(0), "canary-message")
            if self.refuse is not None:
                await context.abort(self.refuse, "canary-message")
            await asyncio.sleep(0)  # others may come in between
            try:
                return answer(request)
            except _Refused as refused:
                await context.abort(*refused.args)

        return grpc.unary_unary_rpc_method_handler(
            handle,
            request_deserializer=getattr(sm, f"{method}Request").deserialize,
            response_serializer=lambda message: (
                message.SerializeToString()
                if isinstance(message, empty_pb2.Empty)
                else type(message).serialize(message)
            ),
        )

    def CreateSecret(self, request):
        name = f"{request.parent}/secrets/{request.secret_id}"
        if name in self.secrets:
            raise _Refused(Code.ALREADY_EXISTS, f"Secret [{name}] already exists.")
        secret = sm.Secret(request.secret)
        secret.name, secret.create_time = name, _now()
        self.versions[name] = []
        return self._kept(secret)

    def GetSecret(self, request):
        return self._secret(request.name)

    def UpdateSecret(self, request):
        secret = self._secret(request.secret.name)
        if request.secret.etag and request.secret.etag != secret.etag:
            raise _Refused(Code.ABORTED, "The etag does not match.")
        changed = sm.Secret(secret)
        for field in request.update_mask.paths:
            if field == "version_aliases":
                for number in request.secret.version_aliases.values():
                    self._version(f"{secret.name}/versions/{number}")
            setattr(changed, field, getattr(request.secret, field))
        return self._kept(changed)

    def DeleteSecret(self, request):
        self._secret(request.name)
        del self.secrets[request.name], self.versions[request.name]
        return empty_pb2.Empty()

    def ListSecrets(self, request):
        names = [name for name in reversed(self.secrets) if name.startswith(f"{request.parent}/secrets/")]
        page, more = _page(names, request)
        return sm.ListSecretsResponse(secrets=[self.secrets[name] for name in page], next_page_token=more)

    def AddSecretVersion(self, request):
        self._secret(request.parent)
        data, versions = request.payload.data, self.versions[request.parent]
        if not 0 < len(data) <= 65_536:
            raise _Refused(Code.INVALID_ARGUMENT, "The payload is empty or too large.")
        if "data_crc32c" in request.payload and request.payload.data_crc32c != crc32c(data):
            raise _Refused(Code.INVALID_ARGUMENT, "The checksum does not match.")
        version = sm.SecretVersion(
            name=f"{request.parent}/versions/{len(versions) + 1}",
            state=State.ENABLED,
            create_time=_now(),
            client_specified_payload_checksum="data_crc32c" in request.payload and not self.forget_checksum,
        )
        versions.append((version, data))
        return version

    def AccessSecretVersion(self, request):
        version, data = self._version(request.name)
        if version.state != State.ENABLED:
            raise _Refused(
                Code.FAILED_PRECONDITION, f"Secret Version [{version.name}] is in {version.state.name} state."
            )
        checksum = crc32c(data)
        if self.corrupt:
            data = bytes([data[0] ^ 1]) + data[1:]
        return sm.AccessSecretVersionResponse(
            name=version.name, payload=sm.SecretPayload(data=data, data_crc32c=checksum)
        )

    def GetSecretVersion(self, request):
        return self._version(request.name)[0]

    def ListSecretVersions(self, request):
        self._secret(request.parent)
        page, more = _page(list(reversed(self.versions[request.parent])), request)
        return sm.ListSecretVersionsResponse(versions=[version for version, _ in page], next_page_token=more)

    def DisableSecretVersion(self, request):
        return self._changed(request.name, State.DISABLED)

    def EnableSecretVersion(self, request):
        return self._changed(request.name, State.ENABLED)

    def DestroySecretVersion(self, request):
        return self._changed(request.name, State.DESTROYED)

    def _changed(self, name, state):
        version, data = self._version(name)
        if version.state == State.DESTROYED:
            raise _Refused(Code.FAILED_PRECONDITION, "The version is destroyed.")
        version.state = state
        if state == State.DESTROYED:
            version.destroy_time = _now()
            versions = self.versions[version.name.rpartition("/versions/")[0]]
            versions[versions.index((version, data))] = (version, b"")
        return version

    def _secret(self, name):
        if name not in self.secrets:
            raise _Refused(Code.NOT_FOUND, f"Secret [{name}] not found.")
        return self.secrets[name]

    def _version(self, name):
        parent, _, which = name.rpartition("/versions/")
        secret, versions = self._secret(parent), self.versions[parent]
        if which == "latest":
            number = len(versions)
        else:
            number = int(which) if which.isdigit() else secret.version_aliases.get(which, 0)
        if not 1 <= number <= len(versions):
            raise _Refused(Code.NOT_FOUND, f"Secret Version [{name}] not found.")
        return versions[number - 1]

    def _kept(self, secret):
        self._etags += 1
        secret.etag = f'"{self._etags:x}"'
        self.secrets[secret.name] = secret
        return secret


class _Refused(Exception):
    """The code and the text."""


def _page(items, request):
    first, size = int(request.page_token or 0), request.page_size or 25
    more = first + size
    return items[first:more], str(more) if more < len(items) else ""


def _serialised(message):
    return message.SerializeToString() if isinstance(message, empty_pb2.Empty) else type(message).serialize(message)


def _now():
    return datetime.now(UTC)


@contextlib.asynccontextmanager
async def secret_manager() -> AsyncIterator[FakeSecretManager]:
    """A server for one test, on a free loopback port."""
    fake = FakeSecretManager()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((fake,))
    fake.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield fake
    finally:
        await server.stop(None)
