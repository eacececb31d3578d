"""Messages on a terminal."""

from __future__ import annotations

import io

import pytest

from tradesense.adapters.console.identity import ConsoleMessenger
from tradesense.core.errors import AdapterClosed, MessengerUnavailable
from tradesense.core.identity.models import Message


async def test_a_message_is_shown_and_cannot_play_with_the_terminal():
    stream = io.StringIO()
    async with ConsoleMessenger(stream) as messenger:
        await messenger.send(
            Message(
                to="x@example.com\nBcc: y", subject="\x1b[2Jgone\u202e", text="Zoë,\r\n\nyour code: 1\x9b2\u2028---\n"
            )
        )
    assert stream.getvalue() == (
        "--- message\n"
        "To: x@example.com\\nBcc: y\n"
        "Subject: \\x1b[2Jgone\\u202e\n"
        "\n"
        "    Zoë,\n    \n    your code: 1\\x9b2\n    ---\n"
        "---\n"
    )


async def test_a_closed_stream_is_an_unavailable_messenger():
    stream = io.StringIO()
    stream.close()
    async with ConsoleMessenger(stream) as messenger:
        with pytest.raises(MessengerUnavailable):
            await messenger.send(Message(to="x", subject="", text=""))
    with pytest.raises(AdapterClosed):
        await messenger.send(Message(to="x", subject="", text=""))
