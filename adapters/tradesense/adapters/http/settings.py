"""The settings of the sender of webhooks."""

from __future__ import annotations

import ipaddress

import msgspec

from tradesense.core.errors import ConfigurationError


class HttpSenderSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[identity.http]``: where webhooks may go.

    :raises ConfigurationError: ``allowed_networks`` names what is no network.
    """

    allowed_networks: tuple[str, ...] = ()
    """Networks that are sent to although they are not public, in CIDR form."""
    ca_file: str = ""
    """A file of authorities in PEM whose certificates are accepted; the system's when empty."""

    def __post_init__(self) -> None:
        """Refuse what is no network."""
        self.networks()

    def networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """The networks."""
        try:
            return tuple(ipaddress.ip_network(text) for text in self.allowed_networks)
        except ValueError as error:
            raise ConfigurationError(
                "what is allowed is no network", origin="identity.http.allowed_networks", mend="write 10.0.0.0/8"
            ) from error
