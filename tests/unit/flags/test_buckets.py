"""The second generation of bucketing: published numbers, equal in every process and with every hash."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from flagkit import PEOPLE, compiled, flag, inside, shares, toolkit, when
from tradesense.core.flags.buckets import BUCKETS, bucketing, subject_of
from tradesense.core.flags.models import FIRST, SECOND
from tradesense.core.flags.murmur import murmur3

CODE = """
import hashlib
from tradesense.core.flags.buckets import bucketing
from tradesense.core.flags.murmur import murmur3
from tradesense.adapters.mmh3.flags import bucket_hash
find = bucketing("f", 2, bucket_hash(None, None))
print(hashlib.sha256(repr([find(f"user-{n}") for n in range(100_000)]).encode()).hexdigest())
"""


def test_the_hash_is_the_published_one():
    known = {"": 0, "a": 0x3C2569B2, "abc": 0xB3DD93FA, "hello": 0x248BFA47, "hello, world": 0x149BBB7F}
    assert {text: murmur3(text.encode()) for text in known} == known


def test_the_buckets_are_the_published_ones():
    find = bucketing("f", SECOND, murmur3)
    assert [find(subject) for subject in ("user-1", "user-2", "ünï", "x" * 2000, "\ud800")] == [
        87725,
        37461,
        40809,
        50496,
        81453,
    ]


@given(st.text(st.characters(), max_size=80))
def test_the_hash_in_c_finds_the_same_buckets(subject):
    assert bucketing("f", SECOND, toolkit().hash32)(subject) == bucketing("f", SECOND, murmur3)(subject)


def test_F24_four_processes_find_equal_buckets_for_100_000_ids():
    def run(seed):
        env = {"PYTHONHASHSEED": str(seed)}
        return subprocess.run([sys.executable, "-c", CODE], env=env, capture_output=True, text=True, check=True).stdout

    with ThreadPoolExecutor(2) as pool:
        assert len(set(pool.map(run, range(4)))) == 1


def test_R60_the_split_is_within_one_percent_over_100_000_ids():
    for generation in (FIRST, SECOND):
        evaluate = compiled(flag(when(shares=shares(on=30, off=50)), generation=generation, key="roll-out"))
        served = [evaluate({"targetingKey": person}) for person in PEOPLE]
        for variant, percent in (("on", 30), ("off", 70)):
            assert abs(sum(one.variant == variant for one in served) * 100 / len(PEOPLE) - percent) < 1


def test_R60_a_ramp_from_10_to_20_percent_moves_no_one_out():
    for generation in (FIRST, SECOND):
        ten, twenty = (
            inside(compiled(flag(when(shares=shares(on=percent)), generation=generation))) for percent in (10, 20)
        )
        assert ten < twenty


def test_flags_of_one_salt_split_people_alike():
    one, two, three = (
        inside(compiled(flag(when(shares=shares(on=50)), key=key, salt=salt)), people=PEOPLE[:5000])
        for key, salt in (("one", "s"), ("two", "s"), ("three", ""))
    )
    assert one == two != three


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.lists(st.integers()))
def test_a_subject_is_a_text_or_nothing(value):
    assert isinstance(subject_of(value), str | None)


def test_a_number_is_one_subject_however_json_wrote_it():
    assert subject_of(7) == subject_of(7.0) == "7"
    assert subject_of(7.5) == "7.5"


@given(st.text(max_size=30))
def test_a_bucket_is_within_its_range(subject):
    for generation in (FIRST, SECOND):
        assert 0 <= bucketing("f", generation, murmur3)(subject) < BUCKETS
