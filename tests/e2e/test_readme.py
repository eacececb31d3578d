"""The README's lines work as they are printed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from platform_process import serving

README = Path(__file__).parents[2] / "README.md"
START = "URL=http://127.0.0.1:8000"


def test_the_curl_lines_work_as_printed(tmp_path):
    block = next(b for b in re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL) if START in b)
    with serving({}) as server:
        values = f"URL={server.url} ADMIN={server.admin_email} PASSWORD={server.admin_password}"
        script = "\n".join(values if line.startswith(START) else line for line in block.splitlines())
        done = subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", script.replace("curl -s", "curl -sS --fail-with-body -w '\\n'")],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    said = done.stdout
    assert done.returncode in {0, 23, 141}, said + done.stderr  # `head` may close the pipe before curl has written all
    assert '"status":"accepted"' in said
    assert '"status":"authenticated"' in said
    assert '"email":"ada@example.org"' in said
    assert '"value":"s3cret"' in said
    assert '"reason":"SPLIT"' in said or '"reason":"DEFAULT"' in said
    assert "# HELP" in said
