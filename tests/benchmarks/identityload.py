"""What sessions, tokens and logins cost beside the route, the library and the hash that they stand on."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import sqlite3
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from urllib.parse import urlsplit

import httpx2
from joserfc import jws, jwt
from joserfc.jwk import OctKey, OKPKey

from tradesense.adapters.jose.identity import JoseSigner
from tradesense.adapters.jose.settings import JoseSettings
from tradesense.adapters.system.ambient import SystemClock
from tradesense.core.audit.models import Actor
from tradesense.core.audit.service import Event
from tradesense.core.identity.models import Session, TokenKind
from tradesense.core.identity.verified import VerifiedTokens
from tradesense.core.sensitive import Secret
from tradesense.core.testing.identity.samples import a_session, a_user
from tradesense.entrypoints.container import open_container
from tradesense.entrypoints.database import upgrade_database
from tradesense.entrypoints.services import Services
from tradesense.settings.load import load

ROUNDS = 2_000
SAMPLES = 7
LOGINS = 40
AT_ONCE = 4
SMALL, LARGE = 1_000, 1_000_000

Call = Callable[[], Awaitable[object]]


async def micros(call: Call, rounds: int) -> float:
    """Microseconds of one call after the other."""
    began = time.perf_counter()
    for _ in range(rounds):
        await call()
    return (time.perf_counter() - began) / rounds * 1e6


async def verifying(algorithm: str) -> tuple[float, float]:
    """Microseconds to verify a token that was seen before, and for joserfc to do so."""
    now = int(time.time())
    claims = {"sub": "u" * 36, "sid": "s" * 36, "jti": "j" * 36, "iat": now, "exp": now + 600}
    if algorithm == "HS256":
        raw = os.urandom(32)
        settings = JoseSettings(secret=Secret(raw))
        key: Any = OctKey.import_key(raw)
    else:
        key = OKPKey.generate_key("Ed25519")
        settings = JoseSettings(algorithm="EdDSA", private_key=Secret(key.as_pem(private=True)))
    signer = JoseSigner(settings, clock=SystemClock())
    token = (await signer.sign(TokenKind.ACCESS, claims)).reveal()
    known = VerifiedTokens(TokenKind.ACCESS, signer=signer, clock=SystemClock())
    registry = jws.JWSRegistry(algorithms=[algorithm])

    async def library() -> object:
        return jwt.decode(token, key, registry=registry)  # to the claims, as ours; it checks none of them

    ours = partial(known.verify, token)
    await ours()
    pairs = [(await micros(ours, ROUNDS), await micros(library, ROUNDS // 4)) for _ in range(SAMPLES)]
    return median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)


def logins(url: str, email: str, password: str) -> tuple[float, float, float]:
    """Milliseconds of a login under load, of a bare argon2 verification on each core, and p99 of health beside it."""
    from argon2 import PasswordHasher  # noqa: PLC0415  # the peer of this row alone

    hasher = PasswordHasher(time_cost=1, memory_cost=47_104, parallelism=1)
    hashed = hasher.hash(password)
    body = json.dumps({"email": email, "password": password, "mode": "token"}).encode()

    def log_in() -> None:
        # The plainest client: what it costs itself is taken from the cores that the server would hash on.
        with contextlib.closing(HTTPConnection(urlsplit(url).netloc, timeout=60)) as client:
            for _ in range(LOGINS // AT_ONCE):
                client.request("POST", "/api/v1/auth/login", body, {"Content-Type": "application/json"})
                with client.getresponse() as answer:
                    answer.read()
                    if answer.status != 200:  # of HTTP
                        raise RuntimeError(f"a login was answered {answer.status}")

    def verify() -> None:
        for _ in range(LOGINS // AT_ONCE):
            hasher.verify(hashed, password)

    peers, ours, waits = [], [], list[float]()
    for _ in range(3):
        peers.append(_each(verify, 2))
        ours.append(_each(log_in, AT_ONCE))
    with _watched(url, waits):  # by itself, as who watches takes from the cores too
        for _ in range(3):
            _each(log_in, AT_ONCE)
    return median(ours), median(peers), quantiles(waits, n=100)[98]


def _each(work: Callable[[], None], threads: int) -> float:
    """Milliseconds for one piece of ``work``, done by so many threads at once."""
    began = time.perf_counter()
    running = [threading.Thread(target=work) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return (time.perf_counter() - began) / (LOGINS // AT_ONCE * threads) * 1e3


@contextlib.contextmanager
def _watched(url: str, waits: list[float]) -> Iterator[None]:
    """Ask for health again and again meanwhile, and note the milliseconds."""
    over = threading.Event()

    def watch() -> None:
        with httpx2.Client(base_url=url, trust_env=False, timeout=30) as client:
            while not over.wait(0.01):
                began = time.perf_counter()
                client.get("/health/live").raise_for_status()
                waits.append((time.perf_counter() - began) * 1e3)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()


@contextlib.asynccontextmanager
async def on_sqlite(more: Mapping[str, str] | None = None) -> AsyncIterator[tuple[Services, Path]]:
    """A platform over a file of its own, with ``more`` settings."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "bench.db"
        env = {
            "ENVIRONMENT": "testing",
            "DATABASE_URL": f"sqlite:///{place}",
            "TRADESENSE_IDENTITY__PROVIDER": "sql",
            "TRADESENSE_AUDIT__PROVIDER": "sql",
            **(more or {}),
        }
        settings = load(env, directory=Path(folder)).settings
        await upgrade_database(settings)
        async with open_container(settings) as services:
            yield services, place


