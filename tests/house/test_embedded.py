"""The platform starts alone: every port has an adapter that needs no server (docs/decisions/0005)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tradesense.plugins.manager import load
from tradesense.settings.schema import Settings
from tradesense.settings.sections import CHOICES

ROOT = Path(__file__).parents[2]
OF_SERVERS = {"aws", "aws_kms", "aws_ssm", "azure", "gcp", "otel", "redis", "taskiq", "vault", "vault_v1"}
"""Adapters that speak to a server; `sql` does not have to, as SQLite is a file."""
NOTHING = {"memory", "null"}
REAL = {
    "Aead": "local",
    "BucketHash": "mmh3",
    "Clock": "system",
    "Compressor": "zlib",
    "Ids": "system",
    "KeyEncryption": "local",
    "PasswordHasher": "argon2",
    "Patterns": "re2",
    "Random": "system",
    "Rotator": "password",
    "TokenSigner": "jose",
}
"""The ports whose adapter for tests would be a hole in production code, and the real one that is embedded."""
OFFERS = [offer for offer in load().registry.offers() if offer.distribution == "tradesense"]
PORTS = sorted({offer.adapter.port for offer in OFFERS} | set(CHOICES.values()), key=lambda port: port.__name__)


def _names(port: type) -> set[str]:
    return {offer.adapter.name for offer in OFFERS if offer.adapter.port is port}


@pytest.mark.parametrize("port", PORTS, ids=lambda port: port.__name__)
def test_a_port_has_an_adapter_that_needs_no_server(port: type) -> None:
    assert _names(port) - OF_SERVERS


@pytest.mark.parametrize("port", PORTS, ids=lambda port: port.__name__)
def test_a_port_has_an_adapter_that_keeps_nothing_or_a_real_one_alone(port: type) -> None:
    if port.__name__ in REAL:
        assert not _names(port) & NOTHING
        assert REAL[port.__name__] in _names(port)
    else:
        assert _names(port) & NOTHING


def test_the_decision_names_each_port_with_a_real_adapter_alone() -> None:
    (decision,) = (ROOT / "docs/decisions").glob("0005-*.md")
    text = decision.read_text()
    assert all(f"`{port}`" in text and f"`{name}`" in text for port, name in REAL.items())


@pytest.mark.parametrize("key", [key for key, port in CHOICES.items() if port.__name__ in REAL])
def test_the_real_one_is_what_nobody_has_to_choose(key: str) -> None:
    room, _, name = key.partition(".")
    assert getattr(getattr(Settings(), room), name) == REAL[CHOICES[key].__name__]
