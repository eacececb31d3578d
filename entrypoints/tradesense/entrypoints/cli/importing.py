"""Files of accounts that another system has exported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from tradesense.core.errors import InvalidInput
from tradesense.core.sensitive import Secret, decode_secret


class Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One account."""

    email: str
    password_hash: Secret
    verified: bool = False


def lines(file: BinaryIO) -> Iterator[tuple[int, Line]]:
    """The accounts with the numbers of their lines; empty lines are passed over.

    :raises InvalidInput: a line is no account.
    """
    for number, line in enumerate(file, 1):
        if line.strip():
            try:
                yield number, msgspec.json.decode(line, type=Line, dec_hook=decode_secret)
            except msgspec.MsgspecError as error:
                raise InvalidInput("the line is no account", origin=f"line {number}") from error
