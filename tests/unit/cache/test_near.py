"""The first level: its bounds, and who goes first."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tradesense.core.cache.near import OVERHEAD, Entry, Near


def entry(weight=0, created=1.0):
    return Entry(
        value=b"",
        plain=b"",
        created=created,
        born=created,
        tags=(),
        near_until=9,
        fresh_until=9,
        stale_until=9,
        weight=weight,
    )


def read(near, key):
    found = near.entries.get(key)
    if found is not None:
        found.used += 1
    return found is not None


def test_it_holds_no_more_entries_than_it_may():
    near = Near(max_entries=3)
    for number in range(10):
        near.put(str(number), entry())
    assert len(near.entries) == 3
    assert near.evictions == 7


def test_it_holds_no_more_bytes_than_it_may():
    near = Near(max_bytes=3 * (1000 + OVERHEAD + 1))
    for number in range(9):
        near.put(str(number), entry(1000))
    assert len(near.entries) == 3
    assert near.bytes <= 3 * (1000 + OVERHEAD + 1)


def test_what_is_larger_than_all_of_it_is_not_held_and_pushes_nothing_out():
    near = Near(max_bytes=2000)
    near.put("small", entry(10))
    assert not near.put("huge", entry(5000))
    assert list(near.entries) == ["small"]
    assert not near.put("small", entry(5000))
    assert near.bytes == 0


def test_a_scan_pushes_out_nothing_that_is_read():
    near = Near(max_entries=100)
    kept = [f"kept-{number}" for number in range(50)]
    for _ in range(3):
        for key in kept:
            if not read(near, key):
                near.put(key, entry())
    for number in range(10_000):
        near.put(f"scan-{number}", entry())
        if number % 1000 == 0:
            for key in kept:
                read(near, key)
    assert all(read(near, key) for key in kept)


def test_what_comes_back_soon_is_kept_among_those_that_matter():
    near = Near(max_entries=20)
    for number in range(30):
        near.put(str(number), entry())
    gone = next(str(number) for number in range(30) if str(number) not in near.entries)
    near.put(gone, entry())
    for number in range(100, 110):
        near.put(str(number), entry())
    assert gone in near.entries


def test_what_was_dropped_does_not_come_back_by_an_older_answer():
    near = Near()
    near.put("k", entry(created=1.0))
    near.drop("k", 2.0)
    assert not near.put("k", entry(created=1.0))
    assert near.put("k", entry(created=2.0))
    near.clear()
    assert (near.entries, near.bytes) == ({}, 0)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("prd"), st.integers(0, 30), st.integers(0, 3000)), max_size=200))
def test_it_never_holds_more_than_it_may_and_counts_right(steps):
    near = Near(max_entries=8, max_bytes=10_000)
    for action, number, weight in steps:
        key = str(number)
        if action == "p":
            near.put(key, entry(weight))
        elif action == "r":
            read(near, key)
        else:
            near.drop(key, 0.0)
        assert len(near.entries) <= 8
        assert near.bytes <= 10_000
        assert near.bytes == sum(one.weight for one in near.entries.values())
        assert {*near._small, *near._main} == set(near.entries)
        assert not {*near._small} & {*near._main}
