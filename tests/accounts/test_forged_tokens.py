"""Access tokens that are not quite ours, over real sockets: each is refused as any other is."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import random
import statistics
import time
import tomllib
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from talking import PASSWORD, Talker
from test_links import AUTH
from test_sameness import chance

EMPTY = base64.urlsafe_b64encode(hashlib.sha256(b"").digest()).rstrip(b"=").decode()


def b64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(segment):
    return json.loads(base64.urlsafe_b64decode(segment + "=="))


def packed(header, claims):
    return f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"


class Forge:
    """Makes tokens with the server's own key: what is wrong with them is one thing each."""

    def __init__(self, key, token):
        self.key = key
        self.token = token
        head, claims, self.signature = token.split(".")
        self.header, self.claims = decoded(head), decoded(claims)

    def mac(self, signed, how=hashlib.sha256):
        return b64(hmac.new(self.key, signed.encode(), how).digest())

    def signed(self, header=None, **claims):
        body = packed({**self.header, **(header or {})}, {**self.claims, **claims})
        return f"{body}.{self.mac(body)}"

    def without(self, *names):
        body = packed(self.header, {name: value for name, value in self.claims.items() if name not in names})
        return f"{body}.{self.mac(body)}"

    def headed(self, header):
        body = packed(header, self.claims)
        return f"{body}.{self.mac(body)}"


@pytest.fixture
def forge(place, person):
    with Talker(place.url) as client:
        login = {"email": person.email, "password": PASSWORD, "mode": "token"}
        token = client.post(f"{AUTH}/login", json=login).json()["access_token"]
    keys = tomllib.loads((place.folder / "var" / "keys.toml").read_text())
    return Forge(keys["identity"]["jose"]["secret"].encode(), token)


def forgeries(forge):
    """Thirty tokens, each with the one thing that is wrong with it."""
    header, token, now = forge.header, forge.token, int(time.time())
    head, claims, signature = token.split(".")
    ed = Ed25519PrivateKey.generate()
    confused = packed({**header, "alg": "EdDSA"}, forge.claims)
    longer = packed({**header, "alg": "HS512"}, forge.claims)
    padded = f"{head}={'' if len(head) % 4 == 3 else '='}.{claims}"
    jwk = {"kty": "oct", "k": b64(b"k" * 32)}
    own = packed({**header, "jwk": jwk}, forge.claims)
    return {
        "alg none": f"{packed({**header, 'alg': 'none'}, forge.claims)}.",
        "alg None, signed": forge.signed({"alg": "None"}),
        "no signature": f"{head}.{claims}.",
        "two segments": f"{head}.{claims}",
        "four segments": f"{token}.x",
        "signature of another key": f"{head}.{claims}.{b64(hmac.new(b'k' * 32, b'x', hashlib.sha256).digest())}",
        "HMAC of the empty key": f"{head}.{claims}.{EMPTY}",
        "EdDSA where HS256 is set": f"{confused}.{b64(ed.sign(confused.encode()))}",
        "EdDSA with our HMAC": forge.signed({"alg": "EdDSA"}),
        "HS512": f"{longer}.{forge.mac(longer, hashlib.sha512)}",
        "typ JWT": forge.signed({"typ": "JWT"}),
        "typ of an id token": forge.signed({"typ": "id+jwt"}),
        "no typ": forge.headed({name: value for name, value in header.items() if name != "typ"}),
        "unknown kid": forge.signed({"kid": "no-such-key"}),
        "no kid": forge.headed({name: value for name, value in header.items() if name != "kid"}),
        "kid with a path": forge.signed({"kid": "../../dev/null"}),
        "jku": forge.signed({"jku": "https://evil.example/jwks.json"}),
        "x5u": forge.signed({"x5u": "https://evil.example/x.pem"}),
        "a key of its own": f"{own}.{b64(hmac.new(b'k' * 32, own.encode(), hashlib.sha256).digest())}",
        "crit": forge.signed({"crit": ["exp"], "exp": now}),
        "b64 false": forge.signed({"b64": False, "crit": ["b64"]}),
        "padded": f"{padded}.{forge.mac(padded)}",
        "unused bits": f"{head}.{claims}.{signature[:-1]}{chr(ord(signature[-1]) + 1)}",
        "over 8 KiB": forge.signed(pad="x" * 8192),
        "expired": forge.signed(iat=now - 700, exp=now - 1),
        "issued in an hour": forge.signed(iat=now + 3600, exp=now + 4200),
        "another issuer": forge.signed(iss="https://evil.example"),
        "another audience": forge.signed(aud=["somebody-else"]),
        "no expiry": forge.without("exp"),
        "no subject": forge.without("sub"),
        "no id": forge.without("jti"),
        "no time of issue": forge.without("iat"),
        "good for a day": forge.signed(exp=now + 86_400),
        "two names of one claim": forge.headed({**header, "alg ": "HS256"}),
    }


def test_R17_a_token_that_is_not_quite_ours_is_refused_as_any_other_is(forge, anyone):
    def ask(token):
        return anyone.get(f"{AUTH}/session", headers={"Authorization": f"Bearer {token}"})

    assert ask(forge.token).status_code == 200
    assert ask(forge.signed()).status_code == 200, "the forge's own hand is good: what is refused is refused for cause"
    made = forgeries(forge)
    assert len(set(made.values())) >= 30
    answers = {name: ask(token) for name, token in made.items()}
    assert {name: answer.status_code for name, answer in answers.items() if answer.status_code != 401} == {}
    told = {(answer.json()["type"], answer.headers["www-authenticate"]) for answer in answers.values()}
    assert told == {("urn:tradesense:problem:token-refused", 'Bearer realm="tradesense", error="invalid_token"')}


ROUNDS = 200
LONG = {"over 8 KiB"}
"""More bytes take longer to read, which tells what the sender knows."""
SIGNED = {
    "no signature",
    "signature of another key",
    "HMAC of the empty key",
    "unused bits",
    "expired",
    "issued in an hour",
    "another issuer",
    "another audience",
    "no expiry",
    "no subject",
    "no id",
    "no time of issue",
    "good for a day",
}
"""Those whose signature is looked at: the others are refused before, which tells what the sender knows as well."""


@pytest.mark.soak
def test_R17_each_is_refused_in_the_time_that_another_takes(forge, place, soaking):
    if not soaking:
        pytest.skip("how long something takes is measured by make soak alone")
    made = {name: token for name, token in forgeries(forge).items() if name not in LONG}
    assert set(made) > SIGNED
    times = {name: [] for name in made}
    order = random.Random(1)
    with contextlib.closing(HTTPConnection(urlsplit(place.url).netloc, timeout=20)) as client:
        for _ in range(ROUNDS):
            for name in order.sample(list(made), len(made)):
                began = time.perf_counter()
                client.request("GET", f"{AUTH}/session", headers={"Authorization": f"Bearer {made[name]}"})
                with client.getresponse() as answer:
                    answer.read()
                    assert answer.status == 401
                times[name].append(time.perf_counter() - began)
    different = {}
    for group in (SIGNED & set(made), set(made) - SIGNED):
        for name in group:
            rest = [value for other in group - {name} for value in times[other]]
            one, usual = statistics.median(times[name]), statistics.median(rest)
            if chance(times[name], rest) < 0.01 / len(made) and abs(one - usual) > 0.05 * usual:
                different[name] = (one, usual)
    assert different == {}
