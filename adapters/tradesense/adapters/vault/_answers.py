"""What the server said."""

from __future__ import annotations

from typing import Literal, TypeVar

import msgspec

from tradesense.core.errors import SecretStoreMalformed
from tradesense.core.sensitive import decode_secret

T = TypeVar("T")

ORIGIN = "secrets.vault"
BY_POLICY = "1 error occurred"
"""How a refusal by a policy begins, while one of an unknown token says without more that permission is denied."""
_UNREADABLE_MEND = "check that secrets.vault.mount is a KV engine of version 2, and what answers at secrets.vault.url"


class Answer(msgspec.Struct, frozen=True):
    """Success, an absent entry (404), a request that it refused (400), or one that the token may not make (403)."""

    kind: Literal["done", "absent", "refused", "denied"]
    body: bytes
    date: str = ""
    """The server's clock, as HTTP's ``Date`` says it."""

    def __repr__(self) -> str:
        """Without the body, which may hold a secret."""
        return f"Answer({self.kind!r})"

    def says(self, words: str) -> bool:
        """Whether one of the server's error messages holds ``words``."""
        return any(words in message for message in messages(self.body))

    def read(self, kind: type[T]) -> T:
        """The body as ``kind``.

        :raises SecretStoreMalformed: it is something else.
        """
        try:
            return msgspec.json.decode(self.body, type=kind, dec_hook=decode_secret)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            # The decoder's message names a field and a type, never a value.
            raise SecretStoreMalformed(
                "the secret provider's answer cannot be read", origin=ORIGIN, mend=_UNREADABLE_MEND
            ) from error


class _Errors(msgspec.Struct):
    errors: list[str] = []


def messages(body: bytes) -> list[str]:
    """The server's error messages, where it gave any."""
    try:
        return msgspec.json.decode(body, type=_Errors).errors
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []  # an absent version answers 404 with data, a proxy with HTML
