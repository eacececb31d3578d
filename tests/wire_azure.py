"""Our own server that speaks the wire protocol of Azure Key Vault's secrets, over TLS, and issues its own tokens.

It is not Microsoft's: what it does at the edges was written after the service's documentation. Versions are listed in
no order, and two that were written within a second have one and the same time.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator

import trustme
from aiohttp import web

import cloudkit

TENANT = "00000000-0000-0000-0000-000000000001"
CLIENT, SECRET = "tests", "canary-client-secret"
PAGE = 25


class FakeKeyVault:
    """`failures` are answered one by one, each instead of the right thing; `refuse` for good."""

    def __init__(self) -> None:
        self.secrets: dict[str, list[dict]] = {}
        self.deleted: dict[str, tuple[list[dict], int]] = {}
        self.failures: list[int] = []
        self.refuse = 0
        self.hang = False
        self.calls: list[str] = []
        self.tokens: set[str] = set()
        self.url = ""
        self.ca_file = ""

    def settings(self):
        return {
            "url": self.url,
            "ca_file": self.ca_file,
            "authority": self.url,
            "login": "client-secret",
            "tenant_id": TENANT,
            "client_id": CLIENT,
            "client_secret": SECRET,
            "check_resource": False,
            "poll": 0.01,
        }

    async def token(self, request):
        form = await request.post()
        if form.get("client_secret") != SECRET:
            body = {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided."}
            return web.json_response(body, status=401)
        self.tokens.add(token := uuid.uuid4().hex)
        return web.json_response({"token_type": "Bearer", "expires_in": 3600, "access_token": token})

    async def handle(self, request):
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            challenge = f'Bearer authorization="{self.url}/{TENANT}", resource="https://vault.azure.net"'
            return _error(401, "Unauthorized", headers={"WWW-Authenticate": challenge})
        self.calls.append(f"{request.method} {request.path}")
        if self.hang:
            await asyncio.Event().wait()
        if self.failures:
            return _error(self.failures.pop(0), "Failed", headers={"Retry-After": "0"})
        if self.refuse:
            return _error(self.refuse, "Refused")
        body = await request.json() if request.can_read_body else {}
        kind, name, rest = ([*request.path.strip("/").split("/"), "", ""])[:3]
        answer = getattr(self, f"{request.method.lower()}_{kind}")
        return answer(request, name, rest, body)

    def get_secrets(self, request, name, rest, _):
        if not name:
            return self._page(
                request, [self._bundle(one, versions[-1], listed=True) for one, versions in self.secrets.items()]
            )
        versions = self.secrets.get(name)
        if not versions:
            return _error(404, "SecretNotFound")
        if rest == "versions":
            return self._page(request, [self._bundle(name, one, value=False) for one in reversed(versions)])
        found = next((one for one in versions if one["id"] == rest), None) if rest else versions[-1]
        if found is None:
            return _error(404, "SecretNotFound")
        if not found["attributes"]["enabled"]:
            return _error(403, "Forbidden", inner="SecretDisabled")
        return web.json_response(self._bundle(name, found))

    def put_secrets(self, _, name, __, body):
        if name in self.deleted:
            return _error(409, "Conflict", inner="ObjectIsDeletedButRecoverable")
        if len(body["value"].encode()) > 25_600:
            return _error(400, "BadParameter")
        now = int(time.time())
        made = {
            "id": uuid.uuid4().hex,
            "value": body["value"],
            "contentType": body.get("contentType"),
            "tags": body.get("tags") or {},
            "attributes": {"enabled": True, "created": now, "updated": now, **(body.get("attributes") or {})},
        }
        self.secrets.setdefault(name, []).append(made)
        return web.json_response(self._bundle(name, made))

    def patch_secrets(self, _, name, rest, body):
        found = next((one for one in self.secrets.get(name, []) if one["id"] == rest), None)
        if found is None:
            return _error(404, "SecretNotFound")
        found["attributes"] |= body.get("attributes") or {}
        found |= {key: body[key] for key in ("tags", "contentType") if key in body}
        return web.json_response(self._bundle(name, found, value=False))

    def delete_secrets(self, _, name, __, ___):
        if name not in self.secrets:
            return _error(404, "SecretNotFound")
        self.deleted[name] = self.secrets.pop(name), int(time.time())
        return web.json_response(self._gone(name))

    def get_deletedsecrets(self, _, name, __, ___):
        return web.json_response(self._gone(name)) if name in self.deleted else _error(404, "SecretNotFound")

    def post_deletedsecrets(self, _, name, rest, __):
        if name not in self.deleted or rest != "recover":
            return _error(404, "SecretNotFound")
        self.secrets[name] = self.deleted.pop(name)[0]
        return web.json_response(self._bundle(name, self.secrets[name][-1], value=False))

    def delete_deletedsecrets(self, _, name, __, ___):
        if self.deleted.pop(name, None) is None:
            return _error(404, "SecretNotFound")
        return web.Response(status=204)

    def _bundle(self, name, one, *, value=True, listed=False):
        place = f"{self.url}/secrets/{name}" + ("" if listed else f"/{one['id']}")
        bundle = {"id": place, "attributes": one["attributes"], "tags": one["tags"]}
        if one["contentType"]:
            bundle["contentType"] = one["contentType"]
        return bundle | ({"value": one["value"]} if value and not listed else {})

    def _gone(self, name):
        versions, when = self.deleted[name]
        recovery = {"recoveryId": f"{self.url}/deletedsecrets/{name}", "deletedDate": when}
        return self._bundle(name, versions[-1], value=False) | recovery | {"scheduledPurgeDate": when + 90 * 86_400}

    def _page(self, request, items):
        first = int(request.query.get("skip", "0"))
        more = f"{self.url}{request.path}?api-version=7.6&skip={first + PAGE}" if first + PAGE < len(items) else None
        return web.json_response({"value": items[first : first + PAGE], "nextLink": more})


def _error(status, code, *, inner="", headers=None):
    error = {"code": code, "message": "canary-message"} | ({"innererror": {"code": inner}} if inner else {})
    return web.json_response({"error": error}, status=status, headers=headers)


@contextlib.asynccontextmanager
async def key_vault(folder) -> AsyncIterator[FakeKeyVault]:
    """A server for one test, on a free loopback port; its authority's certificate is put into ``folder``."""
    fake, authority = FakeKeyVault(), trustme.CA()
    fake.ca_file = str(folder / "vault.pem")
    authority.cert_pem.write_to_path(fake.ca_file)
    app = web.Application()
    app.router.add_post("/{tenant}/oauth2/v2.0/token", fake.token)
    app.router.add_route("*", "/{rest:.*}", fake.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=cloudkit.tls(authority))
    await site.start()
    fake.url = f"https://localhost:{site._server.sockets[0].getsockname()[1]}"
    try:
        yield fake
    finally:
        await runner.cleanup()
