from __future__ import annotations

import pytest

import contracted
from tradesense.core.audit.models import Actor
from tradesense.core.errors import (
    DecryptionFailed,
    IntegrityViolated,
    SecretNotFound,
    SecretStoreMalformed,
    SecretStoreUnavailable,
)
from tradesense.core.secrets import SecretStore
from tradesense.core.secrets.migration import Migration, Step
from tradesense.core.secrets.provider import Provider
from tradesense.core.sensitive import Secret
from tradesense.entrypoints.migration import LEFT

ACTOR = Actor(kind="operator", id="tests")


class Room:
    """A provider as the service shows it, without a trail."""

    def __init__(self, capabilities=None) -> None:
        manifest = contracted.manifest("memory", SecretStore)
        store = contracted.build(manifest, contracted.context())
        known = manifest.capabilities if capabilities is None else capabilities
        self.provider = Provider("memory", store, known, joined=False)
        self.store, self.capabilities = store, known
        self.spoils = self.away = False
        self.writes = 0
        self.broken = {}
        self.meanwhile = None

    async def get(self, path, **_):
        if self.away:
            raise SecretStoreUnavailable
        if path in self.broken:
            raise self.broken[path]
        return await self.store.get(path)

    async def list(self, prefix="", *, cursor=None, limit=100):
        return await self.store.list(prefix, cursor=cursor, limit=limit)

    async def put(self, path, value, *, cas=None, **_):
        self.writes += 1
        if self.meanwhile is not None:
            await self.store.put(path, self.meanwhile)
        return await self.store.put(path, Secret("spoiled") if self.spoils else value, cas=cas)


@pytest.fixture
async def rooms():
    source, target = Room(), Room()
    async with source.store, target.store:
        for path in ("a/x", "a/y", "b"):
            await source.store.put(path, Secret(f"canary of {path}"))
        yield source, target


def moving(rooms):
    return Migration(*rooms, actor=ACTOR, key=b"k" * 32)


async def steps(rooms, prefix="", **options):
    return {one.path: one.step async for one in moving(rooms).run(prefix, **options)}


async def test_secrets_are_copied_once_and_a_second_run_changes_nothing(rooms):
    assert await steps(rooms, dry_run=True) == dict.fromkeys(("a/x", "a/y", "b"), Step.TO_COPY)
    assert rooms[1].writes == 0
    assert await steps(rooms, "a/") == dict.fromkeys(("a/x", "a/y"), Step.COPIED)
    with pytest.raises(SecretNotFound):
        await rooms[1].store.get("b")
    assert await steps(rooms) == {"a/x": Step.SAME, "a/y": Step.SAME, "b": Step.COPIED}
    assert rooms[1].writes == 3
    assert "earlier versions" in moving(rooms).losses()


async def test_another_value_of_the_target_is_left_unless_it_is_to_go(rooms):
    await rooms[1].store.put("b", Secret("newer"))
    assert (await steps(rooms))["b"] is Step.DIFFERENT
    assert (await rooms[1].store.get("b")).value == Secret("newer")
    assert (await steps(rooms, overwrite=True))["b"] is Step.COPIED
    assert (await rooms[1].store.get("b")).value == Secret("canary of b")


async def test_what_the_target_cannot_hold_is_told_and_the_rest_is_done(rooms):
    source, target = rooms
    target.capabilities = target.capabilities - {"binary"}
    await source.store.put("raw", Secret(b"\xff\xfe"))
    found = [one async for one in moving(rooms).run()]
    (refused,) = [one for one in found if one.step is Step.REFUSED]
    assert (refused.path, refused.reason) == ("raw", "the target holds text alone")
    assert len([one for one in found if one.step is Step.COPIED]) == 3
    assert "canary" not in repr(found)
    target.capabilities = frozenset()
    assert set((await steps(rooms, dry_run=True)).values()) == {Step.SAME, Step.REFUSED}


@pytest.mark.parametrize("error", [DecryptionFailed("no key opens it"), SecretStoreMalformed("of another form")])
async def test_what_the_source_cannot_read_is_told_and_the_rest_is_done(rooms, error):
    rooms[0].broken["a/y"] = error
    found = {one.path: (one.step, one.reason) async for one in moving(rooms).run()}
    assert found == {"a/x": (Step.COPIED, ""), "a/y": (Step.UNREADABLE, error.detail), "b": (Step.COPIED, "")}
    assert Step.UNREADABLE in LEFT
    with pytest.raises(SecretNotFound):
        await rooms[1].store.get("a/y")


@pytest.mark.parametrize("error", [DecryptionFailed("no key opens it"), SecretStoreMalformed("of another form")])
async def test_what_the_target_cannot_read_is_told_and_left(rooms, error):
    rooms[1].broken["a/y"] = error
    for overwrite in (False, True):
        found = {one.path: one async for one in moving(rooms).run("a/y", overwrite=overwrite)}
        assert (found["a/y"].step, error.detail in found["a/y"].reason) == (Step.DIFFERENT, True)
    assert rooms[1].writes == 0


async def test_what_went_meanwhile_is_told_with_a_reason(rooms):
    rooms[0].broken["b"] = SecretNotFound("there is no secret 'b'")
    assert [(one.step, one.reason) async for one in moving(rooms).run("b")] == [(Step.GONE, "there is no secret 'b'")]


@pytest.mark.parametrize("had", [True, False])
async def test_what_is_written_meanwhile_is_not_replaced(rooms, had):
    if had:
        await rooms[1].store.put("b", Secret("older"))
    rooms[1].meanwhile = Secret("by an operator")
    (found,) = [one async for one in moving(rooms).run("b", overwrite=True)]
    assert (found.step, found.reason) == (Step.DIFFERENT, "the target was written to meanwhile")
    assert (await rooms[1].store.get("b")).value == Secret("by an operator")


async def test_a_target_that_cannot_compare_and_set_is_written_without(rooms):
    rooms[1].capabilities = rooms[1].capabilities - {"cas"}
    rooms[1].meanwhile = Secret("by an operator")
    assert await steps(rooms, "b") == {"b": Step.COPIED}


async def test_a_value_that_arrived_otherwise_ends_the_migration(rooms):
    rooms[1].spoils = True
    with pytest.raises(IntegrityViolated):
        await steps(rooms)


async def test_an_interrupted_migration_is_begun_again(rooms):
    _, target = rooms
    async for one in moving(rooms).run():
        assert one.path == "a/x"
        target.away = True
        break
    with pytest.raises(SecretStoreUnavailable):
        await steps(rooms)
    target.away = False
    assert list((await steps(rooms)).values()) == [Step.SAME, Step.COPIED, Step.COPIED]
