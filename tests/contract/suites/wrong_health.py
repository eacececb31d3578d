"""Health checks that are wrong on purpose, and the tests that must catch them."""

from __future__ import annotations

import asyncio

import pytest

from tradesense.adapters.null.telemetry import NullHealthCheck
from tradesense.core.telemetry import Health, Status
from tradesense.core.testing import (
    HealthCheckContract,
)


class Checks(HealthCheckContract):
    """A check that is right; what is wrong is a subclass of it."""

    patience = 0.1
    Check = NullHealthCheck

    @pytest.fixture
    def adapter(self):
        return self.Check


class TestRightCheck(Checks):
    @pytest.fixture
    def broken(self):
        class Broken(NullHealthCheck):
            async def check(self):
                return Health(name=self.name, status=Status.DOWN, detail="ConnectionRefusedError")

        return Broken


class TestIsNeverWell(Checks):
    caught_by = ("test_what_is_well_is_up",)

    class Check(NullHealthCheck):
        async def check(self):
            return Health(name=self.name, status=Status.DEGRADED)


class TestAnswersForAnother(Checks):
    caught_by = ("test_what_is_well_is_up",)

    class Check(NullHealthCheck):
        async def check(self):
            return Health(name="database", status=Status.UP)


class TestChangesItsName(Checks):
    caught_by = ("test_a_check_has_one_name",)

    class Check(NullHealthCheck):
        def __init__(self):
            super().__init__()
            self.name = f"check {id(self)}"


class TestDoesNotSayWhatItsOutageMeans(Checks):
    caught_by = ("test_a_check_says_whether_it_is_essential",)

    class Check(NullHealthCheck):
        def __init__(self):
            super().__init__()
            self.essential = None


class TestIsAlwaysWell(Checks):
    caught_by = ("test_what_does_not_answer_is_down_and_nothing_is_raised",)

    @pytest.fixture
    def broken(self):
        return NullHealthCheck


class TestRaisesWhatItFinds(Checks):
    caught_by = ("test_what_does_not_answer_is_down_and_nothing_is_raised",)

    @pytest.fixture
    def broken(self):
        class Broken(NullHealthCheck):
            async def check(self):
                raise ConnectionRefusedError

        return Broken


class TestWaitsForEver(Checks):
    caught_by = ("test_what_does_not_answer_is_down_and_nothing_is_raised",)

    @pytest.fixture
    def broken(self):
        class Broken(NullHealthCheck):
            async def check(self):
                await asyncio.Event().wait()

        return Broken


class TestAsksOnceAtATime(Checks):
    caught_by = ("test_many_checks_at_once_are_each_answered",)

    class Check(NullHealthCheck):
        asked = False

        async def check(self):
            if self.asked:
                return Health(name=self.name, status=Status.DOWN, detail="it is being asked")
            self.asked = True
            try:
                await asyncio.sleep(0)
                return await super().check()
            finally:
                self.asked = False
