"""The contract of what changes credentials where they are used."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import pytest
from msgspec.structs import replace

from tradesense.core.errors import InvalidInput, RotationFailed
from tradesense.core.secrets.models import MAX_VALUE, StoredSecret
from tradesense.core.secrets.ports import Rotator
from tradesense.core.sensitive import Secret
from tradesense.core.testing.base import Contract, Make, opened

Accepts = Callable[[StoredSecret], Awaitable[bool]]
"""Whether the other end lets somebody in with this version of the secret."""

ROUNDS = 3


class RotatorContract(Contract):
    """What every :class:`Rotator` must do, so that a crash at any step leaves a credential that works."""

    port = Rotator

    @pytest.fixture
    def current(self) -> StoredSecret:
        """Override this: the secret as it is before, its value accepted by the other end."""
        pytest.fail(f"{type(self).__name__} must override the fixture `current`: the secret before its rotation")

    @pytest.fixture
    def options(self) -> Mapping[str, str]:
        """Override this where the rotator needs options of the policy."""
        return {}

    @pytest.fixture
    def accepts(self) -> Accepts | None:
        """Override this where there is another end: whether it accepts a version of the secret."""
        return None

    async def test_what_is_created_is_another_value_that_can_be_kept(
        self, adapter: Make[Rotator], current: StoredSecret, options: Mapping[str, str]
    ) -> None:
        async with opened(adapter()) as rotator:
            made = [await rotator.create(current, options) for _ in range(3)]
            for number, value in enumerate(made):
                assert isinstance(value, Secret)
                assert 0 < len(value) <= MAX_VALUE
                assert value not in (current.value, *made[:number]), "a value must not come back"

    async def test_nobody_accepts_what_was_created(
        self, adapter: Make[Rotator], current: StoredSecret, options: Mapping[str, str], accepts: Accepts | None
    ) -> None:
        other_end = self._other_end(accepts)
        async with opened(adapter()) as rotator:
            pending = await self._created(rotator, current, options)
            assert await other_end(current)
            assert not await other_end(pending)
            with pytest.raises(RotationFailed):
                await rotator.test(pending, options)
            assert await other_end(current)

    async def test_what_is_set_is_accepted_besides_the_current_value(
        self, adapter: Make[Rotator], current: StoredSecret, options: Mapping[str, str], accepts: Accepts | None
    ) -> None:
        async with opened(adapter()) as rotator:
            pending = await self._created(rotator, current, options)
            await rotator.set(current, pending, options)
            await rotator.test(pending, options)
            if accepts is not None:
                assert await accepts(current), "the current credential must work until the pending one was tried"
                assert await accepts(pending)

    async def test_setting_and_trying_again_change_nothing(
        self, adapter: Make[Rotator], current: StoredSecret, options: Mapping[str, str], accepts: Accepts | None
    ) -> None:
        async with opened(adapter()) as rotator:
            pending = await self._created(rotator, current, options)
            for _ in range(ROUNDS):
                await rotator.set(current, pending, options)
                await rotator.test(pending, options)
                if accepts is not None:
                    assert await accepts(current)
                    assert await accepts(pending)

    async def test_another_process_goes_on_where_one_has_died(
        self, adapter: Make[Rotator], current: StoredSecret, options: Mapping[str, str], accepts: Accepts | None
    ) -> None:
        async with opened(adapter()) as rotator:
            pending = await self._created(rotator, current, options)
        async with opened(adapter()) as rotator:
            await rotator.set(current, pending, options)
        async with opened(adapter()) as rotator:
            await rotator.test(pending, options)
            if accepts is not None:
                assert await accepts(current)
                assert await accepts(pending)

    async def test_a_value_that_was_created_and_given_up_is_in_nobodys_way(
        self, adapter: Make[Rotator], current: StoredSecret, options: Mapping[str, str], accepts: Accepts | None
    ) -> None:
        async with opened(adapter()) as rotator:
            for _ in range(2):
                given_up = await self._created(rotator, current, options)
                await rotator.set(current, given_up, options)
            pending = await self._created(rotator, current, options)
            await rotator.set(current, pending, options)
            await rotator.test(pending, options)
            if accepts is not None:
                assert await accepts(current)
                assert await accepts(pending)

    async def test_it_rotates_again_and_again(
        self, adapter: Make[Rotator], current: StoredSecret, options: Mapping[str, str], accepts: Accepts | None
    ) -> None:
        async with opened(adapter()) as rotator:
            before = current
            for _ in range(ROUNDS):
                pending = await self._created(rotator, before, options)
                await rotator.set(before, pending, options)
                await rotator.test(pending, options)
                if accepts is not None:
                    assert await accepts(before)
                    assert await accepts(pending)
                before = pending

    async def test_what_it_cannot_have_made_does_not_pass(
        self, adapter: Make[Rotator], current: StoredSecret, options: Mapping[str, str], accepts: Accepts | None
    ) -> None:
        async with opened(adapter()) as rotator:
            for value in (Secret(""), Secret("x"), Secret(b"\xff\x00")):
                wrong = replace(current, value=value, version=current.version + 1)
                with pytest.raises((RotationFailed, InvalidInput)) as refused:
                    await rotator.test(wrong, options)
                assert current.value.reveal() not in f"{refused.value!r} {refused.value.line()}"
            if accepts is not None:
                assert await accepts(current)

    async def _created(self, rotator: Rotator, current: StoredSecret, options: Mapping[str, str]) -> StoredSecret:
        """The next version, pending."""
        return replace(current, value=await rotator.create(current, options), version=current.version + 1)

    def _other_end(self, accepts: Accepts | None) -> Accepts:
        if accepts is None:
            pytest.skip("there is no fixture `accepts`: nobody has to be told of a new value")
        return accepts
