from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tradesense_mounted.secrets import MountedSecretStore

from tradesense.core.testing.secrets import SecretStoreContract


class TestMounted(SecretStoreContract):
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        folder = tmp_path / "mounted"
        folder.mkdir()
        return folder

    @pytest.fixture
    def seed(self, folder: Path) -> Mapping[str, str]:
        values = {"database/password": "p \n ü", "database/user": "app", "signing-key": "-----BEGIN"}
        for path, value in values.items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_text(value)
        return values

    @pytest.fixture
    def adapter(self, folder: Path) -> Callable[[], MountedSecretStore]:
        return lambda: MountedSecretStore(folder)

    @pytest.fixture
    def unreachable(self, tmp_path: Path) -> Callable[[], MountedSecretStore]:
        return lambda: MountedSecretStore(tmp_path / "absent")
