"""Key encryption that is wrong on purpose, and the tests that must catch it."""

from __future__ import annotations

import asyncio
import base64

import pytest
from msgspec.structs import replace

from localkeys import Failing, Keys
from tradesense.adapters.local.secrets import LocalKeyEncryption
from tradesense.adapters.local.settings import LocalKeySettings
from tradesense.adapters.system.ambient import SystemClock, SystemRandom
from tradesense.core.errors import AdapterClosed, DecryptionFailed, InvalidInput, SecretDenied, SecretStoreUnavailable
from tradesense.core.secrets import WrappedKey
from tradesense.core.sensitive import Secret
from tradesense.core.testing import Contract

THREE_FOR_EACH_RULE = True


class TestRightKeys(Keys):
    patience = Contract.patience

    @pytest.fixture
    def unreachable(self, settings):
        return lambda: Failing(settings, SecretStoreUnavailable)


class TestIgnoresTheContext(Keys):
    caught_by = ("test_another_context_does_not_unwrap",)

    class Encryption(LocalKeyEncryption):
        def _associated(self, key_id, context):  # noqa: ARG002  # that is its fault
            return b""


class TestRunsNamesAndValuesTogether(Keys):
    caught_by = ("test_another_context_does_not_unwrap",)

    class Encryption(LocalKeyEncryption):
        def _associated(self, key_id, context):  # noqa: ARG002  # not its only fault
            return "".join(name + value for name, value in sorted(context.items())).encode()


class TestTakesTheContextAsItComes(Keys):
    caught_by = ("test_the_order_of_the_context_does_not_count",)

    class Encryption(LocalKeyEncryption):
        def _associated(self, key_id, context):  # noqa: ARG002  # not its only fault
            return repr(list(context.items())).encode()


class TestIgnoresTheKeysName(Keys):
    caught_by = ("test_another_key_does_not_unwrap",)

    class Encryption(LocalKeyEncryption):
        async def unwrap(self, wrapped, context):
            return await super().unwrap(replace(wrapped, key_id=self._current()), context)


class TestStandsBeforeTheKey(Keys):
    """It wraps nothing: the data key stands in the blob, behind a check of the context."""

    caught_by = ("test_a_wrapped_key_names_its_key_and_hides_the_data_key", "test_changed_bytes_do_not_unwrap")

    class Encryption(LocalKeyEncryption):
        async def wrap(self, data_key, context):
            self._opened()
            return WrappedKey(key_id=self._current(), blob=data_key + self._associated(self._current(), context))

        async def unwrap(self, wrapped, context):
            self._opened()
            if wrapped.blob[32:] != self._associated(wrapped.key_id, context) or wrapped.key_id not in self._keys:
                raise DecryptionFailed
            return wrapped.blob[:32]


class TestMakesAKeyOfItsOwn(Keys):
    caught_by = ("test_another_adapter_unwraps_as_well",)

    @pytest.fixture
    def adapter(self):
        def make():
            settings = LocalKeySettings(root_key=Secret(base64.b64encode(SystemRandom().bytes(32))))
            return self.Encryption(settings, random=SystemRandom(), clock=SystemClock())

        return make


class TestLeaksTheCiphersError(Keys):
    caught_by = (
        "test_changed_bytes_do_not_unwrap",
        "test_another_context_does_not_unwrap",
        "test_another_key_does_not_unwrap",
    )

    class Encryption(LocalKeyEncryption):
        async def unwrap(self, wrapped, context):
            try:
                return await super().unwrap(wrapped, context)
            except DecryptionFailed as error:
                raise ValueError("MAC check failed") from error


class TestKeysAreNeverClosed(Keys):
    caught_by = ("test_a_closed_adapter_says_so",)

    class Encryption(LocalKeyEncryption):
        def _opened(self):
            try:
                return super()._opened()
            except AdapterClosed:
                return bytes(32)


