"""The contracts of what judges passwords."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import pytest

from tradesense.core.errors import Unavailable
from tradesense.core.identity.ports import BreachedPasswords, PasswordHasher
from tradesense.core.sensitive import Secret
from tradesense.core.testing.base import Contract, Make, opened, together
from tradesense.core.testing.checks import interrupt, refuse_when_unreachable

PASSWORD = "correct horse battery staple"

GARBAGE = (
    "",
    "garbage",
    "$",
    "$argon2id$v=19$m=47104,t=1,p=1$",
    "$argon2id$v=19$m=47104,t=1,p=1$c2FsdHNhbHQ$!!!!",
    "$2b$12$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
    "\x00\x00",
    "hé🦄",
)
"""What no hasher has made, though some begin as a hash would."""


class PasswordHasherContract(Contract):
    """What every :class:`PasswordHasher` must do. Its tests hash some twenty passwords."""

    port = PasswordHasher

    async def test_a_password_makes_its_hash_and_no_other_does(self, adapter: Make[PasswordHasher]) -> None:
        async with opened(adapter()) as hasher:
            hashed = await hasher.hash(Secret(PASSWORD))
            assert await hasher.verify(hashed, Secret(PASSWORD)) is True
            for other in ("", PASSWORD[:-1], PASSWORD + " ", " " + PASSWORD, PASSWORD.title(), PASSWORD + "\0"):
                assert await hasher.verify(hashed, Secret(other)) is False, "another password was accepted"

    async def test_a_hash_is_a_phc_string_that_holds_no_password(self, adapter: Make[PasswordHasher]) -> None:
        async with opened(adapter()) as hasher:
            text = (await hasher.hash(Secret(PASSWORD))).reveal()
            assert text.startswith("$"), "a PHC string begins with $"
            assert text.isascii()
            assert PASSWORD not in text

    async def test_a_password_is_never_hashed_the_same_twice(self, adapter: Make[PasswordHasher]) -> None:
        async with opened(adapter()) as hasher:
            hashes = [await hasher.hash(Secret(PASSWORD)) for _ in range(2)]
            assert hashes[0] != hashes[1], "the hash has no salt"
            assert [await hasher.verify(hashed, Secret(PASSWORD)) for hashed in hashes] == [True, True]

    @pytest.mark.parametrize(
        "password",
        ["x" * 1024, "x" * 72 + "y", "pass\0word", "  spaced  ", "пароль-密码-🦄", "e\u0301", ""],
        ids=["1024 characters", "over 72 bytes", "nul", "spaces", "unicode", "decomposed", "empty"],
    )
    async def test_a_password_counts_to_its_last_byte(self, adapter: Make[PasswordHasher], password: str) -> None:
        async with opened(adapter()) as hasher:
            hashed = await hasher.hash(Secret(password))
            assert await hasher.verify(hashed, Secret(password)) is True
            assert await hasher.verify(hashed, Secret(f"{password[:-1]}z")) is False, "the last byte did not count"

    async def test_a_hash_that_cannot_be_read_fits_no_password_and_is_outdated(
        self, adapter: Make[PasswordHasher]
    ) -> None:
        async with opened(adapter()) as hasher:
            for text in GARBAGE:
                assert await hasher.verify(Secret(text), Secret(PASSWORD)) is False, repr(text)
                assert hasher.outdated(Secret(text)) is True, repr(text)
            assert await hasher.verify(Secret(b"\xff\xfe"), Secret(PASSWORD)) is False
            assert hasher.outdated(Secret(b"\xff\xfe")) is True
            assert hasher.readable(Secret(b"\xff\xfe")) is False

    async def test_a_hash_of_its_own_is_readable_and_garbage_is_not(self, adapter: Make[PasswordHasher]) -> None:
        async with opened(adapter()) as hasher:
            assert hasher.readable(await hasher.hash(Secret(PASSWORD))) is True
            for text in ("", "garbage", "$", "$argon2id$v=19$m=47104,t=1,p=1$", "\x00\x00", "hé🦄"):
                assert hasher.readable(Secret(text)) is False, repr(text)

    async def test_a_new_hash_is_not_outdated_and_a_weaker_one_is(self, adapter: Make[PasswordHasher]) -> None:
        async with opened(adapter()) as hasher:
            assert hasher.outdated(await hasher.hash(Secret(PASSWORD))) is False
            weaker = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$4VLX7Jq6TF6jHn2UkhE2V1X0zHk2mW1r0Wk8CqHq0ME"
            assert hasher.outdated(Secret(weaker)) is True

    async def test_concurrent_passwords_are_not_mixed_up(self, adapter: Make[PasswordHasher]) -> None:
        async with opened(adapter()) as hasher:
            words = [secrets.token_hex(8) for _ in range(3)]
            hashes = await together(3, lambda n: hasher.hash(Secret(words[n])), seconds=60)
            made = [hashed for hashed in hashes if isinstance(hashed, Secret)]
            assert len(made) == 3, hashes
            fits = await together(3, lambda n: hasher.verify(made[n], Secret(words[n])), seconds=60)
            assert fits == [True] * 3
            assert await hasher.verify(made[0], Secret(words[1])) is False

    async def test_the_event_loop_goes_on_meanwhile(self, adapter: Make[PasswordHasher]) -> None:
        async with opened(adapter()) as hasher:
            task = asyncio.ensure_future(hasher.hash(Secret("x" * 1024)))
            turns = 0
            while not task.done():
                await asyncio.sleep(0)
                turns += 1
            assert turns > 2, "the password was hashed on the event loop"
            await task

    async def test_cancelled_calls_leave_the_hasher_usable(self, adapter: Make[PasswordHasher]) -> None:
        async with opened(adapter()) as hasher:
            await interrupt(lambda: hasher.hash(Secret(PASSWORD)))
            async with asyncio.timeout(self.patience):
                assert await hasher.verify(await hasher.hash(Secret(PASSWORD)), Secret(PASSWORD)) is True


class BreachedPasswordsContract(Contract):
    """What every :class:`BreachedPasswords` must do."""

    port = BreachedPasswords

    @pytest.fixture
    def known(self) -> str:
        """Override this where the list does not hold it: a password that the adapter knows."""
        return "password"

    @pytest.fixture
    def unreachable(self) -> Make[BreachedPasswords] | None:
        """Override this where the backend can be away: a callable that makes an adapter of one that does not answer."""
        return None

    async def test_a_known_password_is_contained(self, adapter: Make[BreachedPasswords], known: str) -> None:
        async with opened(adapter()) as breached:
            for _ in range(2):
                assert await breached.contains(Secret(known)) is True

    async def test_an_unreachable_source_is_unavailable_and_clears_no_password(
        self, unreachable: Make[Any] | None, known: str
    ) -> None:
        await refuse_when_unreachable(unreachable, Unavailable, {"contains": lambda one: one.contains(Secret(known))})

    async def test_a_random_password_is_not(self, adapter: Make[BreachedPasswords]) -> None:
        async with opened(adapter()) as breached:
            for text in (secrets.token_urlsafe(24), f"пароль-🦄-{secrets.token_hex(12)}", secrets.token_hex(512)):
                assert await breached.contains(Secret(text)) is False

    async def test_a_part_of_a_known_password_is_another_password(
        self, adapter: Make[BreachedPasswords], known: str
    ) -> None:
        async with opened(adapter()) as breached:
            for text in (known + secrets.token_hex(12), secrets.token_hex(12) + known, ""):
                assert await breached.contains(Secret(text)) is False

    async def test_concurrent_passwords_are_not_mixed_up(self, adapter: Make[BreachedPasswords], known: str) -> None:
        async with opened(adapter()) as breached:
            texts = [known, secrets.token_hex(16)] * 8
            assert await together(16, lambda n: breached.contains(Secret(texts[n]))) == [True, False] * 8
