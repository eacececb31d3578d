"""What a flag is: variants, and rules that choose between them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

import msgspec

FlagValue = bool | int | float | str | dict[str, Any] | list[Any] | None
Context = dict[str, Any]
"""What is known of whom the flag is evaluated for; ``targetingKey`` identifies them."""
Metadata = dict[str, bool | int | float | str]

SUBJECT = "targetingKey"
FIRST: Literal[1] = 1
SECOND: Literal[2] = 2
"""The generations of bucketing; see :mod:`.buckets`."""


class Reason(StrEnum):
    """Why this value (OpenFeature specification, resolution details)."""

    STATIC = "STATIC"
    """No rule could have changed it."""
    TARGETING_MATCH = "TARGETING_MATCH"
    SPLIT = "SPLIT"
    """A percentage roll-out decided."""
    DEFAULT = "DEFAULT"
    """There are rules, and none matched."""
    DISABLED = "DISABLED"
    ERROR = "ERROR"


class ErrorCode(StrEnum):
    """What went wrong (OpenFeature specification, error codes; OFREP's ``errorCode``)."""

    FLAG_NOT_FOUND = "FLAG_NOT_FOUND"
    PARSE_ERROR = "PARSE_ERROR"
    TYPE_MISMATCH = "TYPE_MISMATCH"
    TARGETING_KEY_MISSING = "TARGETING_KEY_MISSING"
    INVALID_CONTEXT = "INVALID_CONTEXT"
    GENERAL = "GENERAL"


Operator = Literal[
    "in",
    "not_in",
    "starts_with",
    "ends_with",
    "contains",
    "matches",
    "less",
    "less_or_equal",
    "greater",
    "greater_or_equal",
    "version_equal",
    "version_less",
    "version_greater",
    "version_minor",
    "version_major",
    "before",
    "after",
    "in_network",
    "exists",
    "in_segment",
]


class Condition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One test of one attribute, which holds where it does for any of the values.

    An absent attribute fails every test but ``not_in``. ``in_segment`` asks for the whole context and has no attribute.
    """

    attribute: str = ""
    """A name, or a path into objects, as in ``user.plan``. A key that is called so as a whole goes first."""
    operator: Operator
    values: tuple[str | int | float | bool, ...] = ()
    negate: bool = False
    """Hold where the test does not, also for an absent attribute."""


class Share(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A variant and its part of a roll-out, in percent, precise to a thousandth."""

    variant: str
    percent: float


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A point of a ramp."""

    at: datetime
    percent: float


class Schedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """When a rule is in force, and for how many."""

    since: datetime | None = msgspec.field(default=None, name="from")
    """From this instant on."""
    until: datetime | None = None
    """Before this instant."""
    ramp: tuple[Step, ...] = ()
    """How many of those whom the rule would serve it reaches: nobody before the first step, evenly more (or fewer)
    between two, as many as the last one says after it. Whoever is reached stays so while the percentage grows."""


class Slot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of everybody. Slots of one layer that do not overlap have nobody in common: exclusive experiments."""

    layer: str
    start: float
    """Percent."""
    end: float
    """Percent; it is not part of the slot."""


class HoldOut(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of everybody who get the default of each flag that names the hold-out."""

    name: str
    percent: float


class Prerequisite(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another flag that must serve one of these variants; else this one serves its default."""

    flag: str
    variants: tuple[str, ...]


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Serve a variant, or shares of several, where every condition holds. The first rule that matches decides."""

    conditions: tuple[Condition, ...] = ()
    variant: str | None = None
    shares: tuple[Share, ...] = ()
    """Instead of ``variant``. Whoever falls into no share goes on to the next rule."""
    by: str = SUBJECT
    """The attribute that a roll-out, a ramp and a slot stick to."""
    schedule: Schedule | None = None
    slot: Slot | None = None
    name: str = ""


class Experiment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """That what the flag serves is measured."""

    control: str
    """The variant that the others are compared with."""
    metrics: tuple[str, ...] = ()
    """The conversions that count; all when empty."""
    size: int = 0
    """How many people it is planned for, all variants together; 0 where it has no end. Decided before it begins."""


class Flag(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A flag's definition, as administrators write it."""

    key: str
    variants: dict[str, FlagValue]
    default_variant: str | None
    """Without one, the caller's own default applies where no rule matches."""
    enabled: bool = True
    rules: tuple[Rule, ...] = ()
    description: str = ""
    type: Literal["boolean", "number", "string", "object"] | None = None
    """What all values are; found out when left out."""
    users: dict[str, tuple[str, ...]] = {}
    """Targeting keys by the variant that they get, before any rule."""
    prerequisites: tuple[Prerequisite, ...] = ()
    hold_out: HoldOut | None = None
    salt: str = ""
    """What the buckets are made with; the flag's key when empty. Flags of one salt split people alike."""
    generation: Literal[1, 2] = SECOND
    """Which generation of bucketing; it is part of the definition, so that no release moves anyone."""
    targeting: dict[str, Any] | None = None
    """Instead of rules: JsonLogic in flagd's dialect."""
    experiment: Experiment | None = None
    archived: bool = False
    """No longer in use: it is left out of lists and of bulk evaluation, and serves no value."""
    owner: str = ""
    tags: tuple[str, ...] = ()
    expires: datetime | None = None
    """When it should be gone. It goes on being evaluated; `flags list` calls it stale."""
    metadata: Metadata = {}
    """Goes out with every answer."""


class Segment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """People whom rules speak of by one name: those who are listed, and those for whom a group of conditions holds."""

    key: str
    included: tuple[str, ...] = ()
    """Targeting keys."""
    excluded: tuple[str, ...] = ()
    """Targeting keys that are never part of it."""
    groups: tuple[tuple[Condition, ...], ...] = ()
    """Whoever meets all conditions of one group is part of it."""
    description: str = ""


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """One revision of a definition in the store."""

    revision: int
    """Counts from 1 with every change of this key; a deleted key that comes back goes on counting."""
    updated_at: datetime
    updated_by: str = ""
    deleted: bool = False
    """Whether the revision is a removal; the definition is the one that was removed."""
    digest: str = ""
    """SHA-256 of the definition, see :func:`.kinds.digest_of`; the audit trail holds the same."""


class StoredFlag(Stored, frozen=True, kw_only=True):
    """One revision of a flag."""

    flag: Flag


class StoredSegment(Stored, frozen=True, kw_only=True):
    """One revision of a segment."""

    segment: Segment


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one question. With an error code the value is ``None``: the caller's own default applies."""

    key: str
    value: FlagValue = None
    variant: str | None = None
    reason: Reason
    error_code: ErrorCode | None = None
    error_details: str = ""
    metadata: Metadata = {}


class Exposure(msgspec.Struct, frozen=True, kw_only=True):
    """Someone was shown a variant."""

    flag: str
    variant: str
    targeting_key: str
    at: datetime


class Conversion(msgspec.Struct, frozen=True, kw_only=True):
    """Someone did what an experiment counts."""

    flag: str
    metric: str
    targeting_key: str
    at: datetime


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """How many people of one variant."""

    variant: str
    exposed: int
    converted: int
    """Of those exposed, who converted no earlier than they were first exposed."""


class Tallies(msgspec.Struct, frozen=True, kw_only=True):
    """What was counted for one flag and one metric."""

    variants: tuple[Tally, ...]
    """By name; people who were shown one variant alone."""
    mixed: int
    """People who were shown several variants: they are left out, as nobody knows what moved them."""
