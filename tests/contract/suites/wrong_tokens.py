"""Token signers that are wrong on purpose: each leaves one check out."""

import base64
import hashlib
import hmac
import json
import string
import time

import pytest

from tradesense.core.capabilities import Capability
from tradesense.core.errors import TokenRefused
from tradesense.core.sensitive import Secret
from tradesense.core.testing import TokenSignerContract

KEY = b"0123456789abcdef0123456789abcdef-only-for-tests"
ALPHABET = set(string.ascii_letters + string.digits + "-_.")
HEADER = {"alg": "HS256", "typ": "at+jwt", "kid": "k1"}


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def signature(signed):
    return hmac.new(KEY, signed.encode(), hashlib.sha256).digest()


def compact(header, claims):
    signed = ".".join(encoded(json.dumps(part).encode()) for part in (header, claims))
    return f"{signed}.{encoded(signature(signed))}"


class RightSigner:
    """Right, with each check where a subclass can leave it out."""

    longest = 900

    async def sign(self, kind, claims):
        return Secret(compact(HEADER | {"typ": kind.value}, {**claims, "iss": "us", "aud": "us"}))

    async def verify(self, kind, token):
        try:
            self.check_size(token)
            token = self.check_form(token)
            parts = token.split(".")
            header, claims = (json.loads(decoded(part)) for part in parts[:2])
            if len(parts) != 3 or not isinstance(header, dict) or not isinstance(claims, dict):
                raise TokenRefused
            self.check_header(header, kind)
            self.check_signature(parts)
            self.check_present(claims)
            self.check_time(claims)
            self.check_parties(claims)
        except (ValueError, RecursionError, KeyError, TypeError) as error:
            raise TokenRefused from error
        return claims

    def public_keys(self):
        return {"keys": []}

    def check_size(self, token):
        if len(token) > 8192:
            raise TokenRefused

    def check_form(self, token):
        if not set(token) <= ALPHABET:
            raise TokenRefused
        if any(encoded(decoded(part)) != part for part in token.split(".")):
            raise TokenRefused
        return token

    def check_header(self, header, kind):
        if header != HEADER | {"typ": kind.value}:
            raise TokenRefused

    def check_signature(self, parts):
        if not hmac.compare_digest(decoded(parts[2]), signature(".".join(parts[:2]))):
            raise TokenRefused

    def check_present(self, claims):
        for name in ("sub", "jti", "iat"):
            claims[name]

    def check_time(self, claims):
        now = time.time()
        if isinstance(claims["exp"], str) or claims["exp"] <= now or claims.get("nbf", 0) > now:
            raise TokenRefused
        if claims["exp"] - claims["iat"] > self.longest:
            raise TokenRefused

    def check_parties(self, claims):
        if claims["iss"] != "us" or claims["aud"] != "us":
            raise TokenRefused


class OverHs256(TokenSignerContract):
    Signer = RightSigner

    @pytest.fixture
    def adapter(self):
        return self.Signer

    @pytest.fixture
    def forge(self):
        return lambda _, header, claims: compact(header, claims)


class TestRight(OverHs256):
    pass


class TestTakesAlgNone(OverHs256):
    caught_by = ("test_a_token_without_a_signature_is_refused",)

    class Signer(RightSigner):
        def check_header(self, header, kind):
            if header["alg"].lower() != "none":
                super().check_header(header, kind)

        def check_signature(self, parts):
            if json.loads(decoded(parts[0]))["alg"].lower() != "none":
                super().check_signature(parts)


class TestChecksNoSignature(OverHs256):
    caught_by = ("test_a_changed_segment_is_refused", "test_a_signature_of_other_claims_is_refused")

    class Signer(RightSigner):
        def check_signature(self, parts):
            pass


class TestComparesHalfTheSignature(OverHs256):
    caught_by = ("test_a_changed_segment_is_refused",)

    class Signer(RightSigner):
        def check_signature(self, parts):
            if decoded(parts[2])[:16] != signature(".".join(parts[:2]))[:16]:
                raise TokenRefused


class TestTakesEveryKind(OverHs256):
    caught_by = ("test_a_token_of_another_kind_is_refused",)

    class Signer(RightSigner):
        def check_header(self, header, kind):
            super().check_header(header | {"typ": kind.value}, kind)


