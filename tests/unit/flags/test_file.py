"""Flags in a file: read again when it has changed, and by the last good one where it cannot be."""

from __future__ import annotations

import json

import pytest

from tradesense.adapters.local._definitions import DefinitionFile
from tradesense.adapters.local.flags import FileFlagStore, FileSegmentStore, Watched
from tradesense.adapters.local.settings import FlagFileSettings
from tradesense.core.errors import DatabaseUnavailable, InvalidInput
from tradesense.core.flags import kinds
from tradesense.core.flags.stores import Stores
from tradesense.core.telemetry.models import Status

FLAG = {"key": "new", "variants": {"on": True, "off": False}, "default_variant": "off"}
FLAGD = {
    "flags": {"old": {"state": "ENABLED", "variants": FLAG["variants"], "targeting": {"if": [{"$ref": "pro"}, "on"]}}},
    "$evaluators": {"pro": {"==": [{"var": "plan"}, "pro"]}},
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "flags.json"


@pytest.fixture
def watched(path):
    return Watched(DefinitionFile(FlagFileSettings(path=str(path))))


@pytest.fixture
async def store(watched):
    async with FileFlagStore(watched) as store:
        yield store


def put(path, data):
    """Replace the file as a whole."""
    following = path.with_suffix(".next")
    following.write_text(data if isinstance(data, str) else json.dumps(data))
    following.replace(path)


async def keys(store):
    return [one.flag.key for one in (await store.list()).items]


async def test_flagds_document_is_told_from_ours(path, store, watched):
    put(path, FLAGD)
    assert await keys(store) == ["old"]
    assert (await store.get("old")).flag.targeting == {"if": [{"==": [{"var": "plan"}, "pro"]}, "on"]}
    put(path, [FLAG])
    assert await keys(store) == ["new"]
    rule = {"conditions": [{"operator": "in_segment", "values": ["pros"]}], "variant": "on"}
    put(path, {"flags": [{**FLAG, "rules": [rule]}], "segments": [{"key": "pros", "included": ["u"]}]})
    async with FileSegmentStore(watched) as segments:
        assert (await segments.get("pros")).segment.included == ("u",)


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ("{", "it is not JSON"),
        ([{**FLAG, "default_variant": "maybe"}], "new.default_variant: there is no variant 'maybe'"),
        ([FLAG, FLAG], "new: there are two flags of this key"),
        ([{**FLAG, "surprise": 1}], "it does not fit"),
        ({"flags": {"x": {}}}, "it is no flagd document"),
        (
            [{**FLAG, "rules": [{"conditions": [{"operator": "in_segment", "values": ["no"]}], "variant": "on"}]}],
            "new.rules[0].conditions[0].values[0]: there is no segment 'no'",
        ),
    ],
)
async def test_a_broken_file_leaves_the_last_good_one_and_health_says_why(path, store, watched, broken, told):
    put(path, [FLAG])
    generation = await store.generation()
    assert (await watched.check()).status is Status.UP
    put(path, broken)
    assert await keys(store) == ["new"]
    assert await store.generation() == generation
    health = await watched.check()
    assert health.status is Status.DEGRADED
    assert told in health.detail
    path.unlink()
    assert await keys(store) == ["new"]
    assert "No such file" in (await watched.check()).detail
    put(path, [FLAG, {**FLAG, "key": "newer"}])
    assert await keys(store) == ["new", "newer"]
    assert (await watched.check()).status is Status.UP


async def test_without_any_good_file_there_are_no_flags_to_serve(path, store, watched):
    put(path, "[")
    with pytest.raises(DatabaseUnavailable, match="it is not JSON"):
        await store.generation()
    assert (await watched.check()).status is Status.DOWN


async def test_revisions_are_of_the_definition_alone(path, store):
    put(path, [FLAG])
    first = (await store.get("new")).revision
    put(path, [{**FLAG, "description": "x"}])
    assert (await store.get("new")).revision != first
    put(path, [FLAG, {**FLAG, "key": "newer"}])
    assert (await store.get("new")).revision == first


def test_what_cannot_be_written_says_so(watched):
    stores = Stores(flags=FileFlagStore(watched), segments=FileSegmentStore(watched), name="file", writable=False)
    for kind in (kinds.FLAG, kinds.SEGMENT):
        with pytest.raises(InvalidInput, match="file, cannot be written"):
            stores.written(kind)
