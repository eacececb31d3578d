"""The contract of ``RateLimiter``."""

from __future__ import annotations

import time
from typing import Any

import pytest
from msgspec.structs import replace

from tradesense.core.cache.models import Attempt, Limit, Verdict
from tradesense.core.cache.ports import RateLimiter
from tradesense.core.capabilities import Capability
from tradesense.core.errors import LimiterUnavailable
from tradesense.core.testing.base import Contract, Make, eventually, fresh, opened, requires, together
from tradesense.core.testing.checks import Advance, Calls, interrupt, refuse_when_closed, refuse_when_unreachable

PERIOD = 0.6
GRAIN = 0.05
"""Seconds by which two clocks and their rounding may differ."""
CALLS: Calls = {
    "hit": lambda limiter: limiter.hit("a", Limit(name="a", count=1, period=60)),
    "hit_many": lambda limiter: limiter.hit_many([Attempt(key="a", limit=Limit(name="a", count=1, period=60))]),
    "reset": lambda limiter: limiter.reset("a", Limit(name="a", count=1, period=60)),
}


def _limit(count: int, period: float = 60) -> Limit:
    return Limit(name=fresh("limit"), count=count, period=period)


class RateLimiterContract(Contract):
    """What every :class:`RateLimiter` must do."""

    port = RateLimiter

    @pytest.fixture
    def advance(self) -> Advance | None:
        """Override this when the adapter takes a Clock: let seconds pass. Otherwise they really pass."""
        return None

    @pytest.fixture
    def unreachable(self) -> Make[RateLimiter] | None:
        """Override this where there is a server: like ``adapter``, with nothing answering at the other end."""
        return None

    async def test_attempts_are_counted_down(self, adapter: Make[RateLimiter]) -> None:
        async with opened(adapter()) as limiter:
            limit = _limit(3)
            verdicts = [await limiter.hit("me", limit) for _ in range(5)]
            assert [verdict.allowed for verdict in verdicts] == [True, True, True, False, False]
            assert [verdict.remaining for verdict in verdicts] == [2, 1, 0, 0, 0]
            assert [verdict.retry_after for verdict in verdicts[:3]] == [0, 0, 0]
            assert all(0 < verdict.retry_after <= limit.period + GRAIN for verdict in verdicts[3:])

    @pytest.mark.parametrize("count", [1, 20])
    async def test_of_many_at_once_exactly_the_count_is_allowed(self, adapter: Make[RateLimiter], count: int) -> None:
        async with opened(adapter()) as limiter:
            limit = _limit(count)
            verdicts = await together(200, lambda _: limiter.hit("me", limit))
            assert sum(_verdict(verdict).allowed for verdict in verdicts) == count

    async def test_keys_and_limits_do_not_share_a_count(self, adapter: Make[RateLimiter]) -> None:
        async with opened(adapter()) as limiter:
            one, two = _limit(1), _limit(1)
            pairs = [(f"a{end}", limit) for end in ("", ":", "*", " ", "A", "漢字") for limit in (one, two)]
            pairs += [("b", Limit(name=f"{one.name}:a", count=1, period=60)), ("a:b", one), ("me", one)]
            for key, limit in pairs:
                assert (await limiter.hit(key, limit)).allowed, f"{key!r} shares its count with another"
            for key, limit in pairs:
                assert not (await limiter.hit(key, limit)).allowed

    async def test_an_attempt_may_cost_more_than_one(self, adapter: Make[RateLimiter]) -> None:
        async with opened(adapter()) as limiter:
            limit = _limit(10)
            assert (await limiter.hit("me", limit, cost=7)).remaining == 3
            refused = await limiter.hit("me", limit, cost=4)
            assert (refused.allowed, refused.remaining) == (False, 3)
            assert (await limiter.hit("me", limit, cost=3)).allowed
            assert (await limiter.hit("other", limit, cost=10)).allowed

    async def test_attempts_beyond_the_free_ones_are_further_and_further_apart(
        self, adapter: Make[RateLimiter]
    ) -> None:
        async with opened(adapter()) as limiter:
            limit = replace(_limit(30, 86_400), free=3, delay=100.0, longest=1000.0)
            for used, wait in ((3, 100), (4, 200), (5, 400), (6, 800), (7, 1000), (29, 1000)):
                key = f"used {used}"
                assert (await limiter.hit(key, limit, cost=used)).allowed, "the first waits for nobody"
                refused = [await limiter.hit(key, limit) for _ in range(3)]
                assert [verdict.allowed for verdict in refused] == [False] * 3
                assert all(verdict.remaining == 30 - used for verdict in refused)
                assert all(wait / 2 + GRAIN < verdict.retry_after <= wait + GRAIN for verdict in refused)
            verdicts = [(await limiter.hit("me", limit)) for _ in range(4)]
            assert [verdict.allowed for verdict in verdicts] == [True, True, True, False]
            await limiter.reset("me", limit)
            assert (await limiter.hit("me", limit)).allowed

    async def test_after_the_gap_the_next_attempt_is_allowed(
        self, adapter: Make[RateLimiter], advance: Advance | None
    ) -> None:
        async with opened(adapter()) as limiter:
            limit = replace(_limit(10), free=1, delay=PERIOD, longest=PERIOD)
            assert (await limiter.hit("me", limit)).allowed
            refused = await limiter.hit("me", limit)
            assert not refused.allowed
            if advance is not None:
                advance(refused.retry_after - 0.01)
                assert not (await limiter.hit("me", limit)).allowed
                advance(0.011)
                assert (await limiter.hit("me", limit)).allowed
            else:
                await eventually(lambda: self._allowed(limiter, limit), seconds=self.patience)

    async def test_of_many_at_once_the_free_ones_are_allowed_and_several_limits_agree(
        self, adapter: Make[RateLimiter]
    ) -> None:
        async with opened(adapter()) as limiter:
            spaced, plain = replace(_limit(100), free=5, delay=50.0, longest=50.0), _limit(100)
            attempts = [Attempt(key="me", limit=limit) for limit in (plain, spaced)]
            pairs = await together(40, lambda _: limiter.hit_many(attempts))
            assert sum(all(one.allowed for one in pair) for pair in pairs if not isinstance(pair, BaseException)) == 5
            assert (await limiter.hit("me", plain)).remaining == 100 - 5 - 1, "what one refuses counts nowhere"

    async def test_a_refused_attempt_costs_nothing(self, adapter: Make[RateLimiter], advance: Advance | None) -> None:
        async with opened(adapter()) as limiter:
            limit = _limit(2, PERIOD)
            first = [await limiter.hit("me", limit) for _ in range(2)]
            assert all(verdict.allowed for verdict in first)
            if advance is None:
                # Whoever is refused again and again is allowed once the period is over all the same.
                await eventually(lambda: self._allowed(limiter, limit), seconds=self.patience)
            else:
                for _ in range(20):
                    advance(PERIOD / 40)
                    assert not (await limiter.hit("me", limit)).allowed
                advance(PERIOD / 2)
                assert (await limiter.hit("me", limit)).allowed

    async def test_after_waiting_as_told_the_attempt_is_allowed(
        self, adapter: Make[RateLimiter], advance: Advance | None
    ) -> None:
        async with opened(adapter()) as limiter:
            limit = _limit(4, PERIOD)
            await limiter.hit("me", limit, cost=2)
            if advance is not None:
                advance(PERIOD / 4)
            await limiter.hit("me", limit, cost=2)
            refused = await limiter.hit("me", limit, cost=3)
            asked = time.monotonic()
            assert not refused.allowed
            assert 0 < refused.retry_after <= PERIOD + GRAIN
            if advance is not None:
                advance(refused.retry_after + 0.001)
                assert (await limiter.hit("me", limit, cost=3)).allowed
                return

            async def allowed() -> bool:
                late = time.monotonic() - asked > refused.retry_after + GRAIN
                verdict = await limiter.hit("me", limit, cost=3)
                assert verdict.allowed or not late, "it waited as it was told and was refused"
                return verdict.allowed

            await eventually(allowed, seconds=self.patience)

    async def test_no_period_holds_more_than_the_count(
        self, adapter: Make[RateLimiter], advance: Advance | None
    ) -> None:
        async with opened(adapter()) as limiter:
            limit = _limit(5, PERIOD)
            allowed = list[tuple[float, float]]()
            if advance is not None:
                for step in range(200):
                    if (await limiter.hit("me", limit)).allowed:
                        allowed.append((step * PERIOD / 37, step * PERIOD / 37))
                    advance(PERIOD / 37)
            else:
                ends = time.monotonic() + 3 * PERIOD
                while (sent := time.monotonic()) < ends:
                    if (await limiter.hit("me", limit)).allowed:
                        allowed.append((sent, time.monotonic()))
            assert len(allowed) > limit.count, "nothing was ever given back"
            for (sent, _), (_, answered) in zip(allowed, allowed[limit.count :], strict=False):
                assert answered - sent >= PERIOD - 0.01, f"{limit.count + 1} were allowed in {answered - sent:.3f} s"

    async def test_several_limits_count_one_attempt_together(self, adapter: Make[RateLimiter]) -> None:
        async with opened(adapter()) as limiter:
            wide, narrow = _limit(5), _limit(2)
            attempt = (Attempt(key="me", limit=wide, cost=2), Attempt(key="all", limit=narrow))
            first = await limiter.hit_many(attempt)
            assert [(verdict.allowed, verdict.remaining) for verdict in first] == [(True, 3), (True, 1)]
            second = await limiter.hit_many(attempt)
            assert [(verdict.allowed, verdict.remaining) for verdict in second] == [(True, 1), (True, 0)]
            assert await limiter.hit_many([]) == ()

    async def test_what_one_limit_refuses_counts_under_none(self, adapter: Make[RateLimiter]) -> None:
        async with opened(adapter()) as limiter:
            before, narrow, after = _limit(5), _limit(1), _limit(5)
            attempt = [Attempt(key="me", limit=limit) for limit in (before, narrow, after)]
            assert all(verdict.allowed for verdict in await limiter.hit_many(attempt))
            for _ in range(10):
                refused = await limiter.hit_many(attempt)
                assert [(verdict.allowed, verdict.remaining) for verdict in refused] == [
                    (True, 4),
                    (False, 0),
                    (True, 4),
                ]
                assert [verdict.retry_after > 0 for verdict in refused] == [False, True, False]
            assert (await limiter.hit("me", before)).remaining == 3

    async def test_a_shadow_tells_and_refuses_nothing(self, adapter: Make[RateLimiter]) -> None:
        async with opened(adapter()) as limiter:
            real, shadow = _limit(3), _limit(1)
            attempt = (Attempt(key="me", limit=shadow, shadow=True), Attempt(key="me", limit=real))
            told = [[verdict.allowed for verdict in await limiter.hit_many(attempt)] for _ in range(4)]
            assert told == [[True, True], [False, True], [False, True], [False, False]]
            assert not (await limiter.hit("me", shadow)).allowed

    async def test_of_many_at_once_under_several_limits_the_least_count_is_allowed(
        self, adapter: Make[RateLimiter]
    ) -> None:
        async with opened(adapter()) as limiter:
            shared, own = _limit(20), _limit(7)
            verdicts = await together(
                200,
                lambda number: limiter.hit_many(
                    (Attempt(key=f"{number % 2}", limit=own), Attempt(key="all", limit=shared))
                ),
            )
            allowed = [
                number
                for number, answer in enumerate(verdicts)
                if not isinstance(answer, BaseException) and all(verdict.allowed for verdict in answer)
            ]
            assert len(allowed) == 14
            assert (await limiter.hit("all", shared)).remaining == 5

    async def test_what_cannot_be_counted_together_is_refused(self, adapter: Make[RateLimiter]) -> None:
        async with opened(adapter()) as limiter:
            limit = _limit(3)
            for attempts in (
                [Attempt(key="me", limit=limit), Attempt(key="me", limit=limit)],
                [Attempt(key="me", limit=limit, cost=4)],
                [Attempt(key="me", limit=limit, cost=0)],
            ):
                with pytest.raises(ValueError, match="attempt"):
                    await limiter.hit_many(attempts)
            assert (await limiter.hit("me", limit)).remaining == 2

    async def test_what_cannot_be_counted_is_refused_and_nothing_else_is(self, adapter: Make[RateLimiter]) -> None:
        async with opened(adapter()) as limiter:
            name, ok = fresh("limit"), _limit(100)
            bad = [
                (Limit(name=name, count=count, period=period), cost)
                for count, period, cost in (
                    (0, 60, 1),
                    (10**12, 60, 1),
                    (1, 0, 1),
                    (1, float("nan"), 1),
                    (1, 1e13, 1),
                    (5, 60, 6),
                    (100_000, 60, 10_001),
                )
            ]
            asked = [one for limit, cost in bad for one in ((ok, 1), (limit, cost))]
            verdicts = await together(len(asked), lambda at: limiter.hit("me", asked[at][0], cost=asked[at][1]))
            assert [type(one) for one in verdicts] == [Verdict, ValueError] * len(bad)
            for limit, cost in bad:
                with pytest.raises(ValueError, match=r"attempt|limit"):
                    await limiter.hit_many([Attempt(key="me", limit=limit, cost=cost)])
            assert (await limiter.hit("me", ok)).remaining == 100 - len(bad) - 1

    async def test_an_attempt_may_cost_as_much_as_is_allowed(
        self, adapter: Make[RateLimiter], advance: Advance | None
    ) -> None:
        async with opened(adapter()) as limiter:
            limit = _limit(15_000, PERIOD if advance is None else 60)
            assert (await limiter.hit("me", limit, cost=10_000)).remaining == 5_000
            assert not (await limiter.hit("me", limit, cost=5_001)).allowed
            if advance is not None:
                advance(60)

            async def given_back() -> bool:
                """All of it counts no longer."""
                return (await limiter.hit("me", limit, cost=10_000)).allowed

            await eventually(given_back, seconds=self.patience)

    async def test_any_text_is_a_key(self, adapter: Make[RateLimiter]) -> None:
        async with opened(adapter()) as limiter:
            limit = _limit(1)
            for key in ("", "\ud800", "\udfff", "?", "\ufffd", "\0", "漢字", "x" * 10_000):
                assert (await limiter.hit(key, limit)).allowed
                assert not (await limiter.hit_many([Attempt(key=key, limit=limit)]))[0].allowed
                await limiter.reset(key, limit)
                assert (await limiter.hit(key, limit)).allowed

    async def test_it_says_when_the_oldest_attempt_is_given_back(
        self, adapter: Make[RateLimiter], advance: Advance | None
    ) -> None:
        async with opened(adapter()) as limiter:
            limit = _limit(3)
            first = await limiter.hit("me", limit)
            assert limit.period - GRAIN <= first.reset_after <= limit.period + GRAIN
            if advance is not None:
                advance(limit.period / 4)
            second = await limiter.hit("me", limit, cost=2)
            refused = await limiter.hit("me", limit)
            assert 0 < refused.reset_after <= second.reset_after <= first.reset_after
            if advance is not None:
                assert second.reset_after == pytest.approx(limit.period * 3 / 4)

    async def test_a_reset_forgets_one_key(self, adapter: Make[RateLimiter]) -> None:
        async with opened(adapter()) as limiter:
            limit, other = _limit(2), _limit(1)
            for key, counted, cost in (("me", limit, 2), ("you", limit, 2), ("me", other, 1)):
                await limiter.hit(key, counted, cost=cost)
            await limiter.reset("me", limit)
            verdict = await limiter.hit("me", limit)
            assert (verdict.allowed, verdict.remaining) == (True, 1)
            assert not (await limiter.hit("you", limit)).allowed
            assert not (await limiter.hit("me", other)).allowed
            await limiter.reset("nobody", limit)

    async def test_a_cancelled_call_leaves_it_usable(self, adapter: Make[RateLimiter]) -> None:
        async with opened(adapter()) as limiter:
            limit = _limit(1000)
            await interrupt(lambda: limiter.hit("me", limit))
            verdicts = await together(20, lambda _: limiter.hit("me", limit), seconds=self.patience)
            assert all(_verdict(verdict).allowed for verdict in verdicts)

    async def test_a_closed_limiter_says_so(self, adapter: Make[Any]) -> None:
        await refuse_when_closed(adapter(), CALLS)

    async def test_an_unreachable_limiter_is_unavailable_and_allows_nothing(
        self, unreachable: Make[Any] | None
    ) -> None:
        await refuse_when_unreachable(unreachable, LimiterUnavailable, CALLS)

    @requires(Capability.SHARED)
    async def test_two_adapters_count_together(self, adapter: Make[RateLimiter]) -> None:
        async with opened(adapter()) as one, opened(adapter()) as two:
            limit = _limit(20)
            verdicts = await together(200, lambda number: (one, two)[number % 2].hit("me", limit))
            assert sum(_verdict(verdict).allowed for verdict in verdicts) == 20
            await one.reset("me", limit)
            assert (await two.hit("me", limit)).allowed

    @requires(Capability.PERSISTENT)
    async def test_what_was_counted_outlives_the_adapter(self, adapter: Make[RateLimiter]) -> None:
        limit = _limit(1)
        async with opened(adapter()) as limiter:
            assert (await limiter.hit("me", limit)).allowed
        async with opened(adapter()) as limiter:
            assert not (await limiter.hit("me", limit)).allowed

    async def _allowed(self, limiter: RateLimiter, limit: Limit) -> bool:
        """The attempt is allowed."""
        return (await limiter.hit("me", limit)).allowed


def _verdict(answer: Verdict | BaseException) -> Verdict:
    if isinstance(answer, BaseException):
        raise answer
    return answer
