"""Keys for whoever tries the platform out: made at random once, kept beside the development database."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from tempfile import mkstemp

from tradesense.settings.layers import Layer, Value

KEYS = ("identity.csrf_key", "identity.jose.secret", "audit.key", "secrets.local.root_key")
"""The keys without which the platform does not start."""

FILE = "keys.toml"
KEY_BYTES = 32


def kept(folder: Path) -> Path:
    """The file with the keys in ``folder``, made if it is not there.

    It appears whole, readable by its owner alone. Of processes that start at once, one makes it and all read it.

    :raises OSError: the folder cannot be written.
    """
    file = folder / FILE
    if file.exists():
        return file
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = mkstemp(dir=folder, prefix=f".{FILE}-")  # mkstemp makes it with mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(_text())
            stream.flush()
            os.fsync(stream.fileno())
        with suppress(FileExistsError):  # another process was quicker; its keys are the ones that count
            os.link(name, file)
    finally:
        Path(name).unlink()
    return file


@lru_cache(maxsize=1)
def passing() -> Layer:
    """Keys that live as long as this process, for test runs."""
    layer = Layer("keys of this process", {})
    for key in KEYS:
        layer.put(key, Value(_key(), layer.origin, builtin=True))
    return layer


def _text() -> str:
    lines = ["# Made for development on this machine. Other environments bring their own keys."]
    for key in KEYS:
        section, _, name = key.rpartition(".")
        lines += ["", f"[{section}]", f'{name} = "{_key()}"']
    return "\n".join(lines) + "\n"


def _key() -> str:
    return secrets.token_urlsafe(KEY_BYTES)
