"""The headers that every answer carries, whoever gave it (ASVS 3.4.1 to 3.4.6, 4.1.1)."""

from __future__ import annotations

from collections.abc import Iterable

from tradesense.entrypoints.http.site import Site

Header = tuple[bytes, bytes]

SECURITY: tuple[Header, ...] = (
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"server", b"tradesense"),
)

NO_STORE: Header = (b"cache-control", b"no-store")
"""What stands where a route does not say that its answer may be kept."""

_WITH_CHARSET = {
    b"application/json": b"application/json; charset=utf-8",
    b"application/problem+json": b"application/problem+json; charset=utf-8",
    b"application/vnd.oai.openapi+json": b"application/vnd.oai.openapi+json; charset=utf-8",
}

EXPOSED = b"ETag, RateLimit, RateLimit-Policy, Retry-After, X-Request-ID"
ALLOWED = b"Authorization, Content-Type, If-Match, If-None-Match, Traceparent, X-API-Key, X-CSRF-Token, X-Request-ID"
METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"


def completed(headers: Iterable[Header], own: Iterable[Header]) -> list[Header]:
    """The answer's headers with ours; ``own`` are those of this request."""
    complete: list[Header] = []
    kept = False
    for name, value in headers:
        if name == b"content-type":
            complete.append((name, _WITH_CHARSET.get(value, value)))
        else:
            kept = kept or name == b"cache-control"
            complete.append((name, value))
    complete += SECURITY
    complete += own
    if not kept:
        complete.append(NO_STORE)
    return complete


def cors(site: Site, origin: bytes | None) -> list[Header]:
    """What lets a page of an allowed foreign origin read the answer. Nothing for any other (ASVS 3.4.2)."""
    vary = (b"vary", b"Origin")
    if origin is None or origin not in site.foreign_origins:
        return [vary]
    return [
        vary,
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", EXPOSED),
    ]


def preflight() -> list[Header]:
    """What a preflight is told beyond :func:`cors`."""
    return [
        (b"access-control-allow-methods", METHODS),
        (b"access-control-allow-headers", ALLOWED),
        (b"access-control-max-age", b"600"),
    ]
