"""Secrets from environment variables: the mapping of names."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradesense.adapters.env import _names
from tradesense.adapters.env.secrets import EnvSecretStore
from tradesense.adapters.env.settings import EnvSettings
from tradesense.core.errors import SecretNotFound
from tradesense.core.secrets.models import check_path

EDGE = string.ascii_lowercase[:3] + string.digits[:2]
segments = st.from_regex(rf"\A[{EDGE}](?:[{EDGE}._-]{{0,6}}[{EDGE}_-])?\Z")
paths = st.lists(segments, min_size=1, max_size=4).map("/".join)


@given(paths)
def test_every_lower_case_path_has_a_name_that_leads_back_to_it(path: str):
    name = _names.variable(check_path(path))
    assert name is not None
    assert set(name) <= set(string.ascii_uppercase + string.digits + "_")
    assert _names.path(name) == path


@given(paths, paths)
def test_two_paths_never_have_one_name(one: str, other: str):
    assert (_names.variable(one) == _names.variable(other)) == (one == other)


@given(st.text(alphabet="AB01_2DEF5", max_size=12))
def test_a_name_is_of_the_path_that_it_leads_to_or_of_none(name: str):
    path = _names.path(name)
    assert path is None or _names.variable(check_path(path)) == name


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("team-a/db/password", "TEAM_A__DB__PASSWORD"),
        ("db_main", "DB___5FMAIN"),
        ("a.b", "A___2EB"),
        ("a--b", "A___2D___2DB"),
        ("a-/b", "A___2D__B"),
        ("a/b", "A__B"),
    ],
)
def test_the_documented_names(path: str, name: str):
    assert _names.variable(path) == name
    assert _names.path(name) == path


@pytest.mark.parametrize("name", ["", "_A", "A_", "A___", "A___41B", "A____B", "A_____B", "a", "A-B", "A___2DB", "Ä"])
def test_names_that_no_path_has(name: str):
    assert _names.path(name) is None


async def test_what_is_listed_can_be_read_and_nothing_else_is():
    environ = {
        "TRADESENSE_SECRET_TEAM_A__KEY": "one",
        "TRADESENSE_SECRET_B": "\udcff",
        "TRADESENSE_SECRET_lower": "no",
        "TRADESENSE_SECRET_": "no",
        "TRADESENSE_OTHER": "no",
    }
    async with EnvSecretStore(EnvSettings(), environ=environ) as store:
        assert (await store.list()).items == ("b", "team-a/key")
        assert (await store.get("team-a/key")).value.reveal() == "one"
        assert (await store.get("b")).value.reveal_bytes() == b"\xff"
        environ["TRADESENSE_SECRET_B"] = "changed"
        assert (await store.get("b")).value.reveal() == "changed"
        for absent in ("lower", "team-a", "B", "team_a/key"):
            with pytest.raises(SecretNotFound):
                await store.get(absent)


async def test_an_absent_secret_names_the_variable_that_would_hold_it():
    async with EnvSecretStore(EnvSettings(prefix="S_"), environ={}) as store:
        with pytest.raises(SecretNotFound) as caught:
            await store.get("a/b")
    assert caught.value.mend == "set S_A__B"
