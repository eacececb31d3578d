"""What the rules about settings look at, and what a rule is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tradesense.core.errors import Problem
from tradesense.core.sensitive import Secret
from tradesense.plugins.registry import Offer
from tradesense.settings.schema import Settings
from tradesense.settings.sections import sealed

ROOT_KEY = "secrets.local.root_key"
PRIVATE_KEY = "identity.jose.private_key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the rules look at."""

    settings: Settings
    offers: Mapping[str, Offer]
    """What each choosing setting chose, as in ``secrets.provider``."""
    origins: Mapping[str, str]
    file: Path | None = None
    """The deployment's own settings file."""

    @property
    def production(self) -> bool:
        """Whether the strictest rules hold."""
        return self.settings.environment == "production"

    @property
    def strictly(self) -> Literal["error", "warning"]:
        """How bad it is what production refuses."""
        return "error" if self.production else "warning"

    @property
    def local(self) -> bool:
        """Whether this is somebody's own machine or a test run."""
        return self.settings.environment in {"development", "testing"}

    def keys(self) -> dict[str, Secret]:
        """The keys that this choice of adapters needs, by setting; an empty one is absent."""
        keys = {"identity.csrf_key": self.settings.identity.csrf_key, "audit.key": self.settings.audit.key}
        if self.settings.identity.csrf_other_key:
            keys["identity.csrf_other_key"] = self.settings.identity.csrf_other_key
        if "identity.signer" in self.offers and self.settings.identity.signer == "jose":
            asymmetric = self.settings.adapters.get("identity.jose", {}).get("algorithm") == "EdDSA"
            keys |= self._secret(PRIVATE_KEY if asymmetric else "identity.jose.secret")
        if sealed(self.offers) and self.settings.secrets.key_encryption == "local":
            keys |= self._secret(ROOT_KEY)
        return keys

    def _secret(self, key: str) -> dict[str, Secret]:
        """A secret of an adapter's section, empty when it is not set."""
        section, _, name = key.rpartition(".")
        found = self.settings.adapters.get(section, {}).get(name)
        return {key: found if isinstance(found, Secret) else Secret(str(found or ""))}

    def database_url(self) -> str:
        """The address of the database if any adapter uses one."""
        if not any(offer.adapter.settings_section == "database" for offer in self.offers.values()):
            return ""
        url: Any = self.settings.adapters.get("database", {}).get("url", "")
        return url.reveal() if isinstance(url, Secret) else str(url)

    def problem(self, level: Literal["error", "warning", "info"], key: str, message: str, mend: str) -> Problem:
        """A problem with the setting ``key``, with its origin."""
        return Problem(level=level, key=key, message=message, origin=self.origins.get(key, "the default"), mend=mend)


Rule = Callable[[Facts], Iterator[Problem]]
"""A rule finds what is wrong or unwise in one respect (SECURITY R55)."""
