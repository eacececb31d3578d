"""Identity: API keys of the caller."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from litestar import delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from tradesense.core.identity.apikeys import MOST_NAME, MOST_SCOPES
from tradesense.core.identity.models import ApiKey
from tradesense.core.identity.permissions import MAX_SCOPE
from tradesense.core.sensitive import Secret
from tradesense.entrypoints.http.codec import Body
from tradesense.entrypoints.http.exchange import current
from tradesense.entrypoints.http.guards import guard

DAY = 86_400
MOST_DAYS = 3650

Scope = Annotated[str, Meta(max_length=MAX_SCOPE + 100)]


class NewKey(Body, frozen=True, kw_only=True):
    """A key to be made."""

    name: Annotated[str, Meta(min_length=1, max_length=MOST_NAME)]
    scopes: Annotated[tuple[Scope, ...], Meta(min_length=1, max_length=MOST_SCOPES)]
    """Permissions, as in ``flags:evaluate``. The key may do what lies in them and is permitted to you."""
    expires_in_days: Annotated[int, Meta(ge=1, le=MOST_DAYS)] = 90


class KeyView(Struct, frozen=True, kw_only=True):
    """A key, without what opens."""

    id: str
    name: str
    prefix: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None


class NewKeyView(KeyView, frozen=True, kw_only=True):
    """A key that was made, with the text that is shown this once."""

    key: Secret


class Keys(Struct, frozen=True, kw_only=True):
    """The keys of the caller."""

    items: tuple[KeyView, ...]


@post(
    "/api/v1/api-keys",
    opt=guard("identity:self", step_up=True),
    status_code=201,
    tags=["api-keys"],
    type_encoders={Secret: Secret.reveal},
)
async def create_key(data: JSONBody[NewKey]) -> NewKeyView:
    """Make an API key. It is shown this once."""
    here = current()
    made = await here.services.api_keys.create(
        here.caller(),
        data.name,
        data.scopes,
        ttl=data.expires_in_days * DAY,
        actor=here.actor,
        correlation_id=here.correlation_id,
    )
    shown = _view(made.key)
    return NewKeyView(key=made.text, **{name: getattr(shown, name) for name in KeyView.__struct_fields__})


@get("/api/v1/api-keys", opt=guard("identity:self"), tags=["api-keys"])
async def list_keys() -> Keys:
    """The caller's API keys."""
    here = current()
    return Keys(items=tuple(_view(key) for key in await here.services.api_keys.list(here.caller().user_id)))


@delete("/api/v1/api-keys/{key_id:str}", opt=guard("identity:self"), status_code=204, tags=["api-keys"])
async def remove_key(key_id: FromPath[str]) -> None:
    """Remove an API key of the caller."""
    here = current()
    await here.services.api_keys.remove(
        here.caller().user_id, key_id, actor=here.actor, correlation_id=here.correlation_id
    )


def _view(key: ApiKey) -> KeyView:
    return KeyView(
        id=key.id,
        name=key.name,
        prefix=key.prefix,
        scopes=key.scopes,
        created_at=key.created_at,
        expires_at=key.expires_at,
        last_used_at=key.last_used_at,
    )


ROUTES: tuple[HTTPRouteHandler, ...] = (create_key, list_keys, remove_key)
