"""The list of common passwords, and what is made of two of them."""

from __future__ import annotations

import pytest

import contracted
from tradesense.core.identity.ports import BreachedPasswords
from tradesense.core.sensitive import Secret


@pytest.fixture(scope="module")
def common():
    return contracted.build(contracted.manifest("common", BreachedPasswords), contracted.context())


@pytest.mark.parametrize(
    "password",
    ["password", "PassWord", "password123!", "P@ssw0rd", "passwordpassword", "iloveyouprincess", "dragon123456789"],
)
async def test_R04_a_common_password_is_found_in_its_disguises(common, password):
    assert await common.contains(Secret(password)) is True


@pytest.mark.parametrize(
    "password", ["correct horse battery staple", "xq7-fjord-lamp-41-quilt", "", "\U0001f984" * 20, "x" * 5000]
)
async def test_R04_another_one_is_not(common, password):
    assert await common.contains(Secret(password)) is False
