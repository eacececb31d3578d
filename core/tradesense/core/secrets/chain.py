"""Several providers in an order that was said."""

from __future__ import annotations

from collections.abc import Sequence

from tradesense.core.errors import ConfigurationError, SecretNotFound
from tradesense.core.paging import Page
from tradesense.core.secrets.listing import page_of
from tradesense.core.secrets.models import StoredSecret
from tradesense.core.secrets.ports import SecretStore
from tradesense.core.secrets.provider import Provider


class ChainStore:
    """Reads from the first provider that has the secret. See :class:`SecretStore`.

    Only "there is none" goes on to the next: a provider that does not answer, or refuses us, ends the read, as the next
    one's value might be an old or a weaker one. A list needs all of them. It cannot be written, so that nobody has to
    guess where.
    """

    def __init__(self, providers: Sequence[Provider]) -> None:
        names = [provider.name for provider in providers]
        if len(names) < 2 or len(set(names)) < len(names):  # noqa: PLR2004  # fewer are no chain
            raise ConfigurationError(
                "a chain of secrets providers names at least two, each once", origin="secrets.chain", mend="correct it"
            )
        self._providers = tuple(providers)

    @property
    def order(self) -> tuple[str, ...]:
        """The names of the providers, the first one first."""
        return tuple(provider.name for provider in self._providers)

    async def get(self, path: str) -> StoredSecret:
        """See :meth:`SecretStore.get`. ``provider`` says which one answered."""
        for provider in self._providers:
            try:
                found = await provider.store.get(path)
            except SecretNotFound:
                continue
            return StoredSecret(
                path=found.path,
                value=found.value,
                version=found.version,
                created_at=found.created_at,
                created_by=found.created_by,
                provider=provider.name,
            )
        raise SecretNotFound(f"there is no secret {path!r} in {', '.join(self.order)}")

    async def list(self, prefix: str = "", *, cursor: str | None = None, limit: int = 100) -> Page[str]:
        """See :meth:`SecretStore.list`: what any of them has."""
        paths: set[str] = set()
        more = False
        for provider in self._providers:
            page = await provider.store.list(prefix, cursor=cursor, limit=limit)
            paths.update(page.items)
            more = more or page.cursor is not None
        merged = page_of(paths, prefix, cursor, limit)
        last = merged.items[-1] if merged.items else None
        return Page(items=merged.items, cursor=last if more or merged.cursor else None)


_: type[SecretStore] = ChainStore
