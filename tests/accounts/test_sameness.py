"""What a stranger is answered does not tell whether an address has an account: in words, in work, and in time."""

from __future__ import annotations

import contextlib
import math
import statistics
import time

import argon2
import pytest
from msgspec.structs import replace
from talking import PASSWORD, Person
from test_links import AUTH, an_email, seen

import sqldatabases
from platform_process import serving
from tradesense.core.audit.models import Actor
from tradesense.core.errors import CredentialsRefused
from tradesense.core.identity.models import Client
from tradesense.core.sensitive import Secret

ACTOR = Actor(kind="anonymous")
SAMPLES = 200
WRONG = "not the password of it"


@pytest.fixture
def verifications(monkeypatch):
    """Each verification by argon2 that is really made."""
    made = []
    verify = argon2.PasswordHasher.verify

    def counted(self, hashed, password):
        made.append(hashed)
        return verify(self, hashed, password)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", counted)
    return made


async def test_R06_every_login_that_fails_does_one_verification_of_one_cost(services, verifications):
    store = services.accounts._store
    kinds = {}
    for kind in ("wrong", "disabled", "without password", "unreadable"):
        email = f"{kind.replace(' ', '-')}@example.org"
        kinds[kind] = email, await services.accounts.create(email, Secret(PASSWORD), roles=("user",), actor=ACTOR)
    await store.users.update(replace(kinds["disabled"][1], disabled=True))
    await store.users.update(replace(kinds["without password"][1], password_hash=Secret("")))
    await store.users.update(replace(kinds["unreadable"][1], password_hash=Secret("$1$md5crypt$x")))
    tries = [(email, WRONG) for email, _ in kinds.values()]
    tries += [("disabled@example.org", PASSWORD), ("nobody@example.org", WRONG), ("no address", WRONG)]
    tries += [("without-password@example.org", ""), ("x" * 5000, WRONG)]
    for email, password in tries:
        verifications.clear()
        with pytest.raises(CredentialsRefused) as refused:
            await services.sessions.login(email, Secret(password), client=Client(), actor=ACTOR)
        assert str(refused.value) == str(CredentialsRefused()), email
        assert len(verifications) == 1, email
        assert argon2.extract_parameters(verifications[0]).memory_cost == 47_104, email


def test_R06_every_login_that_fails_is_answered_byte_by_byte_the_same(place, person, admin):
    with Person(place.url, an_email("disabled")) as disabled:
        disabled.sign_up()
        disabled.log_in()
        user_id = disabled.get(f"{AUTH}/session").json()["user"]["id"]
        assert admin.patch(f"/api/v1/users/{user_id}", json={"disabled": True}).status_code == 200
        emails = {person.email: WRONG, disabled.email: PASSWORD, an_email("nobody"): WRONG, "no address": WRONG}
        for mode in ("token", "cookie"):
            told = set()
            for email, password in emails.items():
                with Person(place.url, email) as visitor:
                    visitor.visit()
                    body = {"email": email, "password": password, "mode": mode}
                    answer = visitor.send_proved("POST", f"{AUTH}/login", json=body)
                status, content, headers = seen(answer)
                request = answer.headers["x-request-id"].encode()
                assert request in content, "the body names its request, which is its own"
                told.add((status, content.replace(request, b""), tuple(sorted(headers.items()))))
            assert len(told) == 1, told
            assert status == 401


def test_R07_a_sign_up_is_answered_byte_by_byte_the_same(place, person):
    told = set()
    for email in (person.email, person.email.upper().replace("EXAMPLE.ORG", "example.org"), an_email()):
        with Person(place.url, email) as someone:
            status, content, headers = seen(someone.sign_up())
            told.add((status, content, tuple(sorted(headers.items())), "set-cookie" in headers))
    assert len(told) == 1, told


def chance(one, other):
    """How probable it is that two samples of one distribution differ as much: Mann and Whitney's U, both sides."""
    ranked = sorted([(value, 0) for value in one] + [(value, 1) for value in other])
    ranks = sum(rank for rank, (_, side) in enumerate(ranked, 1) if side == 0)
    n, m = len(one), len(other)
    u = ranks - n * (n + 1) / 2
    deviation = math.sqrt(n * m * (n + m + 1) / 12)
    return math.erfc(abs(u - n * m / 2) / deviation / math.sqrt(2))


def test_the_statistic_tells_two_distributions_apart():
    same = [(number * 7919) % 1000 for number in range(400)]
    assert chance(same[::2], same[1::2]) > 0.01
    assert chance(same[::2], [value + 200 for value in same[1::2]]) < 0.01


MANY = {
    f"TRADESENSE_IDENTITY__POLICY__{name}": "1000000"
    for name in (
        "LOGIN_ATTEMPTS",
        "LOGIN_ATTEMPTS_PER_ADDRESS",
        "LOGIN_ATTEMPTS_PER_DAY",
        "LOGIN_ATTEMPTS_IN_ALL",
        "MAILS_PER_ACCOUNT",
    )
}
KNOWN = 4
"""Accounts that the tries at known ones are shared among: each bears a hundred that fail."""


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_R06_R07_answers_take_as_long_for_known_addresses_as_for_others(database, request, soaking):
    if not soaking:
        pytest.skip("how long something takes is measured by make soak alone")
    with contextlib.ExitStack() as stack:
        env = dict(MANY)
        if database == "postgresql":
            url = stack.enter_context(sqldatabases.postgresql_database(request.getfixturevalue("postgres")))
            env |= {"DATABASE_URL": url}
        server = stack.enter_context(serving(env))
        people = [stack.enter_context(Person(server.url, an_email(f"known{number}"))) for number in range(KNOWN)]
        for person in people:
            person.sign_up()
        visitor = stack.enter_context(Person(server.url, ""))
        visitor.visit()
        routes = {
            "login": lambda email: {"email": email, "password": WRONG, "mode": "token"},
            "register": lambda email: {"email": email, "password": PASSWORD},
            "password/forgot": lambda email: {"email": email},
            "verify-email/resend": lambda email: {"email": email},
        }
        for route, body in routes.items():
            times = {"known": [], "unknown": []}
            for number in range(SAMPLES + 5):
                for kind in ("known", "unknown") if number % 2 else ("unknown", "known"):
                    email = people[number % KNOWN].email if kind == "known" else an_email("other")
                    began = time.perf_counter()
                    answer = visitor.send_proved("POST", f"{AUTH}/{route}", json=body(email))
                    times[kind].append(time.perf_counter() - began)
                    assert answer.status_code in {401, 202}, answer.text
            one, other = (found[5:] for found in times.values())
            medians = statistics.median(one), statistics.median(other)
            p = chance(one, other)
            print(  # noqa: T201  # figures of the experiment
                f"{database} {route}: p = {p:.3f}, medians {medians[0] * 1000:.2f} and {medians[1] * 1000:.2f} ms"
            )
            assert p > 0.01, route
            assert abs(medians[0] - medians[1]) <= 0.05 * max(medians), route
