"""The contract of external logins (RFC 6749, RFC 7636, OpenID Connect Core)."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from tradesense.core.errors import CredentialsRefused, IdentityProviderUnavailable
from tradesense.core.identity.models import ExternalIdentity
from tradesense.core.identity.ports import IdentityProvider
from tradesense.core.testing.base import Contract, Make, opened, together
from tradesense.core.testing.checks import refuse_when_unreachable

Authorize = Callable[[IdentityProvider, str], Awaitable[str]]
REDIRECT_URI = "https://app.example.org/api/v1/auth/oauth/callback"


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """One login: what the request says, and what the exchange must repeat."""

    state: str
    nonce: str
    verifier: str
    redirect_uri: str

    @property
    def challenge(self) -> str:
        """The S256 challenge of the verifier (RFC 7636, section 4.2)."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class IdentityProviderContract(Contract):
    """What every :class:`IdentityProvider` must do."""

    port = IdentityProvider

    openid: ClassVar[bool] = True
    """Whether the provider speaks OpenID Connect; without it a nonce is neither sent nor checked."""

    @pytest.fixture
    def authorize(self) -> Authorize:
        """Override this: return an async callable that takes the adapter and an authorization URL and gives a code.

        It logs the same person in each time, as a browser would that was sent to the URL.
        """
        pytest.fail(
            f"{type(self).__name__} must override the fixture `authorize`: return an async callable that takes the "
            "adapter and an authorization URL, logs somebody in there and gives the code",
            pytrace=False,
        )

    @pytest.fixture
    def redirect_uri(self) -> str:
        """Override this where the provider knows another: the address that it may send the browser back to."""
        return REDIRECT_URI

    @pytest.fixture
    def unreachable(self) -> Make[IdentityProvider] | None:
        """Override this where the backend can be away: a callable that makes an adapter of one that does not answer."""
        return None

    async def test_the_url_carries_state_challenge_and_nonce(
        self, adapter: Make[IdentityProvider], redirect_uri: str
    ) -> None:
        async with opened(adapter()) as provider:
            flow = _flow(redirect_uri, state="a&b=c#d +%41é🦄")
            url = await _url(provider, flow)
            parts = urlsplit(url)
            assert parts.scheme == "https" or parts.hostname in {"127.0.0.1", "::1", "localhost"}
            query = parse_qs(parts.query, strict_parsing=True)
            expected = {
                "response_type": "code",
                "state": flow.state,
                "code_challenge": flow.challenge,
                "code_challenge_method": "S256",
                "redirect_uri": redirect_uri,
            }
            if self.openid:
                expected["nonce"] = flow.nonce
            assert {name: query.get(name) for name in expected} == {name: [expected[name]] for name in expected}
            assert flow.verifier not in url, "the verifier goes to the token endpoint and nowhere else"

    async def test_a_code_proves_the_same_person_each_time(
        self, adapter: Make[IdentityProvider], authorize: Authorize, redirect_uri: str
    ) -> None:
        async with opened(adapter()) as provider:
            one, other = [await _login(provider, authorize, _flow(redirect_uri)) for _ in range(2)]
            assert isinstance(one.subject, str)
            assert one.subject.strip()
            assert one.provider
            assert (one.provider, one.subject) == (other.provider, other.subject)

    async def test_a_code_is_good_once(
        self, adapter: Make[IdentityProvider], authorize: Authorize, redirect_uri: str
    ) -> None:
        async with opened(adapter()) as provider:
            flow = _flow(redirect_uri)
            code = await authorize(provider, await _url(provider, flow))
            await _exchange(provider, code, flow)
            with pytest.raises(CredentialsRefused):
                await _exchange(provider, code, flow)

    async def test_of_concurrent_exchanges_of_a_code_one_at_most_succeeds(
        self, adapter: Make[IdentityProvider], authorize: Authorize, redirect_uri: str
    ) -> None:
        async with opened(adapter()) as provider:
            flow = _flow(redirect_uri)
            code = await authorize(provider, await _url(provider, flow))
            ends = await together(8, lambda _: _exchange(provider, code, flow))
            assert sum(isinstance(end, ExternalIdentity) for end in ends) <= 1
            assert sum(isinstance(end, CredentialsRefused) for end in ends) >= 7, ends

    async def test_an_unknown_code_is_refused_and_not_told(
        self, adapter: Make[IdentityProvider], redirect_uri: str
    ) -> None:
        async with opened(adapter()) as provider:
            flow = _flow(redirect_uri)
            await _url(provider, flow)
            for code in (secrets.token_urlsafe(32), "", "é&code=x#🦄"):
                with pytest.raises(CredentialsRefused) as refusal:
                    await _exchange(provider, code, flow)
                assert not code or code not in refusal.value.line()

    @pytest.mark.parametrize("part", ["verifier", "redirect_uri", "nonce"])
    async def test_a_code_is_good_for_its_own_request_only(
        self, adapter: Make[IdentityProvider], authorize: Authorize, redirect_uri: str, part: str
    ) -> None:
        if part == "nonce" and not self.openid:
            pytest.skip("without OpenID Connect there is no nonce")
        async with opened(adapter()) as provider:
            flow = _flow(redirect_uri)
            code = await authorize(provider, await _url(provider, flow))
            other = f"{redirect_uri}/elsewhere" if part == "redirect_uri" else secrets.token_urlsafe(48)
            with pytest.raises(CredentialsRefused):
                await _exchange(provider, code, msgspec.structs.replace(flow, **{part: other}))

    async def test_an_unreachable_provider_is_unavailable_and_refuses_nobody(
        self, unreachable: Make[Any] | None, redirect_uri: str
    ) -> None:
        flow = _flow(redirect_uri)
        await refuse_when_unreachable(
            unreachable, IdentityProviderUnavailable, {"exchange": lambda one: _exchange(one, "code", flow)}
        )

    async def test_two_logins_at_once_are_not_mixed_up(
        self, adapter: Make[IdentityProvider], authorize: Authorize, redirect_uri: str
    ) -> None:
        async with opened(adapter()) as provider:
            one, other = _flow(redirect_uri), _flow(redirect_uri)
            urls = [await _url(provider, one), await _url(provider, other)]
            codes = [await authorize(provider, url) for url in urls]
            assert codes[0] != codes[1]
            with pytest.raises(CredentialsRefused):
                await _exchange(provider, codes[0], other)
            assert (await _exchange(provider, codes[1], other)).subject


def _flow(redirect_uri: str, *, state: str = "") -> Flow:
    return Flow(
        state=state or secrets.token_urlsafe(32),
        nonce=secrets.token_urlsafe(32),
        verifier=secrets.token_urlsafe(48),
        redirect_uri=redirect_uri,
    )


async def _url(provider: IdentityProvider, flow: Flow) -> str:
    return await provider.authorization_url(
        state=flow.state, nonce=flow.nonce, code_challenge=flow.challenge, redirect_uri=flow.redirect_uri
    )


async def _exchange(provider: IdentityProvider, code: str, flow: Flow) -> ExternalIdentity:
    return await provider.exchange(
        code=code, code_verifier=flow.verifier, nonce=flow.nonce, redirect_uri=flow.redirect_uri
    )


async def _login(provider: IdentityProvider, authorize: Authorize, flow: Flow) -> ExternalIdentity:
    return await _exchange(provider, await authorize(provider, await _url(provider, flow)), flow)
