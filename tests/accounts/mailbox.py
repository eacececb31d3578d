"""The mails that a served platform has printed."""

from __future__ import annotations

import re
from dataclasses import dataclass

from servers import wait_until

BLOCK = re.compile(r"--- message\nTo: (.*)\nSubject: (.*)\n\n((?:    .*\n)*)---")
LINK = re.compile(r"(http\S+)#token=(\S+)")


@dataclass(frozen=True)
class Mail:
    """One of them."""

    to: str
    subject: str
    text: str

    @property
    def link(self) -> str:
        """The address of its link, without the token."""
        found = LINK.search(self.text)
        assert found is not None, f"there is no link in {self.text!r}"
        return found[1]

    @property
    def token(self) -> str:
        """The token of its link."""
        found = LINK.search(self.text)
        assert found is not None, f"there is no link in {self.text!r}"
        return found[2]


class Mailbox:
    """Reads them from what the server writes."""

    def __init__(self, server) -> None:
        self._server = server

    def of(self, to: str, words: str = "") -> list[Mail]:
        """The mails to this address whose subject has these words, oldest first."""
        found = [Mail(*match) for match in BLOCK.findall(self._server.output)]
        return [mail for mail in found if mail.to == to and words in mail.subject]

    def wait(self, to: str, words: str = "", *, count: int = 1) -> Mail:
        """The ``count``-th of them, as soon as it has come."""
        wait_until(lambda: len(self.of(to, words)) >= count, f"a mail {words!r} to {to}", seconds=30)
        return self.of(to, words)[count - 1]
