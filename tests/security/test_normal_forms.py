"""A password is what the person means by it: composed or decomposed, it is the same, and nothing else is changed."""

from __future__ import annotations

import pytest

from client import Api
from platform_process import ServerHandle, serving

COMPOSED = "caf\u00e9 au lait, s'il vous pla\u00eet"
DECOMPOSED = "cafe\u0301 au lait, s'il vous plai\u0302t"
LIGATURE, LETTERS = "\ufb01fteen letters or more", "fifteen letters or more"


@pytest.fixture(scope="module")
def server():
    with serving() as running:
        yield running


@pytest.mark.parametrize(("chosen", "typed"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
def test_R03_both_forms_of_a_password_log_in(server: ServerHandle, chosen: str, typed: str) -> None:
    with Api(server.url) as api:
        email = f"form{len(chosen)}@example.org"
        assert api.register(email, chosen).status_code == 202
        assert api.login(email, typed)["access_token"]


def test_R03_a_ligature_is_not_its_letters(server: ServerHandle) -> None:
    body = {"email": "ligature@example.org", "password": LETTERS, "mode": "token"}
    with Api(server.url) as api:
        assert api.register("ligature@example.org", LIGATURE).status_code == 202
        assert api.client.post("/api/v1/auth/login", json=body).status_code == 401
        assert api.login("ligature@example.org", LIGATURE)["access_token"]
