"""Every route behaves as the OpenAPI document says, also when it is called as nobody should call it.

schemathesis reads the document and makes the calls: with what fits the schemas and what does not, with wrong methods,
without headers, and without what authenticates the caller.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from client import PASSWORD, Api
from platform_process import serving

EXPECTED = [400, 401, 403, 404, 405, 409, 412, 414, 415, 428, 429, 431, 503]
CONFIGURATION = """
[auth.openapi.bearer]
bearer = "{token}"

[checks.negative_data_rejection]
expected-statuses = {expected}
"""
ENDS_THE_SESSION = r"/auth/(logout|password|step-up|sessions)|/ofrep/v1/events"
"""Left out, because what follows would be refused: other tests end sessions and see that they have ended. The stream
does not end, and is read by tests of its own."""
STRICTER = "positive_data_acceptance"
"""Left out: keys, paths, cursors and addresses have grammars that JSON Schema does not tell."""

OF_A_USER = r"/(auth|account|api-keys|config|ofrep)\b"
"""What somebody without a role reaches; the short form calls the rest as the administrator alone."""


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("who", ["administrator", "user"])
def test_every_route_behaves_as_the_document_says(tmp_path: Path, who: str, soaking: bool) -> None:  # noqa: FBT001  # a fixture
    phases = "coverage,fuzzing" if soaking else "coverage"
    with serving({"TRADESENSE_IDENTITY__POLICY__ACCESS_TTL": "900"}) as server, Api(server.url) as api:
        if who == "user":
            api.register("someone@example.org")
        email, password = (
            ("someone@example.org", PASSWORD) if who == "user" else (server.admin_email, server.admin_password)
        )
        token = api.login(email, password)["access_token"]
        (tmp_path / "schemathesis.toml").write_text(CONFIGURATION.format(token=token, expected=EXPECTED))
        done = subprocess.run(
            [
                Path(sys.executable).with_name("schemathesis"),
                "run",
                f"{server.url}/schema/openapi.json",
                "--checks=all",
                f"--exclude-checks={STRICTER}",
                f"--phases={phases}",
                "--max-examples=4",
                "--generation-deterministic",
                "--continue-on-failure",
                "--no-color",
                f"--exclude-path-regex={ENDS_THE_SESSION}",
                *([f"--include-path-regex={OF_A_USER}"] if who == "user" and not soaking else []),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
        assert api.client.get("/api/v1/auth/session").status_code == 200, "it was called as somebody to the end"
