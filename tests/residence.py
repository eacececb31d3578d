"""How much memory a served platform holds, all of its processes together."""

from __future__ import annotations

import subprocess
from pathlib import Path

KIB, MIB = 1024, 1 << 20


def children(pid: int) -> list[int]:
    """The process and all that descend from it."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = [tuple(map(int, line.split())) for line in listed.splitlines()]
    family = [pid]
    for one in family:
        family += [child for child, parent in parents if parent == one]
    return family


def resident(pid: int) -> int:
    """Bytes of memory that the process and its descendants hold for themselves: what they share counts once each."""
    return sum(map(_of, children(pid)))


def _of(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:  # it has ended meanwhile
        return 0
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(found[0]) * KIB if found else 0
