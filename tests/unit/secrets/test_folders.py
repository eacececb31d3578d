"""Lists of one folder, and parts of a value: pure, over the memory provider."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.secrets import MemorySecretStore
from tradesense.adapters.system.ambient import SystemClock
from tradesense.core.errors import InvalidInput
from tradesense.core.secrets.folders import check_folder, children
from tradesense.core.secrets.patches import merged, patched
from tradesense.core.sensitive import Secret

SEGMENT = st.sampled_from(["a", "a-b", "a0", "aB", "b", "z", "z" * 128, "zz"])
PATHS = st.lists(st.lists(SEGMENT, min_size=1, max_size=4).map("/".join), max_size=30, unique=True)


class Counting(MemorySecretStore):
    calls = 0

    async def list(self, prefix="", *, cursor=None, limit=100):
        self.calls += 1
        return await super().list(prefix, cursor=cursor, limit=limit)


async def stocked(paths):
    store = Counting(MemoryState(), clock=SystemClock())
    await store.__aenter__()
    for path in paths:
        await store.put(path, Secret("x"))
    return store


def expected(paths, folder):
    below = (path[len(folder) :].partition("/") for path in paths if path.startswith(folder))
    return sorted({f"{folder}{name}{slash}" for name, slash, _ in below})


@given(paths=PATHS, folder=st.sampled_from(["", "a/", "z/", "a/b/"]), limit=st.integers(1, 5))
async def test_pages_hold_every_child_once_in_order(paths, folder, limit):
    store, cursor, found = await stocked(paths), None, []
    while True:
        page = await children(store, folder, cursor=cursor, limit=limit)
        assert len(page.items) <= limit
        found += page.items
        if (cursor := page.cursor) is None:
            break
    assert found == expected(paths, folder)


async def test_what_lies_in_a_folder_is_jumped_over():
    store = await stocked([f"{folder}/{number:04}" for folder in "abc" for number in range(1000)])
    page = await children(store, "", cursor=None, limit=10)
    assert page.items == ("a/", "b/", "c/")
    assert store.calls <= 4


@pytest.mark.parametrize("wrong", ["a", "/", "a//", "../", "a b/"])
def test_a_folder_is_a_path_with_a_slash(wrong):
    with pytest.raises(InvalidInput):
        check_folder(wrong)


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_patch_is_merged_as_the_rfc_says(target, patch, result):
    """RFC 7396, appendix A."""
    assert merged(target, patch) == result


@pytest.mark.parametrize("value", [b"hunter2", b"[1]", b"\xff", b'{"a":', b""])
def test_what_is_no_object_is_refused_without_a_word_of_it(value):
    with pytest.raises(InvalidInput) as refused:
        patched(Secret(value), {"a": 1})
    assert "hunter2" not in refused.value.line()
