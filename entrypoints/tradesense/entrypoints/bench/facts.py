"""What has to be known of a run to judge its numbers."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("tradesense", "msgspec", "redis", "hiredis", "cryptography", "SQLAlchemy")
UNIT = 2**30


def machine() -> dict[str, str]:
    """The machine and the versions of what runs on it."""
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores{_memory()}",
        "load at the start": f"{os.getloadavg()[0]:.1f}",
        "system": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": ", ".join(f"{name} {found}" for name in PACKAGES if (found := _version(name))),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _memory() -> str:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):  # a system that does not say
        return ""
    return f", {size / UNIT:.1f} GiB"
