"""The OpenAPI 3.1 document: generated from the routes, with the guard of each said in words."""

from __future__ import annotations

from typing import Any

from litestar import Request, Router
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme, Server
from litestar.routes import BaseRoute

from tradesense.entrypoints.http import refusals
from tradesense.entrypoints.http.guards import OPT, PUBLIC, Guard, public
from tradesense.entrypoints.http.problems import MEDIA_TYPE
from tradesense.entrypoints.http.site import Site

DOCUMENT = "/openapi.json"
PROBLEM = "#/components/schemas/Problem"
BODILESS = frozenset({"204", "304"})
BY_COOKIE, BY_TOKEN, BY_KEY, CSRF = "session", "bearer", "api-key", "csrf"


class _DocumentOnly(Router):
    """Takes the document under its own name alone, and not the page that Litestar answers under every other."""

    def register(self, value: Any) -> list[BaseRoute]:
        if not isinstance(value, HTTPRouteHandler) or DOCUMENT not in value.paths:
            return []
        value.paths = {DOCUMENT}
        return super().register(value)


class _Document(JsonRenderPlugin):
    """The document as JSON, without bodies that are never sent, and with problems beside a route's own form."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        for operations in openapi_schema["paths"].values():
            for operation in operations.values():
                for status, answer in operation["responses"].items():
                    if status in BODILESS:
                        answer.pop("content", None)
                    elif status >= "400":
                        answer["content"].setdefault(MEDIA_TYPE, {"schema": {"$ref": PROBLEM}})
        _inclusive(openapi_schema)
        return super().render(request, openapi_schema)  # pyright: ignore[reportUnknownMemberType]  # Litestar leaves Request's parameters out


def _inclusive(part: Any) -> None:
    """Unions as ``anyOf``: Litestar writes ``oneOf``, by which 1 is no ``int | float``, as it is both."""
    below: list[Any] = []
    if isinstance(part, dict):
        if "oneOf" in part:
            part["anyOf"] = part.pop("oneOf")  # pyright: ignore[reportUnknownMemberType]  # a document of any shape
        below = list(part.values())  # pyright: ignore[reportUnknownArgumentType]  # a document of any shape
    elif isinstance(part, list):
        below = part  # pyright: ignore[reportUnknownVariableType]  # a document of any shape
    for each in below:
        _inclusive(each)


def config(site: Site) -> OpenAPIConfig:
    """How the document is made and where it lies: ``/schema/openapi.json``."""
    return OpenAPIConfig(
        title="TradeSense",
        version="1",
        description="The backend that every service needs first.",
        servers=[Server(url=site.base_url)],
        components=Components(
            security_schemes={
                BY_COOKIE: SecurityScheme(
                    type="apiKey",
                    security_scheme_in="cookie",
                    name=site.cookies.session,
                    description="The session of a browser. Unsafe methods need the header X-CSRF-Token as well.",
                ),
                BY_TOKEN: SecurityScheme(type="http", scheme="bearer", bearer_format="JWT"),
                BY_KEY: SecurityScheme(
                    type="apiKey",
                    security_scheme_in="header",
                    name="X-API-Key",
                    description="From POST /api/v1/api-keys; taken as a bearer token, too.",
                ),
                CSRF: SecurityScheme(
                    type="apiKey",
                    security_scheme_in="header",
                    name="X-CSRF-Token",
                    description="From GET /api/v1/auth/csrf or the answer to a login.",
                ),
            }
        ),
        openapi_router=_DocumentOnly("/schema", route_handlers=[], opt=public(), include_in_schema=False),
        render_plugins=[_Document(path=DOCUMENT)],
        use_handler_docstrings=True,
    )


def describe(handler: HTTPRouteHandler) -> None:
    """Say the guard in the handler's description, and which schemes satisfy it."""
    declared = handler.opt.get(OPT)
    handler.responses = {**refusals.of(handler), **(handler.responses or {})}
    if not isinstance(declared, Guard):
        return
    text = " ".join((handler.fn.__doc__ or "").split())
    handler.description = f"{text} {declared.sentence}".strip()
    if declared.need == PUBLIC:
        handler.security = None
    else:
        unsafe = bool(handler.http_methods - {"GET"})
        handler.security = [{BY_COOKIE: [], **({CSRF: []} if unsafe else {})}, {BY_TOKEN: []}, {BY_KEY: []}]
