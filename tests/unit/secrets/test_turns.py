"""Who asks a provider waits for a turn, for a while."""

from __future__ import annotations

import asyncio

import pytest

from tradesense.core.errors import SecretStoreUnavailable
from tradesense.core.secrets.turns import Turns


class Crowd:
    """Counts who is inside at once."""

    def __init__(self):
        self.inside = self.most = 0

    async def enter(self, turn):
        async with turn:
            self.inside += 1
            self.most = max(self.most, self.inside)
            await asyncio.sleep(0)
            self.inside -= 1


async def test_so_many_ask_at_once_and_all_have_their_turn():
    turns, crowd = Turns(most=3, origin="tests"), Crowd()
    await asyncio.gather(*(crowd.enter(turns.asking()) for _ in range(20)))
    assert crowd.most == 3


async def test_one_writes_a_path_at_once_and_others_write_other_paths():
    turns, one, both = Turns(most=1, origin="tests"), Crowd(), Crowd()
    await asyncio.gather(*(one.enter(turns.writing("a")) for _ in range(20)))
    await asyncio.gather(*(both.enter(turns.writing(path)) for path in "ab" * 10))
    assert (one.most, both.most) == (1, 2)


async def test_who_has_no_turn_in_time_is_told_and_the_others_go_on():
    turns = Turns(most=1, origin="secrets.tests", longest=0.01)
    async with turns.asking(), turns.writing("a"):
        for turn in (turns.asking(), turns.writing("a")):
            with pytest.raises(SecretStoreUnavailable, match=r"secrets\.tests|no turn within") as refused:
                async with turn:
                    pass
            assert refused.value.origin == "secrets.tests"
    async with turns.asking(), turns.writing("a"):
        pass


async def test_nothing_is_kept_of_a_path_that_nobody_writes():
    turns = Turns(most=1, origin="tests")
    async with turns.writing("a"):
        assert len(turns._writing) == 1
    assert not turns._writing


async def test_who_is_cancelled_while_waiting_takes_no_turn():
    turns = Turns(most=1, origin="tests")
    async with turns.asking():
        waiting = asyncio.create_task(Crowd().enter(turns.asking()))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    await asyncio.wait_for(Crowd().enter(turns.asking()), 1)
