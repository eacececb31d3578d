"""A breaker opens after failures in a row, lets one caller in a second try, and closes at the first answer."""

from __future__ import annotations

import pytest

from tradesense.core.breaker import FAILURES, REST_SECONDS, Breaker
from tradesense.core.testing import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def breaker(clock: ManualClock) -> Breaker:
    return Breaker(clock.monotonic)


def broken(breaker: Breaker) -> None:
    for _ in range(FAILURES):
        assert breaker.admits()
        breaker.failed()


def test_F07_it_opens_after_five_failures_in_a_row_and_not_before(breaker: Breaker) -> None:
    for _ in range(FAILURES - 1):
        breaker.failed()
    breaker.worked()
    broken(breaker)
    assert breaker.open
    assert not breaker.admits()


def test_F07_one_caller_at_a_time_tries_a_server_that_was_silent(breaker: Breaker, clock: ManualClock) -> None:
    broken(breaker)
    for _ in range(3):
        clock.advance(REST_SECONDS)
        assert [breaker.admits() for _ in range(5)] == [True, False, False, False, False]
        clock.advance(REST_SECONDS / 2)
        breaker.failed()
        clock.advance(REST_SECONDS / 2)
        assert not breaker.admits(), "it rests again from the failure on"


def test_F07_the_first_answer_closes_it(breaker: Breaker, clock: ManualClock) -> None:
    broken(breaker)
    clock.advance(REST_SECONDS)
    assert breaker.admits()
    breaker.worked()
    assert not breaker.open
    assert all(breaker.admits() for _ in range(100))
