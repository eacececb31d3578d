"""A client of the platform as an API user would write it."""

from __future__ import annotations

from typing import Any, Self

import httpx2

PASSWORD = "a long enough passphrase 42"


class Api:
    """Calls one server, with a bearer token once logged in by :meth:`login`."""

    def __init__(self, url: str) -> None:
        self.client = httpx2.Client(base_url=url, timeout=10, trust_env=False, verify=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def csrf(self) -> dict[str, str]:
        """The headers that the next unsafe cookie-borne request needs, the visit's cookie among them.

        Outside development the cookie is `Secure`, and the client would keep it from a server over plain http.
        """
        answer = self.client.get("/api/v1/auth/csrf")
        return {
            "X-CSRF-Token": answer.json()["csrf_token"],
            "Origin": str(self.client.base_url).rstrip("/"),
            "Cookie": answer.headers["Set-Cookie"].partition(";")[0],
        }

    def register(self, email: str, password: str = PASSWORD) -> httpx2.Response:
        return self.client.post(
            "/api/v1/auth/register", json={"email": email, "password": password}, headers=self.csrf()
        )

    def login(self, email: str, password: str = PASSWORD) -> dict[str, Any]:
        """Log in by token and use it from now on."""
        body = {"email": email, "password": password, "mode": "token"}
        answer = self.client.post("/api/v1/auth/login", json=body)
        answer.raise_for_status()
        pair: dict[str, Any] = answer.json()
        self.client.headers["Authorization"] = f"Bearer {pair['access_token']}"
        return pair
