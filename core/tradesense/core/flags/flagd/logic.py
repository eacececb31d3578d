"""JsonLogic compiled to closures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from tradesense.core.flags.flagd.frame import Expression, Frame
from tradesense.core.flags.flagd.operators import OPERATORS, Operator
from tradesense.core.flags.flagd.values import truthy

MAX_DEPTH = 60
MAX_NODES = 2_000
MAX_PATH = 500
"""Characters of a path that is itself calculated."""
TWO, THREE = 2, 3

Compile = Callable[[Any, str], Expression]


class InvalidLogicError(Exception):
    """The expression is not JsonLogic; ``path`` says where."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message


class Compiler:
    """Compiles one expression.

    :param operators: beyond those of JsonLogic.
    :param variables: values of ``var`` that are no part of the context, by path.
    """

    def __init__(self, operators: Mapping[str, Operator], variables: Mapping[str, Callable[[], Any]]) -> None:
        self._operators = {**OPERATORS, **operators}
        self._variables = variables
        self._lazy: dict[str, Callable[[list[Any], str, int], Expression]] = {
            "var": self._var,
            "if": self._if,
            "?:": self._if,
            "and": self._and,
            "or": self._or,
            "map": self._map,
            "filter": self._filter,
            "reduce": self._reduce,
            "all": self._all,
            "none": self._none,
            "some": self._some,
            "missing": self._missing,
            "missing_some": self._missing_some,
        }
        self._nodes = 0

    def compile(self, node: Any, path: str, depth: int = 0) -> Expression:
        """The function that ``node`` stands for.

        :raises InvalidLogicError: it is none.
        """
        self._nodes += 1
        if depth > MAX_DEPTH:
            raise InvalidLogicError(path, f"it nests more than {MAX_DEPTH} deep")
        if self._nodes > MAX_NODES:
            raise InvalidLogicError(path, f"it has more than {MAX_NODES} parts")
        if isinstance(node, list):
            parts = self._all_of(list(cast("Sequence[Any]", node)), path, depth)
            return lambda frame: [part(frame) for part in parts]
        if isinstance(node, dict) and len(node) == 1:  # pyright: ignore[reportUnknownArgumentType]  # JSON is Any
            ((name, given),) = cast("dict[str, Any]", node).items()
            arguments = list(cast("Sequence[Any]", given)) if isinstance(given, list) else [given]
            return self._operation(name, arguments, f"{path}.{name}", depth + 1)
        value: Any = node  # pyright: ignore[reportUnknownVariableType]  # JSON is Any
        return lambda _: value

    def _operation(self, name: str, arguments: list[Any], path: str, depth: int) -> Expression:
        if (lazy := self._lazy.get(name)) is not None:
            return lazy(arguments, path, depth)
        if (operator := self._operators.get(name)) is None:
            raise InvalidLogicError(path, f"there is no operator {name[:80]!r}")
        parts = self._all_of(arguments, path, depth)
        return lambda frame: operator(frame, [part(frame) for part in parts])

    def _all_of(self, nodes: list[Any], path: str, depth: int) -> list[Expression]:
        return [self.compile(node, f"{path}[{at}]", depth + 1) for at, node in enumerate(nodes)]

    def _var(self, arguments: list[Any], path: str, depth: int) -> Expression:
        name = arguments[0] if arguments else ""
        fallback = self.compile(arguments[1] if len(arguments) > 1 else None, f"{path}[1]", depth)
        if isinstance(name, str) and (known := self._variables.get(name)) is not None:
            return lambda _: known()
        if isinstance(name, str) and name and "." not in name:

            def simple(frame: Frame) -> Any:
                data = frame.data
                found = cast("dict[str, Any]", data).get(name) if isinstance(data, dict) else lookup(data, name)
                return fallback(frame) if found is None else found

            return simple
        named = self.compile(name, f"{path}[0]", depth)

        def found(frame: Frame) -> Any:
            value = lookup(frame.data, named(frame))
            return fallback(frame) if value is None else value

        return found

    def _if(self, arguments: list[Any], path: str, depth: int) -> Expression:
        parts = self._all_of(arguments, path, depth)

        def chosen(frame: Frame) -> Any:
            for at in range(0, len(parts) - 1, 2):
                if truthy(parts[at](frame)):
                    return parts[at + 1](frame)
            return parts[-1](frame) if len(parts) % 2 else None

        return chosen

    def _and(self, arguments: list[Any], path: str, depth: int) -> Expression:
        return _until(self._all_of(arguments, path, depth), stop=False)

    def _or(self, arguments: list[Any], path: str, depth: int) -> Expression:
        return _until(self._all_of(arguments, path, depth), stop=True)

    def _body(self, node: Any, path: str, depth: int) -> tuple[Expression, int]:
        """What is done for each element, and how many steps that takes."""
        before = self._nodes
        body = self.compile(node, path, depth)
        return body, self._nodes - before

    def _each(self, arguments: list[Any], path: str, depth: int) -> Callable[[Frame], list[tuple[Any, Any]]]:
        """The elements of a list, each with what the second argument makes of it."""
        if len(arguments) < TWO:
            raise InvalidLogicError(path, "it takes a list and an expression")
        source = self.compile(arguments[0], f"{path}[0]", depth)
        body, steps = self._body(arguments[1], f"{path}[1]", depth)

        def each(frame: Frame) -> list[tuple[Any, Any]]:
            elements = source(frame)
            if not isinstance(elements, list):
                return []
            values = cast("Sequence[Any]", elements)
            outer = frame.data
            made: list[tuple[Any, Any]] = []
            for value in values:
                frame.spend(steps)
                frame.data = value
                made.append((value, body(frame)))
            frame.data = outer
            return made

        return each

    def _map(self, arguments: list[Any], path: str, depth: int) -> Expression:
        each = self._each(arguments, path, depth)
        return lambda frame: [made for _, made in each(frame)]

    def _filter(self, arguments: list[Any], path: str, depth: int) -> Expression:
        each = self._each(arguments, path, depth)
        return lambda frame: [value for value, made in each(frame) if truthy(made)]

    def _all(self, arguments: list[Any], path: str, depth: int) -> Expression:
        each = self._each(arguments, path, depth)
        return lambda frame: bool(made := each(frame)) and all(truthy(one) for _, one in made)

    def _none(self, arguments: list[Any], path: str, depth: int) -> Expression:
        each = self._each(arguments, path, depth)
        return lambda frame: not any(truthy(made) for _, made in each(frame))

    def _some(self, arguments: list[Any], path: str, depth: int) -> Expression:
        each = self._each(arguments, path, depth)
        return lambda frame: any(truthy(made) for _, made in each(frame))

    def _reduce(self, arguments: list[Any], path: str, depth: int) -> Expression:
        if len(arguments) != THREE:
            raise InvalidLogicError(path, "it takes a list, an expression and a first value")
        source, first = self.compile(arguments[0], f"{path}[0]", depth), self.compile(arguments[2], f"{path}[2]", depth)
        body, steps = self._body(arguments[1], f"{path}[1]", depth)

        def reduced(frame: Frame) -> Any:
            elements, value = source(frame), first(frame)
            if not isinstance(elements, list):
                return value
            outer = frame.data
            for element in cast("Sequence[Any]", elements):
                frame.spend(steps)
                frame.data = {"current": element, "accumulator": value}
                value = body(frame)
            frame.data = outer
            return value

        return reduced

    def _missing(self, arguments: list[Any], path: str, depth: int) -> Expression:
        names = self._all_of(arguments, path, depth)
        return lambda frame: _absent(frame, [name(frame) for name in names])

    def _missing_some(self, arguments: list[Any], path: str, depth: int) -> Expression:
        if len(arguments) != TWO:
            raise InvalidLogicError(path, "it takes a number and a list of names")
        least, names = self._all_of(arguments, path, depth)

        def missing(frame: Frame) -> list[Any]:
            wanted, listed = least(frame), names(frame)
            absent = _absent(frame, [listed])
            count = len(cast("Sequence[Any]", listed)) if isinstance(listed, list) else 1
            enough = isinstance(wanted, int) and count - len(absent) >= wanted
            return [] if enough else absent

        return missing


