"""flagd's JSON document, in and out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, cast

import msgspec

from tradesense.core.errors import InvalidFlag
from tradesense.core.flags.faults import Faults
from tradesense.core.flags.flagd.export import targeting_of
from tradesense.core.flags.models import SECOND, Flag, FlagValue, Metadata

SCHEMA = "https://flagd.dev/schema/v0/flags.json"
MAX_REFERENCES = 20
"""How deep evaluators may refer to each other."""


class FlagdFlag(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A definition in the document."""

    state: Literal["ENABLED", "DISABLED"]
    variants: dict[str, FlagValue]
    default_variant: str | None = None
    targeting: dict[str, Any] = {}
    metadata: Metadata = {}


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A flag set."""

    flags: dict[str, FlagdFlag]
    evaluators: dict[str, Any] = msgspec.field(default_factory=dict[str, Any], name="$evaluators")
    metadata: Metadata = {}


def read(text: bytes | str, *, generation: Literal[1, 2] = SECOND) -> tuple[Flag, ...]:
    """The flags of a document. References to evaluators are replaced by them; an unknown one stays, and is a fault.

    :param generation: of ``fractional``.
    :raises InvalidFlag: it is no such document; the message names the path.
    """
    try:
        document = msgspec.json.decode(text, type=Document)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidFlag(f"it is no flagd document: {error}") from error
    return tuple(_flag(key, flag, document, generation) for key, flag in document.flags.items())


def _flag(key: str, flag: FlagdFlag, document: Document, generation: Literal[1, 2]) -> Flag:
    return Flag(
        key=key,
        variants=flag.variants,
        default_variant=flag.default_variant,
        enabled=flag.state == "ENABLED",
        targeting=_resolved(flag.targeting, document.evaluators, 0) or None,
        metadata={**document.metadata, **flag.metadata},
        generation=generation,
    )


def _resolved(node: Any, evaluators: Mapping[str, Any], depth: int) -> Any:
    """The expression with its references replaced; ``depth`` counts references, as they may form a cycle."""
    if isinstance(node, list):
        return [_resolved(one, evaluators, depth) for one in cast("Sequence[Any]", node)]
    if not isinstance(node, dict):
        return node
    logic = cast("dict[str, Any]", node)
    name = logic.get("$ref")
    if len(logic) == 1 and isinstance(name, str) and name in evaluators and depth < MAX_REFERENCES:
        return _resolved(evaluators[name], evaluators, depth + 1)
    return {key: _resolved(value, evaluators, depth) for key, value in logic.items()}


def write(flags: Iterable[Flag]) -> bytes:
    """The document of ``flags``, as JSON. Rules become JsonLogic that serves everybody the same variant as they do.

    :raises InvalidFlag: a flag says what the dialect cannot; the message names each path.
    """
    faults = Faults()
    found = {flag.key: _exported(flag, faults) for flag in flags if not flag.archived}
    faults.check()
    return msgspec.json.format(msgspec.json.encode({"$schema": SCHEMA, "flags": found}), indent=2)


def _exported(flag: Flag, faults: Faults) -> FlagdFlag:
    return FlagdFlag(
        state="ENABLED" if flag.enabled else "DISABLED",
        variants=flag.variants,
        default_variant=flag.default_variant,
        targeting=flag.targeting or targeting_of(flag, faults) or {},
        metadata=flag.metadata,
    )
