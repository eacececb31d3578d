"""Secrets: read, written and listed by path."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Annotated, Literal

from litestar import delete, get, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, Meta, Struct, UnsetType

from tradesense.core.secrets.models import MAX_VERSION
from tradesense.core.sensitive import Secret
from tradesense.entrypoints.http.codec import Body
from tradesense.entrypoints.http.exchange import current
from tradesense.entrypoints.http.guards import guard
from tradesense.entrypoints.http.queries import Cursor, Limit, Text

Version = Annotated[
    int | None, QueryParameter(ge=1, le=MAX_VERSION, description="Counts from 1; without one, the current.")
]


class NewValue(Body, frozen=True, kw_only=True):
    """A value to be written."""

    value: Secret
    cas: Annotated[int, Meta(ge=0, le=MAX_VERSION)] | None = None
    """The version that must be current, 0 for none."""


class SecretValue(Struct, frozen=True, kw_only=True):
    """One version of a secret."""

    value: Secret
    version: int
    provider: str
    created_at: datetime | UnsetType = UNSET
    encoding: Literal["base64"] | UnsetType = UNSET
    """How ``value`` is written where it is no UTF-8 text."""


class Written(Struct, frozen=True, kw_only=True):
    """What a write made."""

    version: int
    provider: str


class Paths(Struct, frozen=True, kw_only=True):
    """A page of paths."""

    items: tuple[str, ...]
    cursor: str | None


@get("/api/v1/secrets", opt=guard("secrets:read"), tags=["secrets"])
async def list_secrets(prefix: Text = "", cursor: Cursor = None, limit: Limit = 100) -> Paths:
    """The paths that begin with ``prefix``, a page at a time."""
    page = await current().services.secrets.list(prefix, cursor=cursor, limit=limit)
    return Paths(items=page.items, cursor=page.cursor)


@get(
    "/api/v1/secrets/{path:path}",
    opt=guard("secrets:read"),
    tags=["secrets"],
    type_encoders={Secret: Secret.reveal},
)
async def read_secret(path: FromPath[str], version: Version = None) -> SecretValue:
    """The secret's value, of one version where one is named. The read is on the audit trail."""
    here = current()
    found = await here.services.secrets.get(
        path.removeprefix("/"), version=version, actor=here.actor, correlation_id=here.correlation_id
    )
    value, encoding = _shown(found.value)
    return SecretValue(
        value=value,
        version=found.version,
        provider=here.services.secrets.provider,
        created_at=found.created_at or UNSET,
        encoding=encoding,
    )


@put("/api/v1/secrets/{path:path}", opt=guard("secrets:write"), tags=["secrets"])
async def write_secret(path: FromPath[str], data: JSONBody[NewValue]) -> Written:
    """Write a new version; with ``cas`` only if that version is current."""
    here = current()
    version = await here.services.secrets.put(
        path.removeprefix("/"), data.value, cas=data.cas, actor=here.actor, correlation_id=here.correlation_id
    )
    return Written(version=version, provider=here.services.secrets.provider)


@delete("/api/v1/secrets/{path:path}", opt=guard("secrets:write"), status_code=204, tags=["secrets"])
async def delete_secret(path: FromPath[str]) -> None:
    """Delete the secret."""
    here = current()
    await here.services.secrets.delete(path.removeprefix("/"), actor=here.actor, correlation_id=here.correlation_id)


def _shown(value: Secret) -> tuple[Secret, Literal["base64"] | UnsetType]:
    """The value as JSON can carry it. Providers keep bytes; most of them are text."""
    try:
        value.reveal()
    except UnicodeDecodeError:
        return Secret(base64.b64encode(value.reveal_bytes())), "base64"
    return value, UNSET


ROUTES: tuple[HTTPRouteHandler, ...] = (list_secrets, read_secret, write_secret, delete_secret)