def _until(parts: list[Expression], *, stop: bool) -> Expression:
    """The first value that is as true as ``stop``, else the last."""

    def found(frame: Frame) -> Any:
        value: Any = None
        for part in parts:
            value = part(frame)
            if truthy(value) is stop:
                return value
        return value

    return found


def _absent(frame: Frame, names: list[Any]) -> list[Any]:
    flat = list(cast("Sequence[Any]", names[0])) if names and isinstance(names[0], list) else names
    frame.spend(len(flat))
    return [name for name in flat if lookup(frame.data, name) in (None, "")]


def lookup(data: Any, name: Any) -> Any:
    """What ``var`` finds: all of the data, a key, a position, or a path of them with dots between."""
    if name is None or name == "":
        return data
    if isinstance(name, bool) or not isinstance(name, str | int) or (isinstance(name, str) and len(name) > MAX_PATH):
        return None
    value = data
    for part in str(name).split(".") if isinstance(name, str) else [str(name)[:20]]:
        if isinstance(value, dict):
            value = cast("dict[str, Any]", value).get(part)
        elif isinstance(value, list | str) and part.isdecimal() and len(part) < 10:  # noqa: PLR2004  # no list is longer
            elements = cast("Sequence[Any]", value)
            value = elements[int(part)] if int(part) < len(elements) else None
        else:
            return None
    return value
