"""Changes that wait: for a second person, for their time, or for both."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from flagkit import administered
from tradesense.adapters.system.ambient import SystemRandom, Uuid7Ids
from tradesense.core.audit.models import Actor, Outcome
from tradesense.core.errors import (
    ApprovalRefused,
    ChangeConflict,
    ConfigurationError,
    FlagConflict,
    FlagNotFound,
    InvalidFlag,
    InvalidInput,
    ReviewRequired,
)
from tradesense.core.flags import Condition, Flag, Rule, Segment
from tradesense.core.flags.requests import State
from tradesense.core.flags.service import Flags
from tradesense.core.testing.checks import ManualClock
from tradesense.entrypoints.container import open_container
from tradesense.settings.load import load

ADA, BEN = (Actor(kind="user", id=name, address="192.0.2.1") for name in ("ada", "ben"))
ROOT = Actor(kind="operator", id="ada")
FLAG = Flag(key="f", variants={"on": True, "off": False}, default_variant="off")
SEGMENT = Segment(key="s", included=("u1",))


@asynccontextmanager
async def opened(**env):
    settings = {f"TRADESENSE_FLAGS__{name}": value for name, value in env.items()}
    loaded = load({"ENVIRONMENT": "testing", "TRADESENSE_DATABASE__URL": "sqlite:///:memory:", **settings})
    async with open_container(loaded.settings, plugins=loaded.plugins) as services:
        yield services


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
async def services(clock):
    async with administered(clock, review=True) as services:
        yield services


@pytest.fixture
async def free(clock):
    """Without the policy."""
    async with administered(clock, review=False) as services:
        yield services


async def rows(services, subject="f"):
    found = (await services.trail.read(limit=1000)).items
    return [
        (one.entry.action, one.entry.actor.id or one.entry.actor.kind) for one in found if one.entry.subject == subject
    ]


async def test_a_change_is_proposed_by_one_person_and_approved_by_another(services):
    review = services.flags.review
    request = await review.propose("flag", "f", FLAG, actor=ADA, reason="new")
    assert (request.state, request.base) == (State.PENDING, 0)
    with pytest.raises(FlagNotFound):
        await services.flags.get("f")
    applied = await review.approve(request.id, actor=BEN)
    assert (applied.state, applied.approved_by.id, applied.ended_by.id) == (State.APPLIED, "ben", "ben")
    assert await review.get(request.id) == applied
    stored = await services.flags.get("f")
    assert (stored.flag, stored.updated_by) == (FLAG, "ada")
    assert await rows(services) == [("flags.propose", "ada"), ("flags.put", "ben"), ("flags.approve", "ben")]
    written = (await services.trail.read(limit=1000)).items[1].entry.detail
    assert (written["change"], written["proposed_by"], written["approved_by"]) == (request.id, "ada", "ben")
    assert written["digest"] == stored.digest
    removal = await review.propose("flag", "f", None, actor=BEN)
    await review.approve(removal.id, actor=ADA)
    with pytest.raises(FlagNotFound):
        await services.flags.get("f")


async def test_nobody_writes_without_a_second_person(services):
    flags, segments = services.flags, services.flags.segments
    await flags.review.approve((await flags.review.propose("flag", "f", FLAG, actor=ADA)).id, actor=BEN)
    await flags.review.approve((await flags.review.propose("segment", "s", SEGMENT, actor=ADA)).id, actor=BEN)
    before = [await flags.get("f"), await segments.get("s")]
    for write in (
        lambda: flags.put(FLAG, actor=ADA),
        lambda: flags.delete("f", actor=ADA),
        lambda: flags.rollback("f", 1, actor=ADA),
        lambda: flags.adopt([FLAG], actor=ROOT),
        lambda: flags.switch("f", on=True, actor=ADA),
        lambda: segments.put(SEGMENT, actor=ADA),
        lambda: segments.delete("s", actor=ADA),
        lambda: segments.rollback("s", 1, actor=ADA),
    ):
        with pytest.raises(ReviewRequired) as refused:
            await write()
        assert "/changes" in refused.value.mend
    assert [await flags.get("f"), await segments.get("s")] == before
    denied = [one.entry for one in (await services.trail.read(limit=1000)).items if one.entry.outcome is Outcome.DENIED]
    assert len(denied) == 8


async def test_the_kill_switch_waits_for_nobody(services):
    flags = services.flags
    await flags.review.approve((await flags.review.propose("flag", "f", FLAG, actor=ADA)).id, actor=BEN)
    assert not (await flags.switch("f", on=False, actor=ADA)).flag.enabled
    assert (await rows(services))[-1] == ("flags.switch", "ada")
    back = await flags.review.propose("flag", "f", FLAG, actor=ADA)
    await flags.review.approve(back.id, actor=BEN)
    assert (await flags.get("f")).flag.enabled


@pytest.mark.parametrize(
    "actor", [ADA, ROOT, Actor(kind="operator", id="carl"), Actor(kind="anonymous"), Actor(kind="user")]
)
async def test_nobody_approves_their_own_and_nobody_without_a_login(services, actor):
    request = await services.flags.review.propose("flag", "f", FLAG, actor=ADA)
    with pytest.raises(ApprovalRefused):
        await services.flags.review.approve(request.id, actor=actor)
    assert (await services.flags.review.get(request.id)).state is State.PENDING
    last = (await services.trail.read(limit=1, newest_first=True)).items[0].entry
    assert (last.action, last.outcome) == ("flags.approve", Outcome.DENIED)


async def test_a_change_of_what_has_moved_on_is_not_applied(services):
    review = services.flags.review
    one, two = [await review.propose("flag", "f", FLAG, actor=ADA) for _ in range(2)]
    await review.approve(one.id, actor=BEN)
    with pytest.raises(FlagConflict):
        await review.approve(two.id, actor=BEN)
    assert (await review.get(two.id)).state is State.PENDING
    assert (await services.flags.get("f")).revision == 1
    with pytest.raises(FlagConflict):
        await review.propose("flag", "f", FLAG, actor=ADA, expected=0)
    for again in (review.approve, review.reject, review.withdraw):
        with pytest.raises(ChangeConflict):
            await again(one.id, actor=BEN)
    assert (await review.reject(two.id, actor=BEN, note="too late")).note == "too late"
    assert [one.state for one in (await review.list()).items] == [State.APPLIED, State.REJECTED]
    assert [one.id for one in (await review.list(state=State.REJECTED)).items] == [two.id]


async def test_of_two_who_approve_at_once_one_does(services):
    request = await services.flags.review.propose("flag", "f", FLAG, actor=ADA)
    carl = Actor(kind="user", id="carl")
    ends = await asyncio.gather(
        *(services.flags.review.approve(request.id, actor=actor) for actor in (BEN, carl)), return_exceptions=True
    )
    assert sorted(type(end).__name__ for end in ends) == ["ChangeConflict", "ChangeRequest"]
    assert (await services.flags.get("f")).revision == 1


async def test_what_could_not_be_written_is_not_proposed(services):
    review = services.flags.review
    asks = Rule(conditions=(Condition(operator="in_segment", values=("s",)),), variant="on")
    for kind, key, definition, error in (
        ("flag", "g", FLAG, InvalidFlag),
        ("flag", "f", Flag(key="f", variants={}, default_variant="on"), InvalidFlag),
        ("flag", "f", Flag(key="f", variants={"on": 1}, default_variant=None, rules=(asks,)), InvalidFlag),
        ("flag", "f", None, FlagNotFound),
    ):
        with pytest.raises(error):
            await review.propose(kind, key, definition, actor=ADA)
    with pytest.raises(InvalidFlag, match="reason"):
        await review.propose("flag", "f", FLAG, actor=ADA, reason="x" * 2_001)
    assert (await review.list()).items == ()


async def test_a_scheduled_change_is_applied_at_its_time_and_once(services, clock):
    review = services.flags.review
    later = clock.now() + timedelta(hours=1)
    request = await review.propose("flag", "f", FLAG, actor=ADA, not_before=later.replace(tzinfo=None))
    assert (await review.approve(request.id, actor=BEN)).state is State.SCHEDULED
    clock.advance(3599)
    assert await review.run() == {"applied": 0, "failed": 0}
    clock.advance(1)
    told = await asyncio.gather(*(review.run() for _ in range(5)))
    assert sum(one["applied"] for one in told) == 1
    assert (await services.flags.get("f")).revision == 1
    applied = await review.get(request.id)
    assert (applied.state, applied.ended_by.kind, applied.approved_by.id) == (State.APPLIED, "worker", "ben")
    last = (await services.trail.read(limit=1, newest_first=True)).items[0].entry
    assert (last.action, last.actor.kind) == ("flags.put", "worker")
    assert (last.detail["proposed_by"], last.detail["approved_by"]) == ("ada", "ben")


async def test_a_scheduled_change_is_taken_back_or_fails_and_says_why(free, clock):
    review = free.flags.review
    times = [clock.now() + timedelta(hours=hour) for hour in (1, 2, 3)]
    first, second, third = [await review.propose("flag", "f", FLAG, actor=ADA, not_before=at) for at in times]
    assert {one.state for one in (first, second, third)} == {State.SCHEDULED}
    await review.withdraw(first.id, actor=ROOT)
    clock.advance(4 * 3600)
    assert await review.run() == {"applied": 1, "failed": 1}
    assert (await free.flags.get("f")).updated_by == "ada"
    failed = await review.get(third.id)
    assert (failed.state, "revision 1, not 0" in failed.note) == (State.FAILED, True)
    expected = [("flags.propose", "ada")] * 3
    expected += [("flags.withdraw", "ada"), ("flags.put", "worker"), ("flags.fail", "worker")]
    assert await rows(free) == expected
    assert await review.run() == {"applied": 0, "failed": 0}


async def test_what_was_scheduled_without_approval_is_not_applied_once_approvals_are_asked_for(free, clock):
    request = await free.flags.review.propose("flag", "f", FLAG, actor=ADA, not_before=clock.now())
    strict = Flags(
        stores=free.stores, trail=free.trail, clock=clock, ids=Uuid7Ids(clock, SystemRandom()), joined=True, review=True
    )
    assert await strict.review.run() == {"applied": 0, "failed": 1}
    assert "approval" in (await free.flags.review.get(request.id)).note


async def test_the_policy_needs_a_provider_that_lets_changes_wait(tmp_path):
    async with opened(REVIEW="true") as services:
        job = next(job for job in services.jobs.periodic if job.name == "flags.apply")
        assert await job.run() == {"applied": 0, "failed": 0}
    with pytest.raises(ConfigurationError, match=r"flags\.review"):
        async with opened(REVIEW="true", PROVIDER="sql"):
            pass
    (tmp_path / "flags.json").write_text("{}")
    async with opened(PROVIDER="file", FILE__PATH=str(tmp_path / "flags.json")) as services:
        with pytest.raises(InvalidInput, match="keeps no changes"):
            await services.flags.review.list()
        assert "flags.apply" not in {job.name for job in services.jobs.periodic}
