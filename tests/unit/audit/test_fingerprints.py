"""A fingerprint tells whether two values are equal, and nothing more to who has not the key."""

from __future__ import annotations

import hashlib
import hmac

from tradesense.core.audit.chain import AuditChain

KEY = bytes(range(32))
VALUE = b"canary-of-the-trail"


def test_R62_equal_values_have_one_fingerprint_and_others_have_another():
    chain = AuditChain(KEY)
    assert chain.fingerprint(VALUE) == AuditChain(KEY, stream="other").fingerprint(VALUE)
    assert len({chain.fingerprint(value) for value in (VALUE, VALUE[:-1], VALUE + b"\0", b"")}) == 4


def test_R62_a_fingerprint_needs_the_key_and_has_one_of_its_own():
    found = AuditChain(KEY).fingerprint(VALUE)
    assert len(bytes.fromhex(found)) == 16
    assert found != AuditChain(bytes(32)).fingerprint(VALUE)
    for key in (KEY, b""):
        assert found != hmac.digest(key, VALUE, hashlib.sha256)[:16].hex(), "the chain's key is for the chain"
    assert found != hashlib.sha256(VALUE).hexdigest()[:32]
