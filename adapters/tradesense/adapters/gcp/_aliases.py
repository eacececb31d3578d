"""Which version of a secret is current: what its aliases say."""

from __future__ import annotations

import msgspec
from google.cloud import secretmanager_v1 as sm

CURRENT, PENDING, WITHDRAWN = "current", "pending", "withdrawn"
"""Aliases of ours. ``withdrawn`` takes the place of ``current`` when that version is deleted or destroyed."""


class Aliases(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers that our aliases name, 0 where there is none, and the tag of the state that they were read in."""

    name: str
    etag: str
    current: int = 0
    pending: int = 0
    withdrawn: int = 0
    others: dict[str, int] = {}

    @classmethod
    def of(cls, secret: sm.Secret) -> Aliases:
        """Those of a secret."""
        found = {str(alias): int(number) for alias, number in secret.version_aliases.items()}
        return cls(
            name=secret.name,
            etag=secret.etag,
            current=found.pop(CURRENT, 0),
            pending=found.pop(PENDING, 0),
            withdrawn=found.pop(WITHDRAWN, 0),
            others=found,
        )

    @property
    def foreign(self) -> bool:
        """Whether nobody has told which version is current, so that it is the latest one."""
        return not self.current and not self.withdrawn

    def having(self, *, current: int = 0, pending: int = 0, withdrawn: int = 0) -> dict[str, int]:
        """All aliases as they are to be."""
        ours = {CURRENT: current, PENDING: pending, WITHDRAWN: withdrawn}
        return self.others | {alias: number for alias, number in ours.items() if number}
