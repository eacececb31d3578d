"""Secrets are compared in constant time, or looked up by their hash: no `==` on what is named like one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FLOORS = ("core", "adapters", "plugins", "entrypoints", "settings")
SECRETS = {"token", "secret", "signature", "digest", "mac", "password", "csrf", "nonce", "otp", "pin"}


def compared(source: str) -> Iterator[str]:
    """Comparisons by `==` or `!=` with something that is named like a secret.

    Constants in capitals are none, the hash of a secret is for looking it up, and a column that is compared is a
    condition which the database evaluates.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare) and any(isinstance(one, ast.Eq | ast.NotEq) for one in node.ops):
            for part in (node.left, *node.comparators):
                name = part.id if isinstance(part, ast.Name) else part.attr if isinstance(part, ast.Attribute) else ""
                words = set(name.strip("_").split("_"))
                if words & SECRETS and "hash" not in words and not _is_column(part):
                    yield ast.unparse(node)


def _is_column(part: ast.expr) -> bool:
    return isinstance(part, ast.Attribute) and isinstance(part.value, ast.Attribute) and part.value.attr == "c"


def test_R54_no_secret_is_compared_by_its_first_difference() -> None:
    found = {
        f"{file.relative_to(ROOT)}: {comparison}"
        for floor in FLOORS
        for file in (ROOT / floor).rglob("*.py")
        if "testing" not in file.parts
        for comparison in compared(file.read_text())
    }
    assert not found


@pytest.mark.parametrize("wrong", ["given == token", "self._csrf_token != sent", "digest == hashed(body)"])
def test_R54_the_rule_finds_what_it_forbids(wrong: str) -> None:
    assert list(compared(f"x = {wrong}"))
