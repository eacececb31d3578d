"""Rotators that are wrong on purpose, and the tests that must catch them."""

from __future__ import annotations

import secrets

import pytest

from tradesense.core.errors import RotationFailed
from tradesense.core.secrets import StoredSecret
from tradesense.core.secrets.models import MAX_VALUE
from tradesense.core.sensitive import Secret
from tradesense.core.testing import RotatorContract

THREE_FOR_EACH_RULE = True

CREATED, NOBODY = "test_what_is_created_is_another_value_that_can_be_kept", "test_nobody_accepts_what_was_created"
BESIDES = "test_what_is_set_is_accepted_besides_the_current_value"
AGAIN, OTHER = "test_setting_and_trying_again_change_nothing", "test_another_process_goes_on_where_one_has_died"
GIVEN_UP = "test_a_value_that_was_created_and_given_up_is_in_nobodys_way"
ROUNDS, UNMADE = "test_it_rotates_again_and_again", "test_what_it_cannot_have_made_does_not_pass"


class Right:
    """Lets in whatever stands in the list of the other end, which all processes share."""

    def __init__(self, accepted):
        self.accepted = accepted
        self.mine = []
        self.tries = 0

    async def create(self, current, options):  # noqa: ARG002  # as the port says
        self.mine.append(Secret(f"made-{secrets.token_hex(8)}"))
        return self.mine[-1]

    async def set(self, current, pending, options):  # noqa: ARG002  # as the port says
        self.accepted[:] = [current.value, pending.value]

    async def test(self, pending, options):  # noqa: ARG002  # as the port says
        if pending.value not in self.accepted:
            raise RotationFailed("it was not let in")


class Rotators(RotatorContract):
    """A rotator that is right; what is wrong is a step of it."""

    Rotator = Right

    @pytest.fixture
    def accepted(self):
        return [Secret("the first")]

    @pytest.fixture
    def current(self):
        return StoredSecret(path="a/b", value=Secret("the first"), version=1)

    @pytest.fixture
    def adapter(self, accepted):
        return lambda: self.Rotator(accepted)

    @pytest.fixture
    def accepts(self, accepted):
        async def look(version):
            return version.value in accepted

        return look


class TestRight(Rotators):
    pass


class TestRightWithoutAnotherEnd(Rotators):
    """A value that only those use who read the secret."""

    class Rotator(Right):
        async def set(self, current, pending, options):
            pass

        async def test(self, pending, options):  # noqa: ARG002  # as the port says
            if not pending.value.reveal_bytes().startswith(b"made-"):
                raise RotationFailed("it was not made here")

    @pytest.fixture
    def accepts(self):
        return None


def failing(text):
    raise RotationFailed(text)


class TestFollowsWithTheSame(Rotators):
    caught_by = (CREATED, NOBODY)

    class Rotator(Right):
        async def create(self, current, options):  # noqa: ARG002  # as the port says
            return current.value


class TestMakesOneValueForAll(Rotators):
    caught_by = (CREATED,)

    class Rotator(Right):
        async def create(self, current, options):  # noqa: ARG002  # as the port says
            return Secret("made-constant")


class TestMakesNothing(Rotators):
    caught_by = (CREATED,)

    class Rotator(Right):
        async def create(self, current, options):  # noqa: ARG002  # as the port says
            return Secret("")


class TestMakesTooMuch(Rotators):
    caught_by = (CREATED,)

    class Rotator(Right):
        async def create(self, current, options):  # noqa: ARG002  # as the port says
            return Secret(secrets.token_bytes(MAX_VALUE + 1))


class TestLetsInWhatItMakes(Rotators):
    caught_by = (NOBODY,)

    class Rotator(Right):
        async def create(self, current, options):
            made = await super().create(current, options)
            self.accepted.append(made)
            return made


class TestTriesNothing(Rotators):
    caught_by = (NOBODY, UNMADE)

    class Rotator(Right):
        async def test(self, pending, options):
            pass


class TestLetsInByTrying(Rotators):
    caught_by = (NOBODY, UNMADE)

    class Rotator(Right):
        async def test(self, pending, options):  # noqa: ARG002  # as the port says
            self.accepted.append(pending.value)


class TestTellsTheValueWhenItFails(Rotators):
    caught_by = (UNMADE,)

    class Rotator(Right):
        async def test(self, pending, options):  # noqa: ARG002  # as the port says
            if pending.value not in self.accepted:
                failing(f"only {self.accepted[0].reveal()!r} is let in")


class TestRaisesItsOwnError(Rotators):
    caught_by = (NOBODY, UNMADE)

    class Rotator(Right):
        async def test(self, pending, options):  # noqa: ARG002  # as the port says
            if pending.value not in self.accepted:
                raise ValueError("no")


class TestLetsInTheNewAlone(Rotators):
    caught_by = (BESIDES, AGAIN, OTHER, GIVEN_UP, ROUNDS)

    class Rotator(Right):
        async def set(self, current, pending, options):  # noqa: ARG002  # as the port says
            self.accepted[:] = [pending.value]


class TestSetsNothing(Rotators):
    caught_by = (BESIDES, AGAIN, OTHER, GIVEN_UP, ROUNDS)

    class Rotator(Right):
        async def set(self, current, pending, options):
            pass


class TestShutsTheOldOutByTrying(Rotators):
    caught_by = (BESIDES, AGAIN, OTHER, GIVEN_UP, ROUNDS)

    class Rotator(Right):
        async def test(self, pending, options):
            await super().test(pending, options)
            self.accepted[:] = [pending.value]


class TestSetsAndTakesBack(Rotators):
    caught_by = (AGAIN,)

    class Rotator(Right):
        async def set(self, current, pending, options):
            if pending.value in self.accepted:
                self.accepted.remove(pending.value)
            else:
                await super().set(current, pending, options)


class TestRefusesToSetAgain(Rotators):
    caught_by = (AGAIN,)

    class Rotator(Right):
        async def set(self, current, pending, options):
            if pending.value in self.accepted:
                failing("it is there already")
            await super().set(current, pending, options)


class TestTriesOnce(Rotators):
    caught_by = (AGAIN,)

    class Rotator(Right):
        async def test(self, pending, options):
            self.tries += 1
            if self.tries > 1:
                failing("it was tried already")
            await super().test(pending, options)


class TestSetsWhatItMadeItself(Rotators):
    caught_by = (OTHER,)

    class Rotator(Right):
        async def set(self, current, pending, options):
            if pending.value not in self.mine:
                failing("it is not mine")
            await super().set(current, pending, options)


class TestTriesWhatItMadeItself(Rotators):
    caught_by = (OTHER,)

    class Rotator(Right):
        async def test(self, pending, options):
            if pending.value not in self.mine:
                failing("it is not mine")
            await super().test(pending, options)


class TestHasRoomForOneThatIsGivenUp(Rotators):
    caught_by = (GIVEN_UP, ROUNDS)

    class Rotator(Right):
        async def set(self, current, pending, options):
            if len(self.accepted) > 1 and pending.value not in self.accepted:
                failing("another one is on its way")
            await super().set(current, pending, options)


class TestKeepsToTheFirstThatWasSet(Rotators):
    caught_by = (GIVEN_UP,)

    class Rotator(Right):
        async def set(self, current, pending, options):
            if current.value != self.accepted[0] or len(self.accepted) == 1:
                await super().set(current, pending, options)


class TestRotatesOnce(Rotators):
    caught_by = (ROUNDS,)

    class Rotator(Right):
        async def set(self, current, pending, options):
            if current.version > 1:
                failing("it was rotated already")
            await super().set(current, pending, options)
