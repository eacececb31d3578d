"""What may be a secret's path, prefix and value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradesense.core.errors import InvalidSecretPath, SecretTooLarge
from tradesense.core.secrets.models import MAX_PATH, MAX_VALUE, check_path, check_prefix, check_value
from tradesense.core.sensitive import Secret

GOOD = ("a", "A9", "team-a/db/password", "a.b_c-d", "a/b/c/d/e", "0", "a..b", "a-", "a_", "x" * 128, "a/" * 255 + "bc")
BAD = (
    "",
    "/",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "a/../b",
    ".a",
    "a.",
    "a/.",
    "-a",
    "_a",
    "a b",
    "a\n",
    "a\x00",
    "é",
    "\uff41",
    "a?b",
    "a%2fb",
    "a\\b",
    "x" * 129,
    "a/" * 256 + "b",
)


@pytest.mark.parametrize("path", GOOD)
def test_a_path_within_the_grammar_is_returned_as_it_is(path):
    assert check_path(path) == path


@pytest.mark.parametrize("path", BAD)
def test_a_path_outside_the_grammar_is_refused(path):
    with pytest.raises(InvalidSecretPath):
        check_path(path)


def test_the_longest_path_fits_and_one_more_does_not():
    longest = "a/" * (MAX_PATH // 2 - 1) + "bc"
    assert len(check_path(longest)) == MAX_PATH
    with pytest.raises(InvalidSecretPath):
        check_path(longest + "d")


@given(st.text(max_size=40))
def test_no_accepted_path_can_climb_or_hide(path):
    try:
        check_path(path)
    except InvalidSecretPath:
        return
    assert path.isascii()
    assert path.isprintable()
    assert all(segment and segment[0] != "." and segment[-1] != "." for segment in path.split("/"))


@pytest.mark.parametrize("prefix", ["", "a", "a/", "team-a/db/"])
def test_a_prefix_is_empty_or_a_path_that_may_end_in_a_slash(prefix):
    assert check_prefix(prefix) == prefix


@pytest.mark.parametrize("prefix", ["/", "//", "a//", "../", " "])
def test_any_other_prefix_is_refused(prefix):
    with pytest.raises(InvalidSecretPath):
        check_prefix(prefix)


def test_the_largest_value_fits_and_one_more_byte_does_not():
    assert check_value(Secret(b"x" * MAX_VALUE))
    with pytest.raises(SecretTooLarge) as caught:
        check_value(Secret(b"x" * (MAX_VALUE + 1)))
    assert "xxx" not in str(caught.value)


def test_a_value_is_measured_in_bytes_of_its_encoding():
    with pytest.raises(SecretTooLarge):
        check_value(Secret("é" * (MAX_VALUE // 2 + 1)))
