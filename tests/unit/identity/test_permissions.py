"""What a permission covers, and what a set of roles decides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradesense.core.errors import InvalidInput
from tradesense.core.identity.permissions import Permission, covers, parse, shared
from tradesense.core.identity.roles import BUILT_IN, closure
from tradesense.core.identity.rules import Proof, Role, Rules, Why

WORDS = st.sampled_from(["*", "a", "b"])
PERMISSIONS = st.builds(
    Permission, WORDS, WORDS, st.sampled_from(["", "x", "x/", "x/y", "x/y/z", "z"]), st.booleans()
).map(lambda one: one if one.scope else one._replace(below=True))
THINGS = [
    Permission(room, verb, scope, below=False)
    for room in "abc"
    for verb in "abc"
    for scope in ("x", "x/", "x/y", "x/y/z", "x/q", "z", "zz", "q")
]


def things(permission):
    """The things, of all that the tests know, that a permission is about."""
    return {one for one in THINGS if covers(permission, one)}


@given(PERMISSIONS)
def test_a_permission_is_written_as_it_is_read(permission):
    assert parse(str(permission)) == permission


@given(PERMISSIONS, PERMISSIONS)
def test_what_two_permissions_share_is_exactly_what_lies_in_both(one, other):
    both = shared(one, other)
    assert both == shared(other, one)
    assert things(one) & things(other) == (things(both) if both else set())
    if covers(one, other):
        assert things(other) <= things(one)
        assert both == other


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a:",
        ":a",
        "a:b:",
        "A:b",
        "a:b c",
        "a:b:c d",
        "a:b:c*d",
        "a:b:**",
        "a:b\n",
        "*",
        "a:b:é",
        f"a:b:{'x' * 513}",
    ],
)
def test_what_is_no_permission_is_refused(text):
    with pytest.raises(InvalidInput):
        parse(text)


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ("secrets:read:team-a/db", Why.GRANTED),
        ("secrets:read:team-a/*", Why.DENIED),
        ("secrets:read:team-a/db/*", Why.GRANTED),
        ("secrets:read:team-ab", Why.NOT_GRANTED),
        ("secrets:read:team-b/db", Why.NOT_GRANTED),
        ("secrets:write:team-a/db", Why.NOT_GRANTED),
        ("secrets:read:team-a/private/key", Why.DENIED),
        ("secrets:read", Why.DENIED),
        ("flags:read", Why.GRANTED),
        ("flags:write", Why.STEP_UP),
        ("audit:read", Why.MFA),
    ],
)
def test_a_denial_goes_before_grants_and_demands_before_both(wanted, why):
    rules = Rules(
        [
            Role(name="team", allow=("secrets:read:team-a/*", "flags:*"), step_up=("flags:write",)),
            Role(name="office", allow=("audit:read",), deny=("secrets:*:team-a/private/*",), mfa=("audit:*",)),
        ]
    )
    decision = rules.explain(wanted)
    assert decision.why is why
    assert rules.permits(wanted) is decision.granted is (why is Why.GRANTED)
    assert bool(decision.rule) is (why is not Why.NOT_GRANTED)


def test_a_proof_satisfies_the_demand_that_it_is_for():
    rules = Rules([Role(name="r", allow=("a:*",), step_up=("a:b",), mfa=("a:c",))])
    assert rules.permits("a:b", Proof(fresh=True))
    assert not rules.permits("a:b", Proof(strong=True))
    assert rules.permits("a:c", Proof(strong=True))
    assert not rules.permits("a:*", Proof(fresh=True))
    assert rules.permits("a:*", Proof(fresh=True, strong=True))


def test_a_path_that_looks_like_a_pattern_asks_for_that_path_alone():
    held = Rules([Role(name="r", allow=("secrets:read:team-a/*",))])
    wanted = parse("secrets:read")
    assert held.permits(wanted.at("team-a/*"))
    assert not held.permits(wanted.at("*"))
    assert not held.permits(wanted.at("", below=True))


def test_roles_inherit_whatever_the_way_round():
    known = {
        "top": Role(name="top", inherits=("middle",)),
        "middle": Role(name="middle", allow=("a:b",), inherits=("low", "top", "gone")),
        "low": Role(name="low", deny=("a:c",)),
    }
    assert {role.name for role in closure(["top"], known)} == set(known)


def test_nobody_holds_anything_by_a_role_that_is_not_known():
    assert not Rules(closure(["wizard"], BUILT_IN)).permits("flags:evaluate")
    assert Rules(closure(["user"], BUILT_IN)).permits("flags:evaluate")
    assert Rules(closure(["admin"], BUILT_IN)).permits("anything:at-all:whatever")


RULES = st.builds(
    lambda allow, deny, step_up: Rules([Role(name="r", allow=tuple(allow), deny=tuple(deny), step_up=tuple(step_up))]),
    *(st.lists(PERMISSIONS.map(str), max_size=3),) * 3,
)


@given(RULES, RULES)
def test_R49_rules_that_are_within_others_permit_nothing_more(granted, held):
    more = granted.beyond(held)
    if more is None:
        for thing in THINGS:
            for proof in (Proof(), Proof(fresh=True)):
                assert held.permits(thing, proof) or not granted.permits(thing, proof)


@given(RULES)
def test_R49_everyone_may_give_what_they_have(rules):
    assert rules.beyond(rules) is None