class TestSaysThatItIsClosedInItsOwnWords(Keys):
    caught_by = ("test_a_closed_adapter_says_so",)

    class Encryption(LocalKeyEncryption):
        def _opened(self):
            try:
                return super()._opened()
            except AdapterClosed as error:
                raise RuntimeError("not open") from error


class TestStripsZeros(Keys):
    caught_by = ("test_a_wrapped_key_is_unwrapped_in_its_context",)

    class Encryption(LocalKeyEncryption):
        async def unwrap(self, wrapped, context):
            return (await super().unwrap(wrapped, context)).rstrip(b"\0")


class TestWrapsHalfOfTheKey(Keys):
    caught_by = ("test_a_wrapped_key_is_unwrapped_in_its_context",)

    class Encryption(LocalKeyEncryption):
        async def wrap(self, data_key, context):
            return await super().wrap(data_key[:16], context)


class TestRefusesWeakKeys(Keys):
    caught_by = ("test_a_wrapped_key_is_unwrapped_in_its_context", "test_an_empty_and_a_unicode_context_are_contexts")

    class Encryption(LocalKeyEncryption):
        async def wrap(self, data_key, context):
            if len({*data_key}) == 1 or not context:
                raise InvalidInput("that is no key, or no context")
            return await super().wrap(data_key, context)


class TestKnowsAsciiAlone(Keys):
    caught_by = ("test_an_empty_and_a_unicode_context_are_contexts",)

    class Encryption(LocalKeyEncryption):
        def _associated(self, key_id, context):
            return super()._associated(key_id, {name: value.encode("ascii") for name, value in context.items()})


class TestRefusesEmptyValues(Keys):
    caught_by = ("test_an_empty_and_a_unicode_context_are_contexts",)

    class Encryption(LocalKeyEncryption):
        def _associated(self, key_id, context):
            if not all(context.values()):
                raise InvalidInput("a value of the context is empty")
            return super()._associated(key_id, context)


class TestNamesNoKey(Keys):
    caught_by = ("test_a_wrapped_key_names_its_key_and_hides_the_data_key",)

    class Encryption(LocalKeyEncryption):
        async def wrap(self, data_key, context):
            return replace(await super().wrap(data_key, context), key_id="")


class TestShowsTheKeyInHex(Keys):
    caught_by = ("test_a_wrapped_key_names_its_key_and_hides_the_data_key",)

    class Encryption(LocalKeyEncryption):
        async def wrap(self, data_key, context):
            wrapped = await super().wrap(data_key, context)
            return replace(wrapped, blob=wrapped.blob + data_key.hex().encode())


class TestTakesTheNamesAsTheyCome(Keys):
    caught_by = ("test_the_order_of_the_context_does_not_count",)

    class Encryption(LocalKeyEncryption):
        def _associated(self, key_id, context):
            return super()._associated(key_id, {"names": ",".join(context), **context})


class TestTakesTheFirstOfTheContextForItsHead(Keys):
    caught_by = ("test_the_order_of_the_context_does_not_count",)

    class Encryption(LocalKeyEncryption):
        def _associated(self, key_id, context):
            return super()._associated(key_id, {"head": next(iter(context), ""), **context})


class TestTriesEveryKey(Keys):
    caught_by = ("test_another_key_does_not_unwrap",)

    class Encryption(LocalKeyEncryption):
        async def unwrap(self, wrapped, context):
            for key_id in await self._known():
                try:
                    return await super().unwrap(replace(wrapped, key_id=key_id), context)
                except DecryptionFailed:
                    continue
            raise DecryptionFailed


class TestTakesNoNoticeOfWhatIsBehind(Keys):
    caught_by = ("test_changed_bytes_do_not_unwrap",)

    class Encryption(LocalKeyEncryption):
        async def unwrap(self, wrapped, context):
            return await super().unwrap(replace(wrapped, blob=wrapped.blob[:60]), context)


