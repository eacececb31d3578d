"""Every targeting operator, as it reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flagkit import compiled, condition, flag, when
from tradesense.core.flags import versions


def holds(operator, values, context, **more):
    return compiled(flag(when(condition(operator, *values, **more))))(context).value


@pytest.mark.parametrize(
    ("operator", "values", "value", "expected"),
    [
        ("contains", ("ell",), "hello", True),
        ("contains", ("x", "lo"), "hello", True),
        ("contains", ("ell",), "hi", False),
        ("contains", ("ell",), 5, False),
        ("contains", ("a",), "a" * 4096, True),
        ("contains", ("a",), "a" * 4097, False),
        ("matches", ("^h.*o$",), "hello", True),
        ("matches", ("^x", "lo$"), "hello", True),
        ("matches", ("^h$",), "hello", False),
        ("matches", (r"\d+",), 12, False),
        ("matches", ("é",), "caf\u00e9", True),
        ("matches", ("a",), "\ud800", False),
        ("less_or_equal", (10,), 10, True),
        ("less_or_equal", (10,), 10.1, False),
        ("greater_or_equal", (10,), 10, True),
        ("greater_or_equal", (10,), 9, False),
        ("greater_or_equal", (10,), "10", False),
        ("version_equal", ("1.2.3",), "v1.2.3+build", True),
        ("version_equal", ("1.2.3",), "1.2.3-rc.1", False),
        ("version_less", ("2.0.0",), "2.0.0-alpha", True),
        ("version_less", ("2.0.0",), "10.0.0", False),
        ("version_greater", ("2.0.0",), "10.0.0", True),
        ("version_greater", ("1.1",), 1.2, True),
        ("version_greater", ("2.0.0",), "not a version", False),
        ("version_minor", ("3.1.0",), "3.1.9", True),
        ("version_minor", ("3.1.0",), "3.2.0", False),
        ("version_major", ("3.1.0",), "3.9.0", True),
        ("version_major", ("3.1.0",), "4.0.0", False),
        ("version_major", ("3.1.0",), None, False),
        ("before", ("2030-01-31T12:00:00Z",), "2030-01-31T13:59:59+02:00", True),
        ("before", ("2030-01-31T12:00:00Z",), "2030-01-31T12:00:00Z", False),
        ("after", ("2030-01-31",), "2030-01-31T00:00:01", True),
        ("after", (0,), 1, True),
        ("after", ("2030-01-31",), "tomorrow", False),
        ("after", ("2030-01-31",), True, False),
        ("in_network", ("10.0.0.0/8", "192.168.1.7"), "10.255.0.1", True),
        ("in_network", ("10.0.0.0/8", "192.168.1.7"), "192.168.1.7", True),
        ("in_network", ("10.0.0.0/8", "192.168.1.7"), "192.168.1.8", False),
        ("in_network", ("10.0.0.0/8",), "::ffff:10.1.2.3", True),
        ("in_network", ("2001:db8::/32",), "2001:db8:1::1", True),
        ("in_network", ("0.0.0.0/0",), "2001:db8:1::1", False),
        ("in_network", ("10.0.0.0/8",), "10.0.0.1.evil", False),
        ("in_network", ("10.0.0.0/8",), 167772161, False),
        ("exists", (), 0, True),
        ("exists", (), None, False),
    ],
)
def test_an_operator_holds_as_it_reads(operator, values, value, expected):
    assert holds(operator, values, {"a": value}) is expected
    assert holds(operator, values, {"a": value}, negate=True) is not expected


def test_an_attribute_may_be_a_path_and_a_key_that_is_called_so_goes_first():
    assert holds("in", ("pro",), {"user": {"plan": "pro"}}, attribute="user.plan")
    assert holds("in", ("pro",), {"user.plan": "pro", "user": {"plan": "free"}}, attribute="user.plan")
    for context in ({}, {"user": None}, {"user": "pro"}, {"user": []}, {"user": {"plan": {}}}):
        assert not holds("in", ("pro",), context, attribute="user.plan")


def test_precedence_of_versions_is_that_of_the_specification():
    ends = ("-alpha", "-alpha.1", "-alpha.beta", "-beta", "-beta.2", "-beta.11", "-rc.1", "")
    ordered = [f"1.0.0{end}" for end in ends]
    parsed = [versions.parse(one) for one in ordered]
    assert parsed == sorted(parsed)
    assert len(set(parsed)) == len(parsed)


@pytest.mark.parametrize("text", ["", "v", "1.2.3.4", "01.2.3", "1.2.3-", "1..2", "a", "1.2.3-é", "1" * 300])
def test_what_is_no_version_is_none(text):
    assert versions.parse(text) is None


@given(st.text(max_size=40) | st.integers() | st.floats() | st.none() | st.booleans())
def test_parsing_a_version_never_raises(value):
    versions.parse(value)
