"""``[smtp]``: how the mail server is reached."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from tradesense.core.errors import ConfigurationError
from tradesense.core.sensitive import Secret

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class SmtpSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The server, how the way to it is protected, and in whose name mail is sent."""

    host: Annotated[str, Meta(min_length=1, max_length=255)] = "localhost"
    """The server's name, as in its certificate."""
    port: Annotated[int, Meta(ge=1, le=65_535)] = 587
    """587 for STARTTLS, 465 for TLS."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    """``starttls`` and ``tls`` send nothing in the clear; ``none`` is for a server on this machine."""
    username: str = ""
    """Who to log in as; nobody when empty."""
    password: Secret = Secret("")
    """The password for it."""
    sender: Annotated[str, Meta(max_length=254)] = ""
    """The address that mail comes from. It is needed."""
    sender_name: Annotated[str, Meta(max_length=100)] = ""
    """The name beside it."""
    ca_file: str = ""
    """A PEM file with the authority that signed the server's certificate; empty for the system's authorities."""
    timeout: Annotated[float, Meta(gt=0, le=120)] = 10.0
    """Seconds that one message may take, from the connection to the server's last word."""
    connections: Annotated[int, Meta(ge=1, le=100)] = 4
    """Messages that are sent at once."""

    def __post_init__(self) -> None:
        """Refuse what would send a password or a mail in the clear.

        :raises ConfigurationError: it would.
        """
        if self.security == "none" and self.host not in LOOPBACK:
            raise ConfigurationError(
                "mail would go in the clear to another machine",
                origin="smtp.security",
                mend="set it to starttls, or to tls with port 465",
            )
