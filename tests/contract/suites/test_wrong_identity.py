"""The identity suites catch adapters that are wrong on purpose."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    "name",
    [
        "wrong_identity_store.py",
        "wrong_identity_grants.py",
        "wrong_passwords.py",
        "wrong_tokens.py",
        "wrong_messages.py",
        "wrong_providers.py",
        "wrong_webhooks.py",
    ],
)
def test_the_suites_tell_right_from_wrong(judge, name):
    judge(name)
