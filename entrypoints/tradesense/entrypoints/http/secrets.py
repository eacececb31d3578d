"""Secrets: read, written and listed by path."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, delete, get, patch, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, Struct

from tradesense.core.errors import InvalidInput, NotFound
from tradesense.core.identity.permissions import Permission
from tradesense.core.secrets.models import MAX_VERSION, Retention, SecretVersion
from tradesense.core.sensitive import Secret
from tradesense.entrypoints.http.exchange import current
from tradesense.entrypoints.http.guards import guard
from tradesense.entrypoints.http.queries import Cursor, Limit, Text
from tradesense.entrypoints.http.secret_shapes import (
    Action,
    Done,
    Kept,
    NewValue,
    Retained,
    SecretValue,
    VersionInfo,
    Versions,
    shown,
)

Version = Annotated[
    int | None, QueryParameter(ge=1, le=MAX_VERSION, description="Counts from 1; without one, the current.")
]

Cas = Annotated[
    int | None, QueryParameter(ge=0, le=MAX_VERSION, description="The version that must be current, 0 for none.")
]

VERSIONS, METADATA, RETENTION = "versions", "metadata", "retention"
PARTS = {VERSIONS: "read", METADATA: "read", RETENTION: "read"}
"""What a GET may be about besides the value, by the end of its path, and the verb of the permission."""
WRITING = ("rollback", METADATA, RETENTION)
ACTIONS = {"rotate": "rotate", "undelete": "delete", "destroy": "destroy", **dict.fromkeys(WRITING, "write")}
"""What a POST may do, by the end of its path, and the verb of the permission."""


class Written(Struct, frozen=True, kw_only=True):
    """What a write made."""

    version: int
    provider: str


class Paths(Struct, frozen=True, kw_only=True):
    """A page of paths."""

    items: tuple[str, ...]
    cursor: str | None


@get("/api/v1/secrets", opt=guard("secrets:read", prefix="prefix"), tags=["secrets"])
async def list_secrets(
    prefix: Text = "", *, recursive: Annotated[bool, QueryParameter()] = True, cursor: Cursor = None, limit: Limit = 100
) -> Paths:
    """The paths that begin with ``prefix``, a page at a time.

    With ``recursive=false``, what stands directly in the folder ``prefix``; folders in it end with a slash.
    """
    page = await current().services.secrets.list(prefix, cursor=cursor, limit=limit, recursive=recursive)
    return Paths(items=page.items, cursor=page.cursor)


@get(
    "/api/v1/secrets/{path:path}",
    opt=guard("secrets:read", path="path", step_up=True, asks=lambda request: asked(request)[0]),
    tags=["secrets"],
    type_encoders={Secret: Secret.reveal},
)
async def read_secret(
    request: Request[Any, Any, Any],
    path: FromPath[str],  # noqa: ARG001  # for OpenAPI; `asked` has it
    version: Version = None,
) -> SecretValue | Versions | Kept | Retained:
    """The secret's value, of one version where one is named. The read is on the audit trail.

    `/versions` behind the path lists the versions without their values, `/metadata` what else is kept of the secret,
    `/retention` how many versions and for how long.
    With `version` it is always a value that is read, also of a secret whose own path ends so.
    """
    here, services = current(), current().services
    wanted, part = asked(request)
    if part == VERSIONS:
        return Versions(items=tuple(map(described, await services.secrets.versions(wanted.scope))))
    if part == METADATA:
        return Kept(custom=dict(await services.secrets.metadata(wanted.scope)))
    if part == RETENTION:
        kept = await services.secrets.retention(wanted.scope)
        return Retained(max_versions=kept.max_versions, delete_after=kept.delete_after)
    found = await services.secrets.get(
        wanted.scope, version=version, actor=here.actor, correlation_id=here.correlation_id
    )
    value, encoding = shown(found.value)
    return SecretValue(
        value=value,
        version=found.version,
        provider=found.provider or services.secrets.provider,
        created_at=found.created_at or UNSET,
        created_by=found.created_by or UNSET,
        stale=True if found.stale else UNSET,
        encoding=encoding,
    )


@put("/api/v1/secrets/{path:path}", opt=guard("secrets:write", path="path"), tags=["secrets"])
async def write_secret(path: FromPath[str], data: JSONBody[NewValue]) -> Written:
    """Write a new version; with ``cas`` only if that version is current."""
    here = current()
    version = await here.services.secrets.put(
        path.removeprefix("/"), data.decoded(), cas=data.cas, actor=here.actor, correlation_id=here.correlation_id
    )
    return Written(version=version, provider=here.services.secrets.provider)


@patch("/api/v1/secrets/{path:path}", opt=guard("secrets:write", path="path"), tags=["secrets"])
async def change_secret(path: FromPath[str], data: JSONBody[dict[str, Any]], cas: Cas = None) -> Written:
    """Merge a JSON object into the value, which must be one (RFC 7396), as a new version."""
    here = current()
    version = await here.services.secrets.patch(
        path.removeprefix("/"), data, cas=cas, actor=here.actor, correlation_id=here.correlation_id
    )
    return Written(version=version, provider=here.services.secrets.provider)


@delete("/api/v1/secrets/{path:path}", opt=guard("secrets:delete", path="path"), status_code=204, tags=["secrets"])
async def delete_secret(path: FromPath[str], version: Version = None) -> None:
    """Delete the secret, or one version of it."""
    here = current()
    versions = () if version is None else (version,)
    await here.services.secrets.delete(
        path.removeprefix("/"), versions, actor=here.actor, correlation_id=here.correlation_id
    )


@post(
    "/api/v1/secrets/{path:path}",
    opt=guard("secrets:write", path="path", asks=lambda request: asked(request)[0]),
    status_code=200,
    tags=["secrets"],
)
async def act_on_secret(
    request: Request[Any, Any, Any],
    path: FromPath[str],  # noqa: ARG001  # for OpenAPI; `asked` has it
    data: JSONBody[Action | None] = None,
) -> Written | Done:
    """What the end of the path says.

    That is `/rotate`, `/undelete` and `/destroy` (of `versions`, or all), `/rollback` (to `version`), `/metadata`,
    `/retention` (`max_versions`, `delete_after`).

    The permissions are `secrets:rotate`, `secrets:delete`, `secrets:destroy` and `secrets:write`.
    """
    here, services = current(), current().services
    (wanted, action), body = asked(request), data or Action()
    by: dict[str, Any] = {"actor": here.actor, "correlation_id": here.correlation_id}
    if not action:
        raise NotFound("nothing can be done that is called so", mend=f"end the path with one of {', '.join(ACTIONS)}")
    if action == "rollback":
        if body.version is None:
            raise InvalidInput("a rollback names the `version` that it goes back to")
        version = await services.secrets.rollback(wanted.scope, body.version, cas=body.cas, **by)
        return Written(version=version, provider=services.secrets.provider)
    if action == "rotate":
        version = await services.rotation.rotate(wanted.scope, **by)
        return Written(version=version, provider=services.secrets.provider)
    if action == METADATA:
        await services.secrets.describe(wanted.scope, body.custom, **by)
    elif action == RETENTION:
        retention = Retention(max_versions=body.max_versions, delete_after=body.delete_after)
        await services.secrets.retain(wanted.scope, retention, **by)
    elif action == "undelete":
        await services.secrets.undelete(wanted.scope, body.versions, **by)
    elif action == "destroy":
        await services.secrets.destroy(wanted.scope, body.versions, **by)
    return Done(done=action)


def asked(request: Request[Any, Any, Any]) -> tuple[Permission, str]:
    """What is asked for, and of which part: the end of the path says it."""
    path = str(request.path_params["path"]).removeprefix("/")
    if request.method == "GET" and "version" in request.query_params:
        return Permission("secrets", "read").at(path), ""
    parts = PARTS if request.method in {"GET", "HEAD"} else ACTIONS
    target, _, last = path.rpartition("/")
    if target and last in parts:
        return Permission("secrets", parts[last]).at(target), last
    return Permission("secrets", "write" if parts is ACTIONS else "read").at(path), ""


def described(version: SecretVersion) -> VersionInfo:
    """A version as it is listed."""
    return VersionInfo(
        version=version.version,
        current=version.current,
        state=version.state,
        created_at=version.created_at or UNSET,
        created_by=version.created_by or UNSET,
        deleted_at=version.deleted_at or UNSET,
    )


ROUTES: tuple[HTTPRouteHandler, ...] = (
    list_secrets,
    read_secret,
    write_secret,
    change_secret,
    delete_secret,
    act_on_secret,
)
