"""Health over all checks: as bad as the worst, and never waiting longer than two seconds."""

from __future__ import annotations

import asyncio

import pytest

from tradesense.core.telemetry import service
from tradesense.core.telemetry.models import Health, Status
from tradesense.core.telemetry.service import HealthService


class Fixed:
    def __init__(self, name, status, detail="", *, essential=True):
        self.name = name
        self.essential = essential
        self._health = Health(name=name, status=status, detail=detail)

    async def check(self):
        return self._health


class Hanging:
    name = "hanging"

    def __init__(self, *, essential=True):
        self.essential = essential
        self.cancelled = False

    async def check(self):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


class Meeting:
    """Answers only when all of its party are being asked at once."""

    essential = True

    def __init__(self, name, barrier):
        self.name = name
        self._barrier = barrier

    async def check(self):
        await self._barrier.wait()
        return Health(name=self.name, status=Status.UP)


@pytest.mark.parametrize(
    ("statuses", "worst"),
    [
        ([], Status.UP),
        ([Status.UP], Status.UP),
        ([Status.UP, Status.DEGRADED], Status.DEGRADED),
        ([Status.DOWN, Status.DEGRADED, Status.UP], Status.DOWN),
        ([Status.DEGRADED, Status.DOWN], Status.DOWN),
    ],
)
async def test_the_report_is_as_bad_as_the_worst_check(statuses, worst):
    report = await HealthService([Fixed(f"check {i}", status) for i, status in enumerate(statuses)]).report()
    assert report.status is worst
    assert [health.status for health in report.checks] == statuses


@pytest.mark.parametrize(
    ("essential", "other", "whole"),
    [
        (Status.UP, Status.DOWN, Status.DEGRADED),
        (Status.UP, Status.DEGRADED, Status.DEGRADED),
        (Status.DEGRADED, Status.DOWN, Status.DEGRADED),
        (Status.DOWN, Status.UP, Status.DOWN),
        (Status.DOWN, Status.DOWN, Status.DOWN),
    ],
)
async def test_F05_only_what_is_essential_brings_the_platform_down(essential, other, whole):
    report = await HealthService([Fixed("e", essential), Fixed("o", other, essential=False)]).report()
    assert report.status is whole
    assert [health.status for health in report.checks] == [essential, other], "each is told as it is"


async def test_F05_what_is_not_essential_and_does_not_answer_is_a_degradation(monkeypatch):
    monkeypatch.setattr(service, "CHECK_SECONDS", 0.02)
    report = await HealthService([Hanging(essential=False), Fixed("other", Status.UP)]).report()
    assert (report.status, report.checks[0].status) == (Status.DEGRADED, Status.DOWN)


async def test_the_checks_keep_their_order_and_their_detail():
    report = await HealthService([Fixed("b", Status.UP, "fine"), Fixed("a", Status.DOWN, "OSError")]).report()
    assert [(health.name, health.detail) for health in report.checks] == [("b", "fine"), ("a", "OSError")]


async def test_a_check_that_does_not_answer_is_down_and_is_stopped(monkeypatch):
    monkeypatch.setattr(service, "CHECK_SECONDS", 0.02)
    hanging = Hanging()
    report = await HealthService([hanging, Fixed("other", Status.UP)]).report()
    assert report.status is Status.DOWN
    assert report.checks[0] == Health(name="hanging", status=Status.DOWN, detail="no answer within 0.02 s")
    assert report.checks[1].status is Status.UP
    assert hanging.cancelled


async def test_all_checks_are_asked_at_once():
    barrier = asyncio.Barrier(5)
    report = await HealthService([Meeting(str(i), barrier) for i in range(5)]).report()
    assert report.status is Status.UP


def test_a_check_has_two_seconds():
    assert service.CHECK_SECONDS == 2.0
