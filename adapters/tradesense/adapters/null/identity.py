"""A list of breached passwords with nothing on it."""

from __future__ import annotations

from tradesense.core.identity.ports import BreachedPasswords
from tradesense.core.sensitive import Secret
from tradesense.plugins.manifest import AdapterContext, NoSettings


class NullBreachedPasswords:
    """Knows no password. See :class:`BreachedPasswords`."""

    async def contains(self, password: Secret) -> bool:  # noqa: ARG002  # there is nothing to look it up in
        """See :meth:`BreachedPasswords.contains`."""
        return False


def breached(_: NoSettings, context: AdapterContext) -> NullBreachedPasswords:  # noqa: ARG001  # every factory takes both
    """The factory."""
    return NullBreachedPasswords()


_: type[BreachedPasswords] = NullBreachedPasswords
