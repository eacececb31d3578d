"""``[secrets.vault]``: how the server is reached, and how we log in."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from tradesense.core.errors import ConfigurationError
from tradesense.core.sensitive import Secret

_PATH = r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*"
_MOUNTS = {"token": "", "approle": "approle", "jwt": "kubernetes"}


class VaultSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The server, the login and the engine."""

    token: Secret = Secret("")
    """What authenticates this deployment with the login ``token``; see the policy that it needs in the description of
    the provider."""
    url: Annotated[str, Meta(pattern=r"^https?://[^/?#@\s]+/?\Z")] = "http://127.0.0.1:8200"
    """The server's address, without a path. Use ``https`` for everything but loopback."""
    mount: Annotated[str, Meta(pattern=rf"^{_PATH}\Z")] = "secret"
    """Where the KV engine is mounted."""
    namespace: Annotated[str, Meta(pattern=rf"^({_PATH}/?)?\Z")] = ""
    """The namespace that the mount is in; empty for the root."""
    login: Literal["token", "approle", "jwt"] = "token"
    """How we get our token: ``token`` is one, ``approle`` needs ``role_id`` and ``secret_id``, ``jwt`` (Kubernetes or
    another issuer) needs ``role`` and ``jwt_file``. A token that can be renewed is, at two thirds of its life."""
    login_mount: Annotated[str, Meta(pattern=rf"^({_PATH})?\Z")] = ""
    """Where the login's method is mounted; empty for ``approle``, or ``kubernetes`` with the login ``jwt``."""
    role_id: str = ""
    """Which AppRole we are."""
    secret_id: Secret = Secret("")
    """The secret of the AppRole."""
    role: str = ""
    """Which role the server is to give us for the JWT."""
    jwt_file: str = "/var/run/secrets/kubernetes.io/serviceaccount/token"
    """The file with the JWT, which is read again for every login."""
    ca_file: str = ""
    """A PEM file with the authority that signed the server's certificate; empty for the system's authorities."""
    timeout: Annotated[float, Meta(gt=0, le=60)] = 3.0
    """Seconds that one operation may take, its retry included."""

    @property
    def login_path(self) -> str:
        """Where the method is mounted."""
        return self.login_mount or _MOUNTS[self.login]

    def check_login(self) -> None:
        """Go on only if there is what the login needs.

        :raises ConfigurationError: there is not.
        """
        needs: dict[str, Secret | str] = {"token": self.token}
        if self.login == "approle":
            needs = {"role_id": self.role_id, "secret_id": self.secret_id}
        elif self.login == "jwt":
            needs = {"role": self.role, "jwt_file": self.jwt_file}
        for name, value in needs.items():
            if not value:
                raise ConfigurationError(
                    f"the login {self.login!r} needs {name}", origin=f"secrets.vault.{name}", mend="set it"
                )


class TransitSettings(VaultSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[secrets.transit]``: the server, the token, and the key of the transit engine."""

    mount: Annotated[str, Meta(pattern=rf"^{_PATH}\Z")] = "transit"
    """Where the transit engine is mounted."""
    key: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,100}\Z")] = "tradesense"
    """The name of the key; its versions are the ring."""
