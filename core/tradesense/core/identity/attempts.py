"""How often a login may be tried: by account, by block of addresses, and by everybody together.

Every attempt is counted before the password is looked at, so that concurrent ones cannot slip through, and a success
clears nothing: else an account of one's own would buy attempts at others (CVE-2025-6004).

What counts against an account is counted once more where accounts lie: whoever makes the shared counter forget, or
has it restarted, gets no new attempts by that (SECURITY F06).
"""

from __future__ import annotations

import ipaddress
import unicodedata

from tradesense.core.cache.limits import Policy, Throttle
from tradesense.core.cache.models import Attempt, Limit
from tradesense.core.cache.ports import RateLimiter
from tradesense.core.errors import LimitExceeded
from tradesense.core.identity.browsers import KnownBrowsers
from tradesense.core.identity.models import Client, IdentityPolicy

DAY = 86_400.0
SLOWER_COUNT, SLOWER_PERIOD = 4, 15
"""After the first limit comes one of four times the attempts within fifteen times the time, and then the day's."""

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
        count, window = policy.login_attempts, policy.login_window
        self._browser = Policy(limit=Limit(name="login-browser", count=count, period=window))
        self._account = tuple(
            Policy(limit=limit)
            for limit in (
                Limit(name="login-account", count=count, period=window),
                Limit(name="login-account-slow", count=count * SLOWER_COUNT, period=window * SLOWER_PERIOD),
                Limit(name="login-account-day", count=policy.login_attempts_per_day, period=DAY),
            )
        )
        self._block = Policy(limit=Limit(name="login-address", count=policy.login_attempts_per_address, period=window))
        self._everybody = Policy(limit=Limit(name="login-all", count=policy.login_attempts_in_all, period=window))

    async def count(self, account: str, client: Client) -> None:
        """Count an attempt at the account with this uniqueness key, or at what was typed in its place.

        In a browser where the account has logged in before, only what is tried in that browser counts.

        :raises LimitExceeded: it is one too many; which limit it was is not told.
        """
        known = self._browsers.known(client.browser, account) if client.browser else ""
        if known:
            asked = [(self._browser, known)]
        else:
            name = unicodedata.normalize("NFKC", account[:320].strip()).casefold()
            asked = [(policy, name) for policy in self._account]
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

    async def _count_below(self, floor: RateLimiter, own: list[Attempt]) -> None:
        verdicts = zip(own, await floor.hit_many(own), strict=True)
        refusals = [(verdict.retry_after, one.limit.name) for one, verdict in verdicts if not verdict.allowed]
        if refusals:
            retry_after, name = max(refusals)
            raise LimitExceeded("too many attempts", retry_after=retry_after, origin=name)


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