class TestIgnoresCriticalHeaders(OverHs256):
    caught_by = ("test_a_token_with_a_critical_header_or_an_unknown_key_is_refused",)

    class Signer(RightSigner):
        def check_header(self, header, kind):
            super().check_header({name: header.get(name) for name in HEADER}, kind)


class TestTakesAnyKeyId(OverHs256):
    caught_by = ("test_a_token_with_a_critical_header_or_an_unknown_key_is_refused",)

    class Signer(RightSigner):
        def check_header(self, header, kind):
            super().check_header(header | {"kid": "k1"}, kind)


class TestForgetsTheTime(OverHs256):
    caught_by = ("test_a_token_for_another_time_issuer_or_audience_is_refused",)

    class Signer(RightSigner):
        def check_time(self, claims):
            claims["exp"]


class TestTakesTokensThatNeverExpire(OverHs256):
    caught_by = ("test_a_token_without_a_claim_is_refused",)

    class Signer(RightSigner):
        def check_time(self, claims):
            if "exp" in claims:
                super().check_time(claims)


class TestTakesTokensOfAnyLife(OverHs256):
    caught_by = ("test_a_token_that_is_good_for_longer_than_its_kind_is_refused",)

    class Signer(RightSigner):
        longest = 86_400


class TestTakesEveryAudience(OverHs256):
    caught_by = ("test_a_token_for_another_time_issuer_or_audience_is_refused",)

    class Signer(RightSigner):
        def check_parties(self, claims):
            super().check_parties(claims | {"aud": claims["aud"] and "us"})


class TestIsNotStrictAboutForm(OverHs256):
    caught_by = ("test_a_token_that_is_not_canonical_is_refused",)

    class Signer(RightSigner):
        def check_form(self, token):
            return token.strip().rstrip("=")


class TestTakesUnusedBits(OverHs256):
    caught_by = ("test_a_token_that_is_not_canonical_is_refused",)

    class Signer(RightSigner):
        def check_form(self, token):
            if not set(token) <= ALPHABET:
                raise TokenRefused
            return token


class TestTakesEverySize(OverHs256):
    caught_by = ("test_a_token_over_8_kib_is_refused_and_one_below_is_not",)

    class Signer(RightSigner):
        def check_size(self, token):
            pass


class TestLetsParserErrorsOut(OverHs256):
    caught_by = ("test_a_token_that_is_no_compact_jws_is_refused",)

    class Signer(RightSigner):
        async def verify(self, kind, token):
            token.encode()
            return await super().verify(kind, token)


class TestTellsTheToken(OverHs256):
    caught_by = ("test_a_changed_segment_is_refused",)

    class Signer(RightSigner):
        async def verify(self, kind, token):
            try:
                return await super().verify(kind, token)
            except TokenRefused as error:
                raise TokenRefused(f"{token} is not accepted") from error


class TestChangesTheCallersClaims(OverHs256):
    caught_by = ("test_signing_leaves_the_given_claims_alone",)

    class Signer(RightSigner):
        async def sign(self, kind, claims):
            claims.update(iss="us", aud="us")
            return await super().sign(kind, claims)


class TestPublishesItsKey(OverHs256):
    capabilities = frozenset({Capability.PUBLIC_KEYS})
    caught_by = ("test_private_keys_are_never_published",)

    class Signer(RightSigner):
        def public_keys(self):
            return {"keys": [{"kty": "oct", "kid": "k1", "k": encoded(KEY)}]}


class TestSignsWithWhatItPublishes(OverHs256):
    """HS256 under a public key: who reads the key can sign (RFC 8725, section 2.1)."""

    capabilities = frozenset({Capability.PUBLIC_KEYS})
    caught_by = ("test_a_public_key_is_no_secret_to_sign_with",)

    class Signer(RightSigner):
        def public_keys(self):
            return {"keys": [{"kty": "OKP", "kid": "k1", "crv": "Ed25519", "x": encoded(KEY)}]}


class TestDeclaresKeysAndPublishesNone(OverHs256):
    capabilities = frozenset({Capability.PUBLIC_KEYS})
    caught_by = ("test_the_key_of_a_token_is_published",)
