"""Hashers and lists of known passwords that are wrong on purpose."""

import asyncio
import hashlib

import argon2
import pytest

from tradesense.adapters.argon2.identity import Argon2Hasher
from tradesense.adapters.argon2.settings import Argon2Settings
from tradesense.adapters.memory.identity import MemoryBreachedPasswords
from tradesense.core.sensitive import Secret
from tradesense.core.testing import BreachedPasswordsContract, PasswordHasherContract

CHEAP = Argon2Settings(memory_cost=16, workers=2)


class OverArgon2(PasswordHasherContract):
    Hasher = Argon2Hasher
    patience = 0.5

    @pytest.fixture
    def adapter(self):
        return lambda: self.Hasher(CHEAP)


class TestRightHasher(OverArgon2):
    patience = 10


class TestCutsAt72Bytes(OverArgon2):
    caught_by = ("test_a_password_counts_to_its_last_byte",)

    class Hasher(Argon2Hasher):
        async def hash(self, password):
            return await super().hash(Secret(password.reveal_bytes()[:72]))

        async def verify(self, hashed, password):
            return await super().verify(hashed, Secret(password.reveal_bytes()[:72]))


class TestTrims(OverArgon2):
    caught_by = ("test_a_password_makes_its_hash_and_no_other_does",)

    class Hasher(Argon2Hasher):
        async def hash(self, password):
            return await super().hash(Secret(password.reveal().strip()))

        async def verify(self, hashed, password):
            text = password.reveal_bytes()
            return await super().verify(hashed, Secret(text.strip()))


class TestReadsNothing(OverArgon2):
    caught_by = ("test_a_hash_of_its_own_is_readable_and_garbage_is_not",)

    class Hasher(Argon2Hasher):
        def readable(self, _):
            return False


class TestReadsAnything(OverArgon2):
    caught_by = (
        "test_a_hash_of_its_own_is_readable_and_garbage_is_not",
        "test_a_hash_that_cannot_be_read_fits_no_password_and_is_outdated",
    )

    class Hasher(Argon2Hasher):
        def readable(self, _):
            return True


class TestHasNoSalt(OverArgon2):
    caught_by = ("test_a_password_is_never_hashed_the_same_twice",)

    class Hasher(Argon2Hasher):
        def _hash(self, password):
            return Secret(self._hasher.hash(password.reveal_bytes(), salt=b"0123456789abcdef"))


class TestRaisesForGarbage(OverArgon2):
    caught_by = ("test_a_hash_that_cannot_be_read_fits_no_password_and_is_outdated",)

    class Hasher(Argon2Hasher):
        def _verify(self, hashed, password):
            try:
                return self._hasher.verify(hashed.reveal(), password.reveal_bytes())
            except argon2.exceptions.VerifyMismatchError:
                return False


class TestNeverOutdated(OverArgon2):
    caught_by = (
        "test_a_new_hash_is_not_outdated_and_a_weaker_one_is",
        "test_a_hash_that_cannot_be_read_fits_no_password_and_is_outdated",
    )

    class Hasher(Argon2Hasher):
        def outdated(self, hashed):
            return not hashed


class TestBlocksTheLoop(OverArgon2):
    caught_by = ("test_the_event_loop_goes_on_meanwhile",)

    class Hasher(Argon2Hasher):
        async def _run(self, work):
            return work()


class TestLosesPlacesOfTheCancelled(OverArgon2):
    caught_by = ("test_cancelled_calls_leave_the_hasher_usable",)

    class Hasher(Argon2Hasher):
        async def _run(self, work):
            places = self.__dict__.setdefault("places", asyncio.Semaphore(1))
            await places.acquire()
            done = await asyncio.to_thread(work)
            places.release()
            return done


class TestTellsThePassword(OverArgon2):
    caught_by = ("test_a_hash_is_a_phc_string_that_holds_no_password",)

    class Hasher(Argon2Hasher):
        def _hash(self, password):
            return Secret(super()._hash(password).reveal() + f"${password.reveal()}")

        def _verify(self, hashed, password):
            text = hashed.reveal_bytes()
            return super()._verify(Secret(text.rpartition(b"$")[0]), password)


class OverAList(BreachedPasswordsContract):
    Breached = MemoryBreachedPasswords

    @pytest.fixture
    def adapter(self):
        return lambda: self.Breached(["password", "123456"])


class TestRightList(OverAList):
    pass


class TestKnowsNothing(OverAList):
    caught_by = ("test_a_known_password_is_contained", "test_concurrent_passwords_are_not_mixed_up")

    class Breached(MemoryBreachedPasswords):
        async def contains(self, password):
            return not password and await super().contains(password)


class TestKnowsParts(OverAList):
    caught_by = ("test_a_part_of_a_known_password_is_another_password",)

    class Breached(MemoryBreachedPasswords):
        async def contains(self, password):
            return await super().contains(Secret(password.reveal_bytes()[:8]))


class TestComparesThreeHexDigits(OverAList):
    """As who takes the range of a k-anonymous answer for the answer."""

    caught_by = ("test_a_random_password_is_not",)

    class Breached(MemoryBreachedPasswords):
        async def contains(self, password):
            return hashlib.sha256(password.reveal_bytes()).hexdigest()[0] in "0123456789abcdef"


class TestMixesCallersUp(OverAList):
    caught_by = ("test_concurrent_passwords_are_not_mixed_up",)

    class Breached(MemoryBreachedPasswords):
        async def contains(self, password):
            self._asked = password
            await asyncio.sleep(0)
            return await super().contains(self._asked)
