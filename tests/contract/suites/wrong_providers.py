"""External logins that are wrong on purpose."""

import asyncio
from urllib.parse import parse_qs, urlsplit

import pytest
from msgspec.structs import replace

from tradesense.adapters.memory.identity import MemoryIdentityProvider, _s256
from tradesense.adapters.system.ambient import SystemRandom
from tradesense.core.errors import CredentialsRefused
from tradesense.core.identity.models import ExternalIdentity
from tradesense.core.testing import IdentityProviderContract

JANE = ExternalIdentity(provider="memory", subject="24400320")


class OverMemory(IdentityProviderContract):
    Provider = MemoryIdentityProvider
    jane = JANE

    @pytest.fixture
    def adapter(self):
        return lambda: self.Provider(random=SystemRandom())

    @pytest.fixture
    def authorize(self):
        async def log_in(provider, url):
            return provider.grant(self.jane, parse_qs(urlsplit(url).query)["code_challenge"][0])

        return log_in


class TestRight(OverMemory):
    pass


class TestChecksNoVerifier(OverMemory):
    caught_by = ("test_a_code_is_good_for_its_own_request_only",)

    class Provider(MemoryIdentityProvider):
        async def exchange(self, *, code, **proof):
            asked, identity = self._granted.pop(code, (None, None))
            if asked is None or (asked.nonce, asked.redirect_uri) != (proof["nonce"], proof["redirect_uri"]):
                raise CredentialsRefused
            return identity


class TestChecksNoNonce(OverMemory):
    caught_by = ("test_a_code_is_good_for_its_own_request_only",)

    class Provider(MemoryIdentityProvider):
        async def exchange(self, *, code, **proof):
            asked, identity = self._granted.pop(code, (None, None))
            given = (_s256(proof["code_verifier"]), proof["redirect_uri"])
            if asked is None or (asked.challenge, asked.redirect_uri) != given:
                raise CredentialsRefused
            return identity


class TestTakesACodeAgain(OverMemory):
    caught_by = ("test_a_code_is_good_once", "test_of_concurrent_exchanges_of_a_code_one_at_most_succeeds")

    class Provider(MemoryIdentityProvider):
        async def exchange(self, *, code, **proof):
            kept = self._granted.get(code)
            identity = await super().exchange(code=code, **proof)
            self._granted[code] = kept
            return identity


class TestLooksBeforeItSpends(OverMemory):
    caught_by = ("test_of_concurrent_exchanges_of_a_code_one_at_most_succeeds",)

    class Provider(MemoryIdentityProvider):
        async def exchange(self, *, code, **proof):
            kept = self._granted.get(code)
            await asyncio.sleep(0)
            if kept is not None:
                self._granted[code] = kept
            return await super().exchange(code=code, **proof)


class TestTellsTheCode(OverMemory):
    caught_by = ("test_an_unknown_code_is_refused_and_not_told",)

    class Provider(MemoryIdentityProvider):
        async def exchange(self, *, code, **proof):
            try:
                return await super().exchange(code=code, **proof)
            except CredentialsRefused as error:
                raise CredentialsRefused(f"the code {code} is not known") from error


class TestQuotesNothing(OverMemory):
    caught_by = ("test_the_url_carries_state_challenge_and_nonce",)

    class Provider(MemoryIdentityProvider):
        async def authorization_url(self, *, state, **asked):
            url = await super().authorization_url(state="STATE", **asked)
            return url.replace("STATE", state)


class TestHasNoSubject(OverMemory):
    jane = replace(JANE, subject=" ")
    caught_by = ("test_a_code_proves_the_same_person_each_time",)


class TestMixesLoginsUp(OverMemory):
    caught_by = ("test_two_logins_at_once_are_not_mixed_up",)

    class Provider(MemoryIdentityProvider):
        async def authorization_url(self, **asked):
            self._last = asked
            return await super().authorization_url(**asked)

        async def exchange(self, *, code, **proof):
            asked, identity = self._granted.pop(code, (None, None))
            last = (self._last["nonce"], self._last["code_challenge"], self._last["redirect_uri"])
            if asked is None or (proof["nonce"], _s256(proof["code_verifier"]), proof["redirect_uri"]) != last:
                raise CredentialsRefused
            return identity
