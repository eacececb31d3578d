"""The contract of what signs tokens (RFC 7519, RFC 8725)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import string
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tradesense.core.capabilities import Capability
from tradesense.core.errors import TokenRefused
from tradesense.core.identity.models import TokenKind
from tradesense.core.identity.ports import TokenSigner
from tradesense.core.testing.base import Contract, Make, fresh, opened, requires, together

ALPHABET = string.ascii_letters + string.digits + "-_"
KIND = TokenKind.ACCESS
PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
"""The members of a JWK that tell a private or a secret key (RFC 7518, sections 6.2 to 6.4; RFC 8037)."""

Json = dict[str, Any]
Forge = Callable[[TokenSigner, Json, Json], str]


class TokenSignerContract(Contract):
    """What every :class:`TokenSigner` must do. Its tests forge tokens with the adapter's own key."""

    port = TokenSigner

    @pytest.fixture
    def forge(self) -> Forge:
        """Override this: return a callable ``(signer, header, claims)`` that gives a compact JWS of exactly these.

        It signs with the key of ``signer`` as ``signer`` does, and checks nothing.
        """
        pytest.fail(
            f"{type(self).__name__} must override the fixture `forge`: return a callable (signer, header, claims) that "
            "gives a compact JWS of exactly these, signed with the signer's key",
            pytrace=False,
        )

    @pytest.fixture
    def now(self) -> int:
        """Override this where the adapter has a clock of its own: the present, in seconds since 1970."""
        return int(time.time())

    async def test_a_token_brings_its_claims_back(self, adapter: Make[TokenSigner], now: int) -> None:
        claims = _claims(now) | {"name": "Zoë 🦄 日本", "deep": {"list": [1, 2.5, None, True]}, "empty": ""}
        async with opened(adapter()) as signer:
            token = (await signer.sign(KIND, claims)).reveal()
            answer = await signer.verify(KIND, token)
            assert {name: answer[name] for name in claims} == claims
            assert answer["iss"]
            assert answer["aud"]
            header, _ = _opened_token(token)
            assert header["typ"] == KIND.value
            assert str(header["alg"]).lower() != "none"

    async def test_signing_leaves_the_given_claims_alone(self, adapter: Make[TokenSigner], now: int) -> None:
        claims = _claims(now)
        given = dict(claims)
        async with opened(adapter()) as signer:
            await signer.sign(KIND, given)
        assert given == claims

    async def test_adapters_of_one_configuration_accept_each_others_tokens(
        self, adapter: Make[TokenSigner], now: int
    ) -> None:
        async with opened(adapter()) as one, opened(adapter()) as other:
            token = (await one.sign(KIND, _claims(now))).reveal()
            assert await other.verify(KIND, token) == await one.verify(KIND, token)

    async def test_concurrent_tokens_are_not_mixed_up(self, adapter: Make[TokenSigner], now: int) -> None:
        async with opened(adapter()) as signer:
            subjects = [fresh() for _ in range(16)]

            async def there_and_back(number: int) -> object:
                token = await signer.sign(KIND, _claims(now) | {"sub": subjects[number]})
                return (await signer.verify(KIND, token.reveal()))["sub"]

            assert await together(16, there_and_back) == subjects

    @pytest.mark.parametrize("segment", [0, 1, 2], ids=["header", "claims", "signature"])
    async def test_a_changed_segment_is_refused(self, adapter: Make[TokenSigner], now: int, segment: int) -> None:
        async with opened(adapter()) as signer:
            parts = (await signer.sign(KIND, _claims(now))).reveal().split(".")
            text = parts[segment]
            # The last character has bits that do not count; another test is about them.
            for place in {*range(0, len(text) - 1, 5), len(text) - 2}:
                other = ALPHABET[(ALPHABET.index(text[place]) + 32) % 64]
                changed = text[:place] + other + text[place + 1 :]
                await _refused(signer, ".".join([*parts[:segment], changed, *parts[segment + 1 :]]))

    async def test_a_signature_of_other_claims_is_refused(self, adapter: Make[TokenSigner], now: int) -> None:
        async with opened(adapter()) as signer:
            one = (await signer.sign(KIND, _claims(now))).reveal().split(".")
            other = (await signer.sign(KIND, _claims(now))).reveal().split(".")
            await _refused(signer, ".".join([one[0], one[1], other[2]]))
            await _refused(signer, ".".join([one[0], other[1], one[2]]))

    @pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", ""])
    async def test_a_token_without_a_signature_is_refused(
        self, adapter: Make[TokenSigner], now: int, algorithm: str
    ) -> None:
        async with opened(adapter()) as signer:
            token = (await signer.sign(KIND, _claims(now))).reveal()
            header, claims = _opened_token(token)
            unsigned = f"{_segment(header | {'alg': algorithm})}.{_segment(claims)}."
            await _refused(signer, unsigned)
            await _refused(signer, unsigned + token.rpartition(".")[2])
            await _refused(signer, token.rpartition(".")[0] + ".")

    async def test_a_token_that_is_no_compact_jws_is_refused(self, adapter: Make[TokenSigner], now: int) -> None:
        async with opened(adapter()) as signer:
            token = (await signer.sign(KIND, _claims(now))).reveal()
            header, claims = _opened_token(token)
            odd = ["", ".", "..", "...", "a", "a.b", "a.b.c", "é.é.é", "\x00", "\ud800", token + "." + token]
            odd += [json.dumps({"payload": _segment(claims), "protected": _segment(header), "signature": "AAAA"})]
            for text in ("[]", "1", "null", '"x"', "{", "[" * 2000):
                odd += [f"{_encoded(text.encode())}.{_segment(claims)}.AAAA"]
            for text in odd:
                await _refused(signer, text)

    async def test_a_token_that_is_not_canonical_is_refused(self, adapter: Make[TokenSigner], now: int) -> None:
        async with opened(adapter()) as signer:
            token = (await signer.sign(KIND, _claims(now))).reveal()
            head, _, signature = token.rpartition(".")
            odd = [token + "=", token + "==", token + "\n", " " + token, token + ".", f"{head}. {signature}"]
            odd += [f"{head}.{signature[:9]}\n{signature[9:]}", f"{head}.{signature[:9]}!{signature[9:]}"]
            same = _decoded(signature)
            odd += [
                f"{head}.{signature[:-1]}{last}"
                for last in ALPHABET
                if last != signature[-1] and _decoded(signature[:-1] + last) == same
            ]
            for text in odd:
                await _refused(signer, text)

    async def test_a_token_over_8_kib_is_refused_and_one_below_is_not(
        self, adapter: Make[TokenSigner], forge: Forge, now: int
    ) -> None:
        async with opened(adapter()) as signer:
            header, claims = _opened_token((await signer.sign(KIND, _claims(now))).reveal())
            below = forge(signer, header, claims | {"pad": "x" * 5000})
            assert len(below) < 8192
            assert (await signer.verify(KIND, below))["pad"] == "x" * 5000
            await _refused(signer, forge(signer, header, claims | {"pad": "x" * 6200}))
            await _refused(signer, forge(signer, header, claims | {"pad": "x" * 1_000_000}))

    @pytest.mark.parametrize("claim", ["iss", "aud", "exp", "iat", "sub", "jti"])
    async def test_a_token_without_a_claim_is_refused(
        self, adapter: Make[TokenSigner], forge: Forge, now: int, claim: str
    ) -> None:
        async with opened(adapter()) as signer:
            header, claims = _opened_token((await signer.sign(KIND, _claims(now))).reveal())
            assert await signer.verify(KIND, forge(signer, header, claims)), "the fixture `forge` signs as it should"
            del claims[claim]
            await _refused(signer, forge(signer, header, claims))

    async def test_a_token_for_another_time_issuer_or_audience_is_refused(
        self, adapter: Make[TokenSigner], forge: Forge, now: int
    ) -> None:
        wrong: list[Json] = [
            {"exp": now - 61, "iat": now - 600},
            {"exp": 0},
            {"exp": str(now + 600)},
            {"exp": None},
            {"nbf": now + 3600},
            {"iss": "https://elsewhere.example"},
            {"iss": ""},
            {"aud": "elsewhere"},
            {"aud": ["elsewhere"]},
            {"aud": []},
        ]
        async with opened(adapter()) as signer:
            header, claims = _opened_token((await signer.sign(KIND, _claims(now))).reveal())
            for change in wrong:
                await _refused(signer, forge(signer, header, claims | change))

    async def test_a_token_that_is_good_for_longer_than_its_kind_is_refused(
        self, adapter: Make[TokenSigner], forge: Forge, now: int
    ) -> None:
        async with opened(adapter()) as signer:
            header, claims = _opened_token((await signer.sign(KIND, _claims(now))).reveal())
            assert await signer.verify(KIND, forge(signer, header, claims | {"exp": now + KIND.longest}))
            await _refused(signer, forge(signer, header, claims | {"exp": now + KIND.longest + 1}))

    async def test_a_token_of_another_kind_is_refused(self, adapter: Make[TokenSigner], forge: Forge, now: int) -> None:
        async with opened(adapter()) as signer:
            header, claims = _opened_token((await signer.sign(KIND, _claims(now))).reveal())
            for typ in ("JWT", "jwt", "refresh+jwt", "", None, ["at+jwt"]):
                await _refused(signer, forge(signer, header | {"typ": typ}, claims))
            await _refused(signer, forge(signer, {key: header[key] for key in header if key != "typ"}, claims))

    async def test_a_token_with_a_critical_header_or_an_unknown_key_is_refused(
        self, adapter: Make[TokenSigner], forge: Forge, now: int
    ) -> None:
        async with opened(adapter()) as signer:
            header, claims = _opened_token((await signer.sign(KIND, _claims(now))).reveal())
            wrong: list[Json] = [{"crit": ["later"], "later": 1}, {"crit": []}, {"kid": fresh("kid")}, {"kid": 7}]
            for change in wrong:
                await _refused(signer, forge(signer, header | change, claims))

    async def test_private_keys_are_never_published(self, adapter: Make[TokenSigner]) -> None:
        async with opened(adapter()) as signer:
            published = signer.public_keys()
            assert json.loads(json.dumps(published)) == published
            keys: list[Json] = published["keys"]
            for key in keys:
                assert key["kty"] != "oct", "a symmetric key is a secret"
                assert not PRIVATE_MEMBERS & key.keys()
            assert Capability.PUBLIC_KEYS in self.capabilities or keys == []

    @requires(Capability.PUBLIC_KEYS)
    async def test_the_key_of_a_token_is_published(self, adapter: Make[TokenSigner], now: int) -> None:
        async with opened(adapter()) as signer:
            header, _ = _opened_token((await signer.sign(KIND, _claims(now))).reveal())
            key = {key["kid"]: key for key in signer.public_keys()["keys"]}[header["kid"]]
            assert key.get("alg", header["alg"]) == header["alg"]
            assert key.get("use", "sig") == "sig"

    @requires(Capability.PUBLIC_KEYS)
    async def test_a_public_key_is_no_secret_to_sign_with(self, adapter: Make[TokenSigner], now: int) -> None:
        async with opened(adapter()) as signer:
            header, claims = _opened_token((await signer.sign(KIND, _claims(now))).reveal())
            for key in signer.public_keys()["keys"]:
                texts = [json.dumps(key).encode(), *(str(value).encode() for value in key.values())]
                raws = [_decoded(str(key[name])) for name in ("x", "y", "n") if name in key]
                for secret in texts + raws:
                    await _refused(signer, _hs256(secret, header, claims))


def _claims(now: int) -> Json:
    return {"sub": fresh("u"), "sid": fresh("s"), "jti": fresh("j"), "iat": now, "exp": now + 600}


async def _refused(signer: TokenSigner, token: str) -> None:
    with pytest.raises(TokenRefused) as refusal:
        await signer.verify(KIND, token)
    told = refusal.value.line()
    assert len(token) < 16 or token not in told, "the refusal tells the token"


def _hs256(secret: bytes, header: Json, claims: Json) -> str:
    signed = f"{_segment(header | {'alg': 'HS256'})}.{_segment(claims)}"
    return f"{signed}.{_encoded(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


def _opened_token(token: str) -> tuple[Json, Json]:
    parts = token.split(".")
    assert len(parts) == 3, "a compact JWS has three segments"
    header, claims = (json.loads(_decoded(part)) for part in parts[:2])
    return header, claims


def _segment(value: Mapping[str, Any]) -> str:
    return _encoded(json.dumps(value).encode())


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
