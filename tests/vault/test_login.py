"""How the adapter for Vault gets its token, and keeps it alive, against a real OpenBao."""

from __future__ import annotations

import asyncio
import base64
import json
import time

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tradesense.adapters.vault._api import VaultApi
from tradesense.adapters.vault.secrets import VaultSecretStore
from tradesense.adapters.vault.settings import VaultSettings
from tradesense.core.errors import ConfigurationError, SecretCredentialsExpired, SecretDenied, SecretStoreUnavailable
from tradesense.core.sensitive import Secret
from tradesense.core.testing.base import eventually

PATIENCE = 40
VALUE = Secret("canary-value")


def made(openbao, **settings):
    known = VaultSettings(url=openbao.address, mount=openbao.mount, **settings)
    return VaultSecretStore(VaultApi(known), known.mount)


@pytest.fixture
def policy(openbao):
    rule = f'path "{openbao.mount}/*" {{ capabilities = ["create", "read", "update", "delete", "list"] }}'
    openbao.request("POST", f"sys/policies/acl/{openbao.mount}", {"policy": rule})
    return openbao.mount


@pytest.fixture
def approle(openbao, policy):
    """Makes an AppRole whose tokens live as a test says: where it is mounted, and what it needs."""

    def make(ttl, max_ttl):
        mount = f"approle-{openbao.mount}"
        openbao.request("POST", f"sys/auth/{mount}", {"type": "approle"})
        body = {"token_policies": [policy], "token_ttl": ttl, "token_max_ttl": max_ttl}
        openbao.request("POST", f"auth/{mount}/role/web", body)
        role_id = openbao.request("GET", f"auth/{mount}/role/web/role-id")[1]["data"]["role_id"]
        secret_id = openbao.request("POST", f"auth/{mount}/role/web/secret-id", {})[1]["data"]["secret_id"]
        return {"login": "approle", "login_mount": mount, "role_id": role_id, "secret_id": Secret(secret_id)}

    yield make
    openbao.request("DELETE", f"sys/auth/approle-{openbao.mount}")


async def test_an_approle_logs_in(openbao, approle):
    async with made(openbao, **approle("60s", "120s")) as store:
        await store.put("a", VALUE)
        assert (await store.get("a")).value == VALUE


async def test_F16_a_token_is_renewed_at_two_thirds_of_its_life_and_replaced_at_its_end(openbao, approle):
    async with made(openbao, **approle("2s", "4s")) as store:
        await store.put("a", VALUE)
        login = store._api.login
        first = login.token

        async def renewed():
            """The token was renewed."""
            assert (await store.get("a")).value == VALUE
            return login.renewed

        assert await eventually(renewed, seconds=PATIENCE)

        async def replaced():
            """There is another token, as the first one could be renewed no further."""
            assert (await store.get("a")).value == VALUE
            return login.token != first

        assert await eventually(replaced, seconds=PATIENCE)


async def test_F16_a_revoked_token_is_replaced_and_the_request_answered(openbao, approle):
    async with made(openbao, **approle("60s", "120s")) as store:
        await store.put("a", VALUE)
        openbao.request("POST", "auth/token/revoke", {"token": store._api.login.token.reveal()})
        found = await asyncio.gather(*(store.get("a") for _ in range(10)))
        assert [one.value for one in found] == [VALUE] * 10
        assert store._api.login.renewed == 1


async def test_F16_a_token_that_nobody_can_replace_has_expired(openbao, policy):
    created = openbao.request("POST", "auth/token/create", {"policies": [policy], "ttl": "60s"})[1]
    token = created["auth"]["client_token"]
    async with made(openbao, token=Secret(token)) as store:
        await store.put("a", VALUE)
        openbao.request("POST", "auth/token/revoke", {"token": token})
        with pytest.raises(SecretCredentialsExpired) as caught:
            await store.get("a")
    assert token not in caught.value.line()


async def test_a_given_token_is_renewed(openbao, policy):
    created = openbao.request("POST", "auth/token/create", {"policies": [policy, "default"], "ttl": "6s"})[1]
    async with made(openbao, token=Secret(created["auth"]["client_token"])) as store:
        until = time.monotonic() + 7

        async def outlived():
            """It works beyond the life that it was given."""
            await store.put("a", VALUE)
            return time.monotonic() > until and store._api.login.renewed

        assert await eventually(outlived, seconds=PATIENCE)


async def test_a_wrong_secret_id_is_denied(openbao, approle):
    settings = approle("60s", "120s") | {"secret_id": Secret("canary-wrong")}
    with pytest.raises(SecretDenied) as caught:
        async with made(openbao, **settings):
            pass
    assert "canary" not in caught.value.line()


async def test_a_jwt_logs_in_as_in_kubernetes(openbao, policy, tmp_path):
    mount, key = f"jwt-{openbao.mount}", rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    openbao.request("POST", f"sys/auth/{mount}", {"type": "jwt"})
    openbao.request("POST", f"auth/{mount}/config", {"jwt_validation_pubkeys": [public]})
    role = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["bao"], "token_policies": [policy]}
    openbao.request("POST", f"auth/{mount}/role/web", role)
    file = tmp_path / "token"
    file.write_text(_jwt(key, aud="bao") + "\n")
    settings = {"login": "jwt", "login_mount": mount, "role": "web", "jwt_file": str(file)}
    async with made(openbao, **settings) as store:
        await store.put("a", VALUE)
    file.write_text(_jwt(key, aud="somebody else"))
    with pytest.raises(SecretDenied):
        async with made(openbao, **settings):
            pass
    file.unlink()
    with pytest.raises(SecretStoreUnavailable, match="JWT"):
        async with made(openbao, **settings):
            pass
    openbao.request("DELETE", f"sys/auth/{mount}")


@pytest.mark.parametrize("lacking", [{}, {"login": "approle", "role_id": "x"}, {"login": "jwt"}])
def test_a_login_says_what_it_lacks(lacking):
    with pytest.raises(ConfigurationError, match="needs"):
        VaultApi(VaultSettings(**lacking))


def test_no_token_is_shown():
    api = VaultApi(VaultSettings(login="approle", role_id="r", secret_id=Secret("canary-secret-id")))
    assert "canary" not in repr(vars(api)) + repr(vars(api.login)) + repr(api._settings)


def _jwt(key, **claims):
    now = int(time.time())
    parts = [{"alg": "RS256", "typ": "JWT"}, {"sub": "pod", "iat": now, "nbf": now, "exp": now + 300} | claims]
    head = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    signed = key.sign(head, padding.PKCS1v15(), hashes.SHA256())
    return (head + b"." + base64.urlsafe_b64encode(signed).rstrip(b"=")).decode()
