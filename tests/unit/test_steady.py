"""A clock that is not set back with the host's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tradesense.core.steady import SteadyClock
from tradesense.core.testing import ManualClock

START = datetime(2030, 1, 1, tzinfo=UTC)


class Host(ManualClock):
    """Its hands can be moved without time passing."""

    def step(self, seconds):
        self._now += timedelta(seconds=seconds)


@pytest.fixture
def host():
    return Host(START)


@pytest.fixture
def clock(host):
    return SteadyClock(host)


def after(seconds):
    return START + timedelta(seconds=seconds)


@pytest.mark.parametrize("back", [2, 3600, 86_400])
def test_time_goes_on_where_the_host_is_set_back(clock, host, back):
    host.advance(10)
    host.step(-back)
    host.advance(5)
    assert clock.now() == after(15)


def test_the_host_is_followed_forward_and_stays_the_later_one(clock, host):
    host.step(3600)
    assert clock.now() == after(3600)
    host.step(-3600)
    host.advance(7)
    assert clock.now() == after(3607)
    host.step(7200)
    assert clock.now() == after(7207)


def test_a_host_that_is_slowed_down_is_followed(clock, host):
    host.step(-1)
    assert clock.now() == after(-1)
    host.step(-1)
    assert clock.now() == after(0)


@pytest.mark.parametrize("step", [-86_400, -3600, 3600])
def test_what_a_database_says_counts_alone(clock, host, step):
    clock.tell(after(100), host.monotonic())
    host.step(step)
    host.advance(3)
    assert clock.now() == after(103)
    clock.tell(after(50), host.monotonic() - 1)
    assert clock.now() == after(51), "by the moment at which it was asked"


def test_what_was_written_down_has_been(clock, host):
    clock.not_before(after(-5))
    assert clock.now() == START
    clock.not_before(after(60))
    host.advance(1)
    assert clock.now() == after(61)
    clock.not_before(after(86_400 * 3))
    assert clock.now() == after(61), "a clock was wrong that wrote that"
    clock.tell(after(10), host.monotonic())
    clock.not_before(after(20))
    assert clock.now() == after(10)


def test_durations_are_the_hosts(clock, host):
    host.advance(4)
    assert clock.monotonic() == host.monotonic()
