"""Writes the reference parts of these pages from the source: `python docs/generate.py`, or `--check` in the build.

A page marks a part with `<!-- generated: KIND ARGUMENT -->` and `<!-- end -->`. What stands between is replaced.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args, get_origin

import contracts  # beside this script
import msgspec

from tradesense.core.capabilities import Capability
from tradesense.core.errors import every_error
from tradesense.plugins import hookspecs
from tradesense.plugins.manager import load
from tradesense.settings import schema

DOCS = Path(__file__).parent
_PART = re.compile(r"(<!-- generated: (\w+) ?([\w.]*) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
_ROLE = re.compile(r":\w+:`~?(?:tradesense\.[\w.]*\.)?([^`]+)`")


def ports(room: str) -> str:
    """Every port of a room with its methods."""
    name = f"tradesense.core.{room}" if room in {"ambient", "transactions"} else f"tradesense.core.{room}.ports"
    modules = {name, f"tradesense.core.{room}.repositories"}
    parts: list[str] = []
    for port in vars(importlib.import_module(name)).values():
        if inspect.isclass(port) and port.__module__ in modules and getattr(port, "_is_protocol", False):
            parts.append(f"#### `{port.__name__}`\n\n{_prose(port.__doc__)}\n")
            parts.extend(_methods(port))
            parts.append("")
    return "\n".join(parts)


def _methods(port: type[Any]) -> Iterator[str]:
    for name, member in vars(port).items():
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            yield f"- `{name}`: {_first(member.__doc__)}"
        elif inspect.isfunction(member):
            kind = "await " if inspect.iscoroutinefunction(member) else ""
            arguments = ", ".join(
                parameter for parameter in inspect.signature(member).parameters if parameter != "self"
            )
            yield f"- `{kind}{name}({arguments})`: {_prose(member.__doc__, flat=True)}"
    for name in port.__annotations__ if "__annotations__" in vars(port) else ():
        yield f"- `{name}`"


def adapters(room: str) -> str:
    """Every adapter of a room that comes with the platform."""
    rows = ["| port | name | what it is | settings | capabilities | stability |", "|---|---|---|---|---|---|"]
    for offer in load().registry.offers():
        adapter = offer.adapter
        if adapter.room == room and offer.distribution == "tradesense":
            can = ", ".join(sorted(adapter.capabilities)) or "none"
            section = f"`[{adapter.settings_section}]`" if msgspec.structs.fields(adapter.settings) else "none"
            port = adapter.port.__name__
            rows.append(
                f"| `{port}` | `{adapter.name}` | {adapter.summary} | {section} | {can} | {adapter.stability} |"
            )
    return "\n".join(rows) + "\n"


def settings(section: str) -> str:
    """Every setting of one section of the schema, or of an adapter's."""
    if section == "adapters":
        return _adapters_settings()
    kinds = {"": schema.Settings} | {field.name: field.type for field in msgspec.structs.fields(schema.Settings)}
    return _table(kinds[section], section)


def _adapters_settings() -> str:
    """The sections of all adapters; where several share one, every setting of any of them, once."""
    rows: dict[str, list[str]] = {}
    for offer in load().registry.offers():
        if offer.distribution == "tradesense":
            section = offer.adapter.settings_section
            known = rows.setdefault(section, [])
            known.extend(row for row in _table(offer.adapter.settings, section).splitlines() if row not in known)
    tables = {name: "\n".join(table) for name, table in sorted(rows.items()) if len(table) > len(HEAD)}
    return "\n".join(f"#### `[{name}]`\n\n{table}\n" for name, table in tables.items())


HEAD = ("| setting | type | default | meaning |", "|---|---|---|---|")


def _table(kind: type[msgspec.Struct], section: str) -> str:
    rows = [*HEAD]
    meanings = _attribute_docs(kind)
    for field in msgspec.structs.fields(kind):
        key = f"{section}.{field.name}" if section else field.name
        if inspect.isclass(field.type) and issubclass(field.type, msgspec.Struct):
            if section:
                rows.extend(_table(field.type, key).splitlines()[2:])
            continue
        if (entry := _entry(field.type)) is not None:
            rows.append(f"| `{key}` | a table of tables | empty | {meanings.get(field.name, '')} |")
            rows.extend(_table(entry, f"{key}.NAME").splitlines()[2:])
            continue
        default = "" if field.default is msgspec.NODEFAULT else _literal(field.default)
        if field.default_factory is not msgspec.NODEFAULT:
            default = _literal(field.default_factory())
        rows.append(f"| `{key}` | {_type(field.type)} | {default} | {meanings.get(field.name, '')} |")
    return "\n".join(rows) + "\n"


