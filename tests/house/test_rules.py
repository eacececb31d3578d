"""Rules that no linter knows: guards fail closed, secrets are compared in constant time, files stay small."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FLOORS = ("core", "adapters", "plugins", "entrypoints", "settings")
GUARDED = re.compile(
    r"^_?(identity|auth|secrets|audit|limits?|limiter|permissions?|access|guards?|sessions?|mfa|oauth|users|csrf"
    r"|tokens?|passwords?)$"
)
"""Names of modules and packages where a swallowed error would let somebody in (ASVS 16.5.3)."""
SECRET = re.compile(
    r"^(?:.*_)?(?:token|secret|signature|digest|mac|hmac|password|otp|ticket|csrf)$"
    r"|^(?:(?:backup|recovery|one_time|totp|sms|email|user|verification)_)?code$"
)
BROAD = {"Exception", "BaseException"}
SQL = {"where", "filter", "having", "and_", "or_", "not_", "join", "outerjoin", "on", "exists", "case", "returning"}
"""Calls inside which `==` makes SQL and compares nothing."""
MOST_LINES = 300
MOST_LINES_OF_TESTS = 400
"""Of tests and of the suites that ship: cases stand one below the other, and are not read from top to bottom."""
MAY_BE_LONG = {"core/tradesense/core/errors.py", "core/tradesense/core/secrets/ports.py"}
"""All errors stand in one tree, and all that a secrets provider may declare in one file: they are read as a whole to
choose from."""


def _sources() -> list[Path]:
    return sorted(
        path
        for floor in FLOORS
        for path in (ROOT / floor).rglob("*.py")
        if not {"templates", "testing"} & set(path.parts)
    )


def broad_excepts(tree: ast.AST) -> Iterator[int]:
    """Lines of handlers that take any error and do not raise it again, and of `suppress(Exception)`."""
    for node in ast.walk(tree):
        if (isinstance(node, ast.ExceptHandler) and _names(node.type) & BROAD and not _ends_raising(node.body)) or (
            isinstance(node, ast.Call)
            and _name(node.func) == "suppress"
            and any(_name(argument) in BROAD for argument in node.args)
        ):
            yield node.lineno


def _names(expression: ast.expr | None) -> set[str]:
    if expression is None:
        return BROAD
    return {_name(each) for each in (expression.elts if isinstance(expression, ast.Tuple) else [expression])}


def _ends_raising(body: list[ast.stmt]) -> bool:
    return isinstance(body[-1], ast.Raise)


def _name(expression: ast.expr) -> str:
    """The last identifier of a name, an attribute or a call."""
    if isinstance(expression, ast.Call):
        return _name(expression.func)
    if isinstance(expression, ast.Attribute):
        # `token.reveal()`, `digest.hexdigest()`: what is compared is what it is called on
        if expression.attr in {"reveal", "text", "hexdigest", "encode", "decode", "strip"}:
            return _name(expression.value)
        return expression.attr
    return expression.id if isinstance(expression, ast.Name) else ""


def open_comparisons(tree: ast.AST) -> Iterator[int]:
    """Lines where `==` or `!=` compares something named as a secret with something that is no literal."""
    in_sql = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and _name(node.func) in SQL
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare) or id(node) in in_sql:
            continue
        sides = [node.left, *node.comparators]
        if (
            any(isinstance(operator, ast.Eq | ast.NotEq) for operator in node.ops)
            and any(SECRET.match(_name(side)) for side in sides)
            and not any(isinstance(side, ast.Constant) or _makes_sql(side) for side in sides)
        ):
            yield node.lineno


def _makes_sql(side: ast.expr) -> bool:
    """A column, as `leases.c.token`, or a parameter of a statement."""
    column = isinstance(side, ast.Attribute) and isinstance(side.value, ast.Attribute) and side.value.attr == "c"
    return column or _name(side) == "bindparam"


def _found(rule: object, paths: list[Path]) -> list[str]:
    assert callable(rule)
    return [f"{path.relative_to(ROOT)}:{line}" for path in paths for line in rule(ast.parse(path.read_text()))]


def test_guards_have_no_broad_except() -> None:
    guarded = [path for path in _sources() if any(GUARDED.match(part.removesuffix(".py")) for part in path.parts[-3:])]
    assert len(guarded) > 10
    assert not (found := _found(broad_excepts, guarded)), "catch what can happen: " + ", ".join(found)


def test_secrets_are_compared_in_constant_time() -> None:
    assert not (found := _found(open_comparisons, _sources())), "use hmac.compare_digest: " + ", ".join(found)


def test_files_have_one_subject() -> None:
    suites = [path for path in (ROOT / "core").rglob("*.py") if "testing" in path.parts]
    tests = [*suites, *(ROOT / "tests").rglob("*.py")]
    bounds = {**dict.fromkeys(tests, MOST_LINES_OF_TESTS), **dict.fromkeys(_sources(), MOST_LINES)}
    long = [
        f"{path.relative_to(ROOT)} has {lines} lines, {most} at most"
        for path, most in sorted(bounds.items())
        if str(path.relative_to(ROOT)) not in MAY_BE_LONG and (lines := len(path.read_text().splitlines())) > most
    ]
    assert not long, "\n".join(long)


def test_what_may_be_long_is_long() -> None:
    assert all(len((ROOT / path).read_text().splitlines()) > MOST_LINES for path in MAY_BE_LONG)


@pytest.mark.parametrize("path", ["adapters/redis/_limiter.py", "core/cache/limits.py", "entrypoints/http/access.py"])
def test_what_lets_in_or_keeps_out_is_guarded(path: str) -> None:
    assert any(GUARDED.match(part.removesuffix(".py")) for part in Path(path).parts)


def test_nothing_is_left_to_be_written() -> None:
    pattern = re.compile(r"\b(NotImplementedError|TODO|FIXME|XXX|HACK)\b|\bimport pickle\b")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in _sources()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found, ", ".join(found)


def test_every_ignore_says_why() -> None:
    pattern = re.compile(r"#\s*(noqa|type: ignore|pyright: ignore)")
    reasoned = re.compile(r"#\s*(?:noqa: [A-Z0-9, ]+|(?:type|pyright): ignore\[[^\]]+\])\s+# \S")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in _sources()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if pattern.search(line) and not reasoned.search(line)
    ]
    assert not found, "say the rule and, after it, the reason: " + ", ".join(found)


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("try:\n    f()\nexcept:\n    pass", [3]),
        ("try:\n    f()\nexcept Exception as error:\n    log(error)", [3]),
        ("try:\n    f()\nexcept (ValueError, BaseException):\n    x = 1", [3]),
        ("with contextlib.suppress(Exception):\n    f()", [1]),
        ("try:\n    f()\nexcept Exception:\n    undo()\n    raise", []),
        ("try:\n    f()\nexcept ValueError:\n    pass", []),
    ],
)
def test_the_rule_on_broad_excepts_catches_them(source: str, lines: list[int]) -> None:
    assert list(broad_excepts(ast.parse(source))) == lines


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("token == given", [1]),
        ("given != self.csrf_token", [1]),
        ("digest(a) == stored", [1]),
        ("backup_code.reveal() == typed", [1]),
        ("code == typed", [1]),
        ("secret.text() != other", [1]),
        ("error.code == 'not-found'", []),
        ("status_code == wanted", []),
        ("token == ''", []),
        ("token is None", []),
        ("select(t).where(t.c.digest == digest)", []),
        ("OURS = (t.c.token == bindparam('fence'),)", []),
        ("hmac.compare_digest(token, given)", []),
    ],
)
def test_the_rule_on_comparisons_catches_them(source: str, lines: list[int]) -> None:
    assert list(open_comparisons(ast.parse(source))) == lines
