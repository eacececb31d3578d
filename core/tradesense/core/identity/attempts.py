"""How often a login may be tried: by account, by block of addresses, and by everybody together.

Every attempt is counted before the password is looked at, so that concurrent ones cannot slip through. After a few that
failed an account waits, each time twice as long, and after a hundred in a row it has to be proved by mail (NIST SP
800-63B, section 3.2.2). A success ends the row of its own account, and clears no count of a network, of everybody or of
the day: else an account of one's own would buy attempts at others (CVE-2025-6004).

What counts against an account is counted once more where accounts lie: whoever makes the shared counter forget, or
has it restarted, gets no new attempts by that (SECURITY F06).
"""

from __future__ import annotations

import ipaddress
import unicodedata
from contextlib import suppress

from tradesense.core.cache.limits import Policy, Throttle
from tradesense.core.cache.models import Attempt, Limit
from tradesense.core.cache.ports import RateLimiter
from tradesense.core.errors import LimiterUnavailable, LimitExceeded
from tradesense.core.identity.browsers import KnownBrowsers
from tradesense.core.identity.models import Client, IdentityPolicy

DAY = 86_400.0

BLOCK_4, BLOCK_6 = 24, 48
"""Bits of an address that tell one network from another: who has one address of it can have the others."""


class Attempts:
    """Counts attempts and refuses those that are too many."""

    def __init__(
        self, *, throttle: Throttle, browsers: KnownBrowsers, policy: IdentityPolicy, floor: RateLimiter | None = None
    ) -> None:
        """Count by ``throttle``.

        :param floor: keeps the counts of accounts, too, where they are not lost; ``None`` where nothing is kept.
        """
        self._throttle = throttle
        self._floor = floor
        self._browsers = browsers
        window = policy.login_window
        self._browser = Policy(limit=_in_a_row("login-browser", policy))
        self._account = Policy(limit=_in_a_row("login-account", policy))
        self._day = Policy(limit=Limit(name="login-account-day", count=policy.login_attempts_per_day, period=DAY))
        self._block = Policy(limit=Limit(name="login-address", count=policy.login_attempts_per_address, period=window))
        self._everybody = Policy(limit=Limit(name="login-all", count=policy.login_attempts_in_all, period=window))

    async def count(self, account: str, client: Client) -> None:
        """Count an attempt at the account with this uniqueness key, or at what was typed in its place.

        In a browser where the account has logged in before, only what is tried in that browser counts.

        :raises LimitExceeded: it is one too many; which limit it was is not told.
        """
        policy, name = self._row_of(account, client)
        known = policy is self._browser
        asked = [(policy, name)] if known else [(policy, name), (self._day, name)]
        own = [Attempt(key=name, limit=policy.limit) for policy, name in asked]
        if not known:
            asked += [(self._everybody, "all")]
            if client.address:
                asked += [(self._block, block(client.address))]
        decision = await self._throttle.decide(asked)
        if (refused := decision.refused) is not None:
            raise LimitExceeded("too many attempts", retry_after=decision.retry_after, origin=refused.limit.name)
        if self._floor is not None:
            await self._count_below(self._floor, own)

    async def succeeded(self, account: str, client: Client) -> None:
        """The attempt was the right one: those that failed before it, where it was counted, are a row no more.

        It is no part of a transaction. What cannot be forgotten now is forgotten by time.
        """
        await self._forget(*self._row_of(account, client))

    async def forgive(self, account: str) -> None:
        """Somebody has proved the account by its mail: attempts that failed count no more, but for the day's."""
        await self._forget(self._account, _name(account))

    def _row_of(self, account: str, client: Client) -> tuple[Policy, str]:
        """Whose failures in a row an attempt belongs to: the account's, or those of a browser where it is known."""
        known = self._browsers.known(client.browser, account) if client.browser else ""
        return (self._browser, known) if known else (self._account, _name(account))

    async def _forget(self, policy: Policy, name: str) -> None:
        await self._throttle.forget(name, policy.limit)
        if self._floor is not None:
            with suppress(LimiterUnavailable):
                await self._floor.reset(name, policy.limit)

    async def _count_below(self, floor: RateLimiter, own: list[Attempt]) -> None:
        verdicts = zip(own, await floor.hit_many(own), strict=True)
        refusals = [(verdict.retry_after, one.limit.name) for one, verdict in verdicts if not verdict.allowed]
        if refusals:
            retry_after, name = max(refusals)
            raise LimitExceeded("too many attempts", retry_after=retry_after, origin=name)


def _in_a_row(name: str, policy: IdentityPolicy) -> Limit:
    return Limit(
        name=name,
        count=policy.login_failures,
        period=policy.login_failures_window,
        free=policy.login_attempts,
        delay=policy.login_delay,
        longest=policy.login_delay_max,
    )


def _name(account: str) -> str:
    """What all spellings of an account, or of what is none, are counted under."""
    return unicodedata.normalize("NFKC", account[:320].strip()).casefold()


def block(address: str) -> str:
    """The network that an address belongs to: the first 24 bits of IPv4, 48 of IPv6. What is no address is itself."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ipaddress.IPv6Network((parsed, BLOCK_6), strict=False))
        parsed = parsed.ipv4_mapped
    return str(ipaddress.IPv4Network((parsed, BLOCK_4), strict=False))
