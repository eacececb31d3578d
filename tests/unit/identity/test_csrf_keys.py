"""The key of forms changes without a page being refused, and a key that is gone makes nothing good."""

from __future__ import annotations

import pytest

from tradesense.adapters.system.ambient import SystemRandom
from tradesense.core.errors import CsrfRefused
from tradesense.core.identity.csrf import CsrfTokens

OLD, NEW = b"o" * 32, b"n" * 32


def tokens(key, other=b""):
    return CsrfTokens(key=key, other=other, random=SystemRandom())


def test_R51_a_change_of_the_key_of_forms_refuses_nobody():
    """All know the new key, then all make tokens with it; processes of two steps run side by side."""
    ready, changed = tokens(OLD, NEW), tokens(NEW, OLD)
    for makes, takes in ((ready, changed), (changed, ready), (tokens(OLD), ready), (changed, tokens(NEW))):
        takes.check("session", makes.issue("session"))


def test_R51_a_token_of_a_key_that_is_gone_or_of_another_session_is_refused():
    for makes, takes, binding in (
        (tokens(OLD, NEW), tokens(NEW), "session"),
        (tokens(OLD), tokens(NEW, OLD), "another session"),
        (tokens(b"x" * 32), tokens(NEW, OLD), "session"),
    ):
        with pytest.raises(CsrfRefused):
            takes.check(binding, makes.issue("session"))
    with pytest.raises(CsrfRefused):
        tokens(NEW).check("session", tokens(b"").issue("session"))