async def growth_of_sessions() -> tuple[float, float]:
    """Microseconds to find a session among a million, and among a thousand."""
    async with on_sqlite() as (services, place):
        store = services.sessions._store  # the store is what is measured
        user = a_user()
        await store.users.add(user)
        wanted = a_session(user)
        await store.sessions.add(wanted)

        async def find() -> object:
            return await store.sessions.find(wanted.token_hash)

        async def measured() -> float:
            await micros(find, 200)
            return min([await micros(find, 500) for _ in range(SAMPLES)])

        _fill_sessions(place, wanted, SMALL)
        small = await measured()
        _fill_sessions(place, wanted, LARGE)
        return await measured(), small


async def growth_of_audit() -> tuple[float, float]:
    """Microseconds to append to a trail of a million rows, and to one of a thousand."""
    async with on_sqlite() as (services, place):

        async def note() -> None:
            await services.trail.note(Event("identity.bench", "x", Actor(kind="operator")))

        async def measured() -> float:
            await micros(note, 50)
            return min([await micros(note, 100) for _ in range(SAMPLES)])

        await micros(note, SMALL)
        small = await measured()
        _fill_audit(place, LARGE)
        return await measured(), small


async def ten_thousand_sessions() -> float:
    """Seconds to list and end ten thousand sessions of one user."""
    async with on_sqlite() as (services, place):
        store = services.sessions._store  # the same
        user = a_user()
        await store.users.add(user)
        now = services.clock.now()  # what is listed is what is alive
        kept = a_session(user, created_at=now, last_seen_at=now, expires_at=now + timedelta(days=1))
        await store.sessions.add(kept)
        _fill_sessions(place, kept, 10_000)
        began = time.perf_counter()
        cursor: str | None = None
        listed = 0
        while True:
            page = await services.devices.list(user.id, cursor=cursor, limit=1000)
            listed += len(page.items)
            if (cursor := page.cursor) is None:
                break
        ended = await services.devices.end_others(user.id, kept.id, actor=Actor(kind="user", id=user.id))
        seconds = time.perf_counter() - began
        if (listed, ended) != (10_000, 9_999):  # all but the one that is kept
            raise RuntimeError(f"{listed} sessions were listed, and {ended} ended")
        return seconds


def _fill_sessions(place: Path, like: Session, count: int) -> None:
    """Bring the table to so many rows, all of one user, by the shortest way."""
    with contextlib.closing(sqlite3.connect(place)) as connection:
        (there,) = connection.execute("SELECT count(*) FROM sessions").fetchone()
        instant = like.created_at.replace(tzinfo=None).isoformat(" ")
        until = like.expires_at.replace(tzinfo=None).isoformat(" ")
        connection.executemany(
            "INSERT INTO sessions VALUES (?, ?, ?, 0, ?, ?, ?, 'pwd', '192.0.2.1', 'bench')",
            (
                (f"0192f0c1-2345-7abc-8def-{number:012x}", os.urandom(32), like.user_id, instant, instant, until)
                for number in range(there, count)
            ),
        )
        connection.commit()


def _fill_audit(place: Path, count: int) -> None:
    with contextlib.closing(sqlite3.connect(place)) as connection:
        (last,) = connection.execute("SELECT seq FROM audit_heads").fetchone()
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            " INSERT INTO audit_records SELECT stream, n.i, at, entry, previous, hash, action, actor_id, subject"
            " FROM n, audit_records WHERE seq = ?",
            (last + 1, count, last),
        )
        connection.execute("UPDATE audit_heads SET seq = ?", (count,))
        connection.commit()


def run(work: Awaitable[Any]) -> Any:
    """The result of ``work``, in a loop of its own."""

    async def main() -> Any:
        return await work

    return asyncio.run(main())


def secret() -> str:
    """A random key for a server's environment."""
    return base64.urlsafe_b64encode(os.urandom(36)).decode()
