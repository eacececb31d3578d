"""A cursor that a list cannot have given out is refused, and is not the beginning of an arbitrary page."""

from __future__ import annotations

import pytest

from tradesense.adapters.env.secrets import EnvSecretStore
from tradesense.adapters.env.settings import EnvSettings
from tradesense.adapters.memory._state import MemoryState
from tradesense.adapters.memory.config import MemorySettingsStore
from tradesense.adapters.memory.flags import MemoryFlagStore
from tradesense.adapters.memory.secrets import MemorySecretStore
from tradesense.core.errors import InvalidInput
from tradesense.core.paging import check_cursor
from tradesense.core.secrets.models import check_path
from tradesense.core.testing.checks import ManualClock

STORES = {
    "env": lambda: EnvSecretStore(EnvSettings(), environ={}),
    "secrets": lambda: MemorySecretStore(MemoryState(), clock=ManualClock()),
    "flags": lambda: MemoryFlagStore(MemoryState(), clock=ManualClock()),
    "config": lambda: MemorySettingsStore(MemoryState(), clock=ManualClock()),
}


@pytest.mark.parametrize("make", STORES.values(), ids=STORES)
@pytest.mark.parametrize("cursor", ["", "\0", "!!!", "a b", "../a", "a" * 10_000])
async def test_what_is_no_key_is_no_cursor(make, cursor):
    async with make() as store:
        assert (await store.list(cursor="a")).items == ()
        with pytest.raises(InvalidInput, match="not one that this list gave out"):
            await store.list(cursor=cursor)


def test_a_cursor_is_under_the_prefix_of_its_list():
    assert check_cursor(None, check_path, prefix="a/") is None
    assert check_cursor("a/b", check_path, prefix="a/") == "a/b"
    with pytest.raises(InvalidInput):
        check_cursor("b/a", check_path, prefix="a/")
