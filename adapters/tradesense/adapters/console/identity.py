"""Messages on a terminal."""

from __future__ import annotations

import sys
import unicodedata
from typing import Self, TextIO

from tradesense.core.errors import AdapterClosed, MessengerUnavailable
from tradesense.core.identity.models import Message
from tradesense.core.identity.ports import Messenger
from tradesense.plugins.manifest import AdapterContext, NoSettings


class ConsoleMessenger:
    r"""Prints messages for whoever develops. See :class:`Messenger`.

    Control characters are shown as ``\x1b`` and their like, so that no message can play with the terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._open = False

    async def __aenter__(self) -> Self:
        self._open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self._open = False

    async def send(self, message: Message) -> None:
        """See :meth:`Messenger.send`."""
        if not self._open:
            raise AdapterClosed("ConsoleMessenger is not open", mend="use it inside its `async with`")
        body = "\n".join(f"    {_shown(line)}" for line in message.text.splitlines())
        text = f"--- message\nTo: {_shown(message.to)}\nSubject: {_shown(message.subject)}\n\n{body}\n---\n"
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError) as error:  # a closed stream is a ValueError
            raise MessengerUnavailable("the console cannot be written to", origin="console") from error


def _shown(line: str) -> str:
    """``line`` with what a terminal would act on spelled out."""
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in {"Cc", "Cf", "Cs"}
        else character
        for character in line
    )


def messenger(_: NoSettings, context: AdapterContext) -> ConsoleMessenger:  # noqa: ARG001  # every factory takes both
    """The factory."""
    return ConsoleMessenger(sys.stderr)


_: type[Messenger] = ConsoleMessenger
