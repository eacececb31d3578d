"""What may be a runtime setting's key and value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradesense.core.config.models import MAX_ENCODED, check_key, check_value
from tradesense.core.errors import InvalidSetting

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    "key", ["a", "ui.theme", "a.b.c.d.e.f.g.h", "a-b_c.0", "a" * 64, ".".join(["a" * 64] * 8), "ui.2fa"]
)
def test_a_key_within_the_grammar_is_returned_as_it_is(key):
    assert check_key(key) == key


@pytest.mark.parametrize(
    "key",
    ["", ".", "a.", ".a", "a..b", "A", "a.B", "0a", "a b", "a\n", "é", "a/b", "a" * 65, "a.b.c.d.e.f.g.h.i", "a.-b"],
)
def test_a_key_outside_the_grammar_is_refused(key):
    with pytest.raises(InvalidSetting):
        check_key(key)


@given(json_values)
def test_any_json_value_is_returned_as_it_is(value):
    assert check_value(value) is value


def test_the_largest_value_fits_and_one_more_byte_does_not():
    largest = "x" * (MAX_ENCODED - 2)
    assert check_value(largest) == largest
    with pytest.raises(InvalidSetting):
        check_value(largest + "x")


@pytest.mark.parametrize("value", [object(), {1, 2, "a", object()}, {"a": object()}, b"\xff".decode("latin1").encode])
def test_what_is_not_json_is_refused(value):
    with pytest.raises(InvalidSetting):
        check_value(value)
