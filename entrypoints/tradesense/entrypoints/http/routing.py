"""Which route a path belongs to, for labels and span names: one of a bounded set, whatever the caller asks for."""

from __future__ import annotations

from litestar import Litestar
from litestar.exceptions import HTTPException
from litestar.utils import normalize_path

UNKNOWN = "_unknown"
"""The label of every path that no route has."""


class Templates:
    """The path templates of an application."""

    def __init__(self, app: Litestar) -> None:
        self._route = app.asgi_router.handle_routing

    def of(self, path: str, method: str) -> str:
        """The template that answers ``path``, as in ``/api/v1/flags/{key}``."""
        try:
            return self._route(path=normalize_path(path), method="GET" if method == "HEAD" else method)[4]
        except HTTPException:
            return UNKNOWN
