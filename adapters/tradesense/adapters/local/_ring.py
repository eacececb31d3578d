"""Keys that were made by rotating: a file, whose keys are wrapped with the root key from the settings."""

from __future__ import annotations

import base64
import fcntl
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from tempfile import mkstemp

import msgspec

from tradesense.core.errors import ConfigurationError, DecryptionFailed, SecretStoreUnavailable

ORIGIN = "secrets.local.ring_file"
FORMAT = 1
OTHERS = 0o077


class RingKey(msgspec.Struct, frozen=True, kw_only=True):
    """One key of the file."""

    id: str
    created_at: datetime
    wrapped: str
    """The key under the root key, in base64."""


class Ring(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in the file."""

    format: int = FORMAT
    keys: tuple[RingKey, ...] = ()
    """Oldest first. The last one is current."""
    retired: tuple[str, ...] = ()
    """Keys that unwrap no more, be they of this file or of the settings."""


Stamp = tuple[int, int, int]


class RingFile:
    """The file at ``path``. It is replaced as a whole, by one process at a time, and readable by its owner alone."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def stamp(self) -> Stamp | None:
        """What changes with the file; ``None`` while there is none."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unavailable(error) from error
        return found.st_mtime_ns, found.st_ino, found.st_size

    def read(self) -> Ring:
        """The ring; an empty one while there is no file.

        :raises ConfigurationError: others may read the file, or it is none of ours.
        :raises SecretStoreUnavailable: it cannot be read now.
        """
        try:
            with self._path.open("rb") as file:
                if os.fstat(file.fileno()).st_mode & OTHERS:
                    raise ConfigurationError(
                        f"{self._path} can be read by others", origin=ORIGIN, mend=f"chmod 600 {self._path}"
                    )
                data = file.read()
        except FileNotFoundError:
            return Ring()
        except OSError as error:
            raise self._unavailable(error) from error
        try:
            ring = msgspec.json.decode(data, type=Ring)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{self._path} is no key ring", origin=ORIGIN, mend="restore it") from error
        if ring.format != FORMAT:
            raise ConfigurationError(
                f"{self._path} has the format {ring.format}, this release reads {FORMAT}", mend="upgrade TradeSense"
            )
        return ring

    def change(self, change: Callable[[Ring], Ring]) -> Ring:
        """Replace the ring by what ``change`` makes of it.

        :raises SecretStoreUnavailable: the file cannot be written.
        """
        try:
            with self._turn():
                ring = change(self.read())
                self._replace(msgspec.json.format(msgspec.json.encode(ring), indent=2))
        except OSError as error:
            raise self._unavailable(error) from error
        return ring

    @contextmanager
    def _turn(self) -> Generator[None]:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self._path.with_name(f"{self._path.name}.lock"), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _replace(self, data: bytes) -> None:
        handle, name = mkstemp(dir=self._path.parent, prefix=f".{self._path.name}-")  # with mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data + b"\n")
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._path)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _unavailable(self, error: OSError) -> SecretStoreUnavailable:
        return SecretStoreUnavailable(
            f"the key ring {self._path} cannot be used: {type(error).__name__}", origin=ORIGIN, mend="see its rights"
        )


def opened(ring: Ring, unwrap: Callable[[str, bytes], bytes]) -> dict[str, bytes]:
    """The keys of the ring by their ids.

    :raises ConfigurationError: the root key is not the one that the file was written with.
    """
    try:
        return {key.id: unwrap(key.id, base64.b64decode(key.wrapped)) for key in ring.keys}
    except (DecryptionFailed, ValueError) as error:
        raise ConfigurationError(
            "the key ring was written with another root key, or was changed",
            origin=ORIGIN,
            mend="restore the root key and the file that belong together",
        ) from error
