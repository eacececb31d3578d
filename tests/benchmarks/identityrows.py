"""The rows about identity: sessions, tokens, logins, and how they grow."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

import httpx2
import identityload
from measuring import Row, Served, micros_per_request, session_headers

from platform_process import ServerHandle, serving
from servers import reachable_folder

HERE = Path(__file__).parent
LAUNCHES = 2


@contextlib.contextmanager
def with_a_bare_route(env: dict[str, str]) -> Iterator[ServerHandle]:
    """The platform, with one more route that answers as the session's does and asks nobody."""
    with reachable_folder() as folder:
        argv = [sys.executable, str(HERE / "sessionserver.py")]
        handle = ServerHandle.begin("serve", "--port", "0", folder=folder, env=env, argv=argv)
        try:
            handle.wait_for_line(lambda line: line.strip().startswith("url:"))
            yield handle
        finally:
            handle.stop()


def bearer_headers(server: ServerHandle) -> dict[str, str]:
    """The administrator's access token."""
    body = {"email": server.admin_email, "password": server.admin_password, "mode": "token"}
    with httpx2.Client(base_url=server.url, trust_env=False) as client:
        token = client.post("/api/v1/auth/login", json=body).raise_for_status().json()["access_token"]
    return {"Authorization": f"Bearer {token}"}


def _against_the_bare_route(id_: str, operation: str, bound: float, *, bearer: bool, forget: bool = False) -> Row:
    env = {"JWT_SECRET_KEY": identityload.secret(), **({"FORGET_TOKENS": "1"} if forget else {})}
    launches: list[list[float]] = []
    for _ in range(LAUNCHES):
        with with_a_bare_route(env) as server, with_a_bare_route(env) as other:
            headers = (bearer_headers if bearer else session_headers)(server)
            full = Served(f"{server.url}/api/v1/auth/session", headers, server.process.pid)
            launches.append(micros_per_request(full, Served(f"{other.url}/bench/without", {}, other.process.pid)))
    ours, peer = (mean(side) for side in zip(*launches, strict=True))
    return Row(id_, operation, ours, peer, "us CPU/request", bound)


def p04() -> Row:
    """A session that is remembered, against the route without."""
    return _against_the_bare_route("P04", "session lookup, warm", 1.1, bearer=False)


def p05() -> Row:
    """A token that was seen before, against the route without."""
    return _against_the_bare_route("P05", "JWT request, token seen before", 1.1, bearer=True)


def p05_new() -> Row:
    """A token whose signature is verified each time, against the route without."""
    return _against_the_bare_route("P05", "JWT request, token not seen before", 1.6, bearer=True, forget=True)


def p15() -> Row:
    """A token that was seen before, against joserfc."""
    ours, peer = identityload.run(identityload.verifying("HS256"))
    return Row("P15", "HS256 token, seen before", ours, peer, "us", 1 / 20)


def p15_eddsa() -> Row:
    """The same of a key pair."""
    ours, peer = identityload.run(identityload.verifying("EdDSA"))
    return Row("P15", "EdDSA token, seen before", ours, peer, "us", 1 / 20)


def p17() -> Row:
    """A login against the hash that it waits for, as many at once as have a core."""
    ours, peer, _ = _logins()
    return Row("P17", "login, to a bare argon2 verify", ours, peer, "ms/login", 1 / 0.8)


def p17_health() -> Row:
    """How long health takes beside it."""
    *_, waits = _logins()
    return Row("P17", "p99 of health beside logins", waits, 1.0, "ms", 250, absolute=True)


def _logins() -> tuple[float, float, float]:
    many = {
        "TRADESENSE_IDENTITY__POLICY__LOGIN_ATTEMPTS": "1000000",
        "TRADESENSE_IDENTITY__POLICY__LOGIN_ATTEMPTS_PER_ADDRESS": "1000000",
        "TRADESENSE_IDENTITY__POLICY__LOGIN_ATTEMPTS_PER_DAY": "1000000",
    }
    with serving(many) as server:
        return identityload.logins(server.url, server.admin_email, server.admin_password)


def p21() -> Row:
    """A session among a million, against one among a thousand."""
    ours, peer = identityload.run(identityload.growth_of_sessions())
    return Row("P21", "session found, 1,000 to 1,000,000", ours, peer, "us", 1.5)


def p21_audit() -> Row:
    """A row of a trail of a million, against one of a thousand."""
    ours, peer = identityload.run(identityload.growth_of_audit())
    return Row("P21", "audit row, 1,000 to 1,000,000", ours, peer, "us", 1.5)


def p21_all() -> Row:
    """Ten thousand sessions of one user, listed and ended."""
    seconds = identityload.run(identityload.ten_thousand_sessions())
    return Row("P21", "10,000 sessions listed and ended", seconds, 1.0, "s", 1.0, absolute=True)


ROWS = (p04, p05, p05_new, p15, p15_eddsa, p17, p17_health, p21, p21_audit, p21_all)
