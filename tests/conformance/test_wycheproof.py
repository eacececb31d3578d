"""Wycheproof's vectors of signed tokens, read in place: none that is labelled invalid gets past the verifier."""

from __future__ import annotations

import json

import pytest
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

import conformancekit
from tradesense.adapters.jose._compact import OneAlgorithm, header_of, payload_of
from tradesense.core.errors import TokenRefused

SUITE = conformancekit.folder("wycheproof")
FILE = "json_web_signature_test.json"
KINDS = {"oct": OctKey, "OKP": OKPKey, "EC": ECKey, "RSA": RSAKey}
TAKEN = {"alg", "kid", "typ"}
"""What a header of ours may say at all."""

ERRATA = {
    367: "byte by byte the valid vector 357, though its comment speaks of padding",
    370: "the same",
    372: "a question mark in the header, which is none of base64url's letters; labelled valid",
    373: "the same in the payload",
    346: "the key says PS256, the header PS384; labelled valid",
    347: "the key says ES521, which is no algorithm; labelled valid",
    350: "as 346",
    351: "as 347",
}
"""Vectors whose label is not what RFC 7515 and their own comments say."""


def accepted(jwk, token):
    """Whether the verifier takes the token as signed by this key, pinned to the algorithm that the key is for."""
    try:
        header = header_of(token)
        algorithm = jwk.get("alg", header.get("alg"))
        if set(header) - TAKEN or header.get("alg") != algorithm or header.get("kid", jwk.get("kid")) != jwk.get("kid"):
            return False
        payload_of(token, KINDS[jwk["kty"]].import_key(jwk), OneAlgorithm(algorithm))
    except (TokenRefused, JoseError, KeyError):
        return False
    return True


@pytest.mark.skipif(SUITE is None, reason="there is no ../shared/conformance/wycheproof")
@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")  # some keys of the vectors are short on purpose
def test_R17_no_vector_of_wycheproof_is_falsely_accepted():
    groups = json.loads((SUITE / FILE).read_text())["testGroups"]
    told = {
        one["tcId"]: (one["result"] == "valid", accepted(group.get("public", group["private"]), one["jws"]))
        for group in groups
        for one in group["tests"]
    }
    assert len(told) == 401
    assert [one for one, (valid, taken) in told.items() if taken and not valid and one not in ERRATA] == []
    right = [taken for one, (valid, taken) in told.items() if valid and one not in ERRATA]
    assert right
    assert sum(right) > len(right) * 0.9, "a verifier that takes nothing accepts nothing falsely"