class TestBindsToTheAdapter(Keys):
    caught_by = ("test_another_adapter_unwraps_as_well",)

    class Encryption(LocalKeyEncryption):
        def _associated(self, key_id, context):
            return super()._associated(key_id, {**context, "adapter": f"{id(self)}"})


class TestRemembersWhatItWrapped(Keys):
    caught_by = ("test_another_adapter_unwraps_as_well",)

    class Encryption(LocalKeyEncryption):
        async def wrap(self, data_key, context):
            self.known = getattr(self, "known", set())
            wrapped = await super().wrap(data_key, context)
            self.known.add(wrapped.blob)
            return wrapped

        async def unwrap(self, wrapped, context):
            if wrapped.blob not in getattr(self, "known", ()):
                raise DecryptionFailed
            return await super().unwrap(wrapped, context)


class TestHasOnePlaceForAKey(Keys):
    caught_by = ("test_many_keys_at_once_are_not_mixed_up",)

    class Encryption(LocalKeyEncryption):
        async def wrap(self, data_key, context):
            self.place = data_key
            await asyncio.sleep(0)
            return await super().wrap(self.place, context)


class TestHasOnePlaceForAContext(Keys):
    caught_by = ("test_many_keys_at_once_are_not_mixed_up",)

    class Encryption(LocalKeyEncryption):
        async def unwrap(self, wrapped, context):
            self.place = context
            await asyncio.sleep(0)
            return await super().unwrap(wrapped, self.place)


class TestIsCrowded(Keys):
    caught_by = ("test_many_keys_at_once_are_not_mixed_up",)

    class Encryption(LocalKeyEncryption):
        inside = 0

        async def wrap(self, data_key, context):
            if self.inside >= 10:
                raise SecretStoreUnavailable("every connection is in use")
            self.inside += 1
            await asyncio.sleep(0)
            self.inside -= 1
            return await super().wrap(data_key, context)


class TestIsStuckOnceWrappingWasCancelled(Keys):
    caught_by = ("test_a_cancelled_call_leaves_it_usable",)

    class Encryption(LocalKeyEncryption):
        inside = 0

        async def wrap(self, data_key, context):
            self.inside += 1
            await asyncio.sleep(0)
            self.inside -= 1
            return await super().wrap(data_key, context)

        async def unwrap(self, wrapped, context):
            if self.inside:
                raise SecretStoreUnavailable("it is busy")
            return await super().unwrap(wrapped, context)


class TestIsStuckOnceUnwrappingWasCancelled(Keys):
    caught_by = ("test_a_cancelled_call_leaves_it_usable",)

    class Encryption(LocalKeyEncryption):
        turn = None

        async def unwrap(self, wrapped, context):
            self.turn = self.turn or asyncio.Semaphore(1)
            await self.turn.acquire()
            await asyncio.sleep(0)  # a cancellation here keeps the turn for ever
            self.turn.release()
            return await super().unwrap(wrapped, context)


class TestClosesWhenItIsCancelled(Keys):
    caught_by = ("test_a_cancelled_call_leaves_it_usable",)

    class Encryption(LocalKeyEncryption):
        async def wrap(self, data_key, context):
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                await self.__aexit__(None, None, None)
                raise
            return await super().wrap(data_key, context)


class TestCallsAnOutageAWrongKey(Keys):
    caught_by = ("test_an_unreachable_provider_is_unavailable",)

    @pytest.fixture
    def unreachable(self, settings):
        return lambda: Failing(settings, DecryptionFailed)


class TestCallsAnOutageARefusal(Keys):
    caught_by = ("test_an_unreachable_provider_is_unavailable",)

    @pytest.fixture
    def unreachable(self, settings):
        return lambda: Failing(settings, SecretDenied)


class TestLeaksTheSocketsError(Keys):
    caught_by = ("test_an_unreachable_provider_is_unavailable",)

    @pytest.fixture
    def unreachable(self, settings):
        return lambda: Failing(settings, ConnectionRefusedError)
