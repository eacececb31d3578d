"""Our own distribution, built once a run, and clean environments to install it in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from servers import once, run_folder

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
SECONDS = 300


class CommandFailed(Exception):
    """A command of the build ended with another code than 0; the message holds what it said."""


def command(*words: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None) -> str:
    """What the command writes to its standard output.

    :raises CommandFailed: it failed.
    """
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, env=env, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    if done.returncode:
        told = f"{done.stdout[-8_000:]}\n{done.stderr[-8_000:]}"
        raise CommandFailed(f"{' '.join(str(word) for word in words)} ended with {done.returncode}:\n{told}")
    return done.stdout


def uv(*words: str | Path, cwd: Path = ROOT) -> str:
    return command(Path(sys.executable).with_name("uv"), *words, cwd=cwd)


def build(source: Path, target: Path) -> Path:
    """The wheel of the project in `source`, made from its source distribution, as publishing makes it."""
    uv("build", "--quiet", "--no-build-isolation", "--python", sys.executable, "--out-dir", target, source)
    (wheel,) = target.glob("*.whl")
    return wheel


def wheel() -> Path:
    """Our wheel. The source distribution lies beside it."""
    return Path(once("wheel", lambda: str(build(ROOT, run_folder() / "dist"))))


@dataclass(frozen=True)
class CleanEnvironment:
    """A virtual environment that shares nothing with the one that the tests run in."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def install(self, *words: str | Path) -> None:
        """Install with the pins of the lock."""
        uv("pip", "install", "--quiet", "--python", self.python, "-c", LOCK, *words)

    def installed(self) -> set[str]:
        """The names of all distributions in it."""
        listed = json.loads(uv("pip", "list", "--python", self.python, "--format", "json"))
        return {entry["name"] for entry in listed}

    def run(self, *words: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
        """Run one of its commands, in a bare process environment, from a folder that is not ours."""
        bare = {"PATH": f"{self.folder / 'bin'}:/usr/bin:/bin", "HOME": str(self.folder), **(env or {})}
        return command(self.folder / "bin" / words[0], *words[1:], cwd=cwd or self.folder, env=bare)


def clean_environment(folder: Path) -> CleanEnvironment:
    uv("venv", "--quiet", "--python", os.path.realpath(sys.executable), folder)
    return CleanEnvironment(folder)
