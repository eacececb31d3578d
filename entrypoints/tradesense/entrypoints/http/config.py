"""Config: what anyone may read, and runtime settings for administrators."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from litestar import Response, delete, get, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from tradesense.core.config.models import Setting
from tradesense.entrypoints.http import conditional
from tradesense.entrypoints.http.codec import Body
from tradesense.entrypoints.http.exchange import current
from tradesense.entrypoints.http.guards import guard, public
from tradesense.entrypoints.http.queries import Cursor, Limit, Text

NOT_MODIFIED = 304
MEDIA_TYPE = "application/json"


class NewSetting(Body, frozen=True, kw_only=True):
    """A value to be written."""

    value: Any
    public: bool = False
    """Whether anyone may read it."""


class Rollback(Body, frozen=True, kw_only=True):
    """Which revision to go back to."""

    revision: Annotated[int, Meta(ge=1)]


class SettingView(Struct, frozen=True, kw_only=True):
    """A setting at one revision."""

    key: str
    value: Any
    public: bool
    revision: int
    updated_at: datetime
    updated_by: str
    deleted: bool


class SettingPage(Struct, frozen=True, kw_only=True):
    """A page of settings."""

    items: tuple[SettingView, ...]
    cursor: str | None


class History(Struct, frozen=True, kw_only=True):
    """Every revision, oldest first."""

    items: tuple[SettingView, ...]


@get(
    "/api/v1/config",
    opt=public(),
    tags=["config"],
    responses={
        200: ResponseSpec(dict[str, Any], description="Every public setting.", generate_examples=False),
        304: ResponseSpec(None, description="Nothing has changed."),
    },
)
async def public_config() -> Response[bytes]:
    """Key and value of every public setting. Ask again with `If-None-Match`."""
    here = current()
    body = await here.services.config.public()
    etag = conditional.digest_tag(body)
    headers = {"ETag": etag, "Cache-Control": "public, no-cache"}
    if conditional.matches(here, etag):
        return Response(b"", status_code=NOT_MODIFIED, headers=headers)
    return Response(body, media_type=MEDIA_TYPE, headers=headers)


@get("/api/v1/settings", opt=guard("config:read"), tags=["config"])
async def list_settings(prefix: Text = "", cursor: Cursor = None, limit: Limit = 100) -> SettingPage:
    """The settings whose keys begin with ``prefix``, a page at a time."""
    page = await current().services.config.list(prefix, cursor=cursor, limit=limit)
    return SettingPage(items=tuple(_view(setting) for setting in page.items), cursor=page.cursor)


@get("/api/v1/settings/{key:str}", opt=guard("config:read"), tags=["config"])
async def read_setting(key: FromPath[str]) -> Response[SettingView]:
    """A setting, with its revision as the entity tag."""
    return _tagged(await current().services.config.get(key))


@put("/api/v1/settings/{key:str}", opt=guard("config:write"), tags=["config"])
async def write_setting(key: FromPath[str], data: JSONBody[NewSetting]) -> Response[SettingView]:
    """Write a setting; with `If-Match` only over that revision, with `If-None-Match: *` only where there is none."""
    here = current()
    expected = conditional.expected(here)
    with conditional.precondition(expected):
        setting = await here.services.config.put(
            key,
            data.value,
            public=data.public,
            expected=expected,
            actor=here.actor,
            correlation_id=here.correlation_id,
        )
    return _tagged(setting)


@delete("/api/v1/settings/{key:str}", opt=guard("config:write"), status_code=204, tags=["config"])
async def delete_setting(key: FromPath[str]) -> None:
    """Remove a setting; with `If-Match` only that revision. Its history stays."""
    here = current()
    expected = conditional.expected(here)
    with conditional.precondition(expected):
        await here.services.config.delete(key, expected=expected, actor=here.actor, correlation_id=here.correlation_id)


@get("/api/v1/settings/{key:str}/history", opt=guard("config:read"), tags=["config"])
async def setting_history(key: FromPath[str]) -> History:
    """Every revision of a setting, removals included."""
    return History(items=tuple(_view(past) for past in await current().services.config.history(key)))


@post("/api/v1/settings/{key:str}/rollback", opt=guard("config:write"), status_code=200, tags=["config"])
async def rollback_setting(key: FromPath[str], data: JSONBody[Rollback]) -> Response[SettingView]:
    """Write the value of an earlier revision as a new one."""
    here = current()
    setting = await here.services.config.rollback(
        key, data.revision, actor=here.actor, correlation_id=here.correlation_id
    )
    return _tagged(setting)


def _view(setting: Setting) -> SettingView:
    return SettingView(
        key=setting.key,
        value=setting.value,
        public=setting.public,
        revision=setting.revision,
        updated_at=setting.updated_at,
        updated_by=setting.updated_by,
        deleted=setting.deleted,
    )


def _tagged(setting: Setting) -> Response[SettingView]:
    return Response(_view(setting), headers={"ETag": conditional.tag(setting.revision)})


ROUTES: tuple[HTTPRouteHandler, ...] = (
    public_config,
    list_settings,
    read_setting,
    write_setting,
    delete_setting,
    setting_history,
    rollback_setting,
)
