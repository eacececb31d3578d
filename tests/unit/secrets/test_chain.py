from __future__ import annotations

import pytest

import contracted
from tradesense.core.errors import (
    ConfigurationError,
    SecretDenied,
    SecretNotFound,
    SecretStoreMalformed,
    SecretStoreUnavailable,
)
from tradesense.core.secrets import SecretStore
from tradesense.core.secrets.chain import ChainStore
from tradesense.core.secrets.provider import Provider
from tradesense.core.sensitive import Secret


class Failing:
    def __init__(self, error):
        self.error = error

    async def get(self, _):
        raise self.error

    async def list(self, *_, **__):
        raise self.error


def provider(name, store):
    return Provider(name, store, frozenset(), joined=False)


@pytest.fixture
async def stores():
    one, two = (contracted.build(contracted.manifest("memory", SecretStore), contracted.context()) for _ in range(2))
    async with one, two:
        await one.put("both", Secret("first"))
        await two.put("both", Secret("second"))
        await two.put("second/only", Secret("second"))
        yield one, two


@pytest.fixture
def chain(stores):
    return ChainStore([provider("one", stores[0]), provider("two", stores[1])])


async def test_the_first_that_has_it_answers_and_is_named(chain):
    assert chain.order == ("one", "two")
    for path, value, name in (("both", "first", "one"), ("second/only", "second", "two")):
        found = await chain.get(path)
        assert (found.value, found.provider) == (Secret(value), name)
    with pytest.raises(SecretNotFound, match="one, two"):
        await chain.get("absent")


@pytest.mark.parametrize("error", [SecretStoreUnavailable(), SecretStoreMalformed(), SecretDenied()])
async def test_R53_a_provider_that_is_away_or_refuses_is_never_passed_over(stores, error):
    chain = ChainStore([provider("down", Failing(error)), provider("two", stores[1])])
    with pytest.raises(type(error)):
        await chain.get("both")
    with pytest.raises(type(error)):
        await chain.list()


@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
async def test_a_list_has_what_any_of_them_has(chain, stores, limit):
    for number in range(5):
        await stores[number % 2].put(f"n/{number}", Secret("x"))
    found, cursor = [], None
    while True:
        page = await chain.list(cursor=cursor, limit=limit)
        found += page.items
        if (cursor := page.cursor) is None:
            break
    assert found == ["both", *(f"n/{number}" for number in range(5)), "second/only"]


@pytest.mark.parametrize("names", [[], ["one"], ["one", "one"]])
def test_a_chain_names_at_least_two_each_once(names):
    with pytest.raises(ConfigurationError):
        ChainStore([provider(name, Failing(None)) for name in names])