def _entry(kind: Any) -> type[msgspec.Struct] | None:
    """The Struct that every entry of a table of tables is."""
    inner = get_args(kind)[1] if get_origin(kind) is dict else None
    return inner if inspect.isclass(inner) and issubclass(inner, msgspec.Struct) else None


def _literal(value: Any) -> str:
    text = "none" if str(value) == "**********" else str(value)
    return f"`{text}`" if text else "empty"


def _type(kind: Any) -> str:
    text = re.sub(
        r"typing\.|msgspec\.|Annotated\[(\w+),.*\]",
        r"\1",
        str(getattr(kind, "__name__", kind) if inspect.isclass(kind) else kind),
    )
    return "`" + text.replace("|", "or").replace("tradesense.core.sensitive.", "") + "`"


def _attribute_docs(kind: type[msgspec.Struct]) -> dict[str, str]:
    """The string literals under a class's fields, which Python itself forgets."""
    tree = ast.parse(inspect.getsource(kind).lstrip())
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    found: dict[str, str] = {}
    for statement, following in pairwise(body):
        is_field = isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
        if is_field and isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            found[statement.target.id] = _prose(str(following.value.value), flat=True).replace("|", "\\|")
    return found


def errors(_: str) -> str:
    """Every error with its code."""
    rows = ["| error | code | meaning |", "|---|---|---|"]
    rows.extend(
        f"| `{error.__name__}` | `{error.code}` | {_prose(error.__doc__, flat=True)} |" for error in every_error()
    )
    return "\n".join(rows) + "\n"


def hooks(_: str) -> str:
    """Every hook."""
    found = [f for f in vars(hookspecs).values() if inspect.isfunction(f) and f.__name__.startswith("tradesense_")]
    return "\n".join(f"- `{hook.__name__}{inspect.signature(hook)}`: {_first(hook.__doc__)}" for hook in found) + "\n"


def capabilities(_: str) -> str:
    """Every capability."""
    tree = ast.parse(inspect.getsource(Capability))
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    rows = ["| capability | meaning |", "|---|---|"]
    for statement, following in pairwise(body):
        if (
            isinstance(statement, ast.Assign)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
        ):
            name = ast.literal_eval(statement.value)
            rows.append(f"| `{name}` | {_prose(str(following.value.value), flat=True)} |")
    return "\n".join(rows) + "\n"


KINDS: dict[str, Callable[[str], str]] = {
    "ports": ports,
    "adapters": adapters,
    "settings": settings,
    "errors": errors,
    "hooks": hooks,
    "capabilities": capabilities,
    "contracts": contracts.tables,
}


def _first(text: str | None) -> str:
    return _prose((text or "").split("\n\n")[0], flat=True)


def _prose(text: str | None, *, flat: bool = False) -> str:
    """A docstring as Markdown: roles to code, double back-ticks to single ones, field lists to sentences."""
    clean = _ROLE.sub(r"`\1`", inspect.cleandoc(text or "")).replace("``", "`")
    clean = re.sub(r":raises (\w+):", r"Raises `\1`:", clean)
    clean = re.sub(r":param (\w+):", r"`\1`:", clean)
    return " ".join(clean.split()) if flat else clean


def rendered(page: str) -> str:
    """The page with every part made anew."""

    def part(match: re.Match[str]) -> str:
        head, kind, argument, _, tail = match.groups()
        return f"{head}{KINDS[kind](argument).rstrip()}\n{tail}"

    return _PART.sub(part, page)


def main() -> int:
    """Write the pages, or with ``--check`` only say which are out of date."""
    stale: list[str] = []
    for path in sorted(DOCS.glob("*.md")):
        old = path.read_text(encoding="utf-8")
        if (new := rendered(old)) != old:
            stale.append(path.name)
            if "--check" not in sys.argv:
                path.write_text(new, encoding="utf-8")
    if stale and "--check" in sys.argv:
        sys.stderr.write(f"out of date: {', '.join(stale)}; run `python docs/generate.py`\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
