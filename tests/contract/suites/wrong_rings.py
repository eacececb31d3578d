"""Rings of keys that are wrong on purpose, and the tests that must catch them."""

from __future__ import annotations

from msgspec.structs import replace

from localkeys import Keys
from tradesense.adapters.local.secrets import LocalKeyEncryption
from tradesense.core.errors import InvalidInput
from tradesense.core.secrets import KeyStatus

THREE_FOR_EACH_RULE = True


class TestForgetsTheOldKeyWhenItRotates(Keys):
    caught_by = ("test_a_new_key_wraps_and_the_old_ones_go_on_unwrapping",)

    class Encryption(LocalKeyEncryption):
        async def rotate(self):
            old = self._current()
            made = await super().rotate()
            await self.retire(old)
            return made


class TestGoesOnWrappingWithTheOldKey(Keys):
    caught_by = (
        "test_a_new_key_wraps_and_the_old_ones_go_on_unwrapping",
        "test_others_wrap_with_a_new_key_soon",
    )

    class Encryption(LocalKeyEncryption):
        def _current(self):
            return self._key_id


class TestNamesNoCurrentKey(Keys):
    caught_by = (
        "test_a_new_key_wraps_and_the_old_ones_go_on_unwrapping",
        "test_only_an_old_key_that_is_there_can_be_retired",
    )

    class Encryption(LocalKeyEncryption):
        async def keys(self):
            return tuple(replace(key, current=False) for key in await super().keys())


class TestKeepsItsKeysToItself(Keys):
    """It looks at the file when it is opened and never again."""

    caught_by = (
        "test_others_wrap_with_a_new_key_soon",
        "test_a_new_key_wraps_and_the_old_ones_go_on_unwrapping",
    )

    class Encryption(LocalKeyEncryption):
        async def _known(self, wanted=None):  # noqa: ARG002  # that is its fault
            self._opened()
            return self._keys


class TestUnwrapsWithRetiredKeys(Keys):
    caught_by = ("test_a_retired_key_unwraps_no_more",)

    class Encryption(LocalKeyEncryption):
        async def _known(self, wanted=None):
            return self._given | await super()._known(wanted)


class TestForgetsThatItRetiredAKey(Keys):
    caught_by = (
        "test_a_retired_key_unwraps_no_more",
        "test_a_closed_adapter_says_so",
    )

    class Encryption(LocalKeyEncryption):
        async def retire(self, key_id):
            if key_id == self._current() or key_id not in self._keys:
                raise InvalidInput("it cannot be retired")
            self._keys.pop(key_id)


class TestListsRetiredKeys(Keys):
    caught_by = ("test_a_retired_key_unwraps_no_more",)

    class Encryption(LocalKeyEncryption):
        async def keys(self):
            gone = tuple(KeyStatus(key_id=key_id, current=False) for key_id in self._ring.retired)
            return (*gone, *await super().keys())


class TestRetiresTheCurrentKey(Keys):
    caught_by = ("test_only_an_old_key_that_is_there_can_be_retired",)

    class Encryption(LocalKeyEncryption):
        async def retire(self, key_id):
            if key_id == self._current():
                self._keys.pop(key_id)
                return
            await super().retire(key_id)


class TestSaysNothingOfKeysThatAreNotThere(Keys):
    caught_by = ("test_only_an_old_key_that_is_there_can_be_retired",)

    class Encryption(LocalKeyEncryption):
        async def retire(self, key_id):
            if key_id in {key.key_id for key in await self.keys()}:
                await super().retire(key_id)


class TestLooksForAKeyThatItMissesAlone(Keys):
    caught_by = ("test_others_wrap_with_a_new_key_soon",)

    class Encryption(LocalKeyEncryption):
        def _due(self):
            return False
