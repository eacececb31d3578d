"""Flags for tests, and what the platform lends to their engine."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace

import contracted
from tradesense.core.audit.chain import AuditChain
from tradesense.core.audit.ports import AuditLog
from tradesense.core.audit.service import AuditTrail
from tradesense.core.flags.checking import check_flag
from tradesense.core.flags.engine import compile_flag
from tradesense.core.flags.library import Library
from tradesense.core.flags.models import Condition, Flag, Rule, Share, StoredFlag
from tradesense.core.flags.ports import BucketHash, ChangeStore, FlagStore, Patterns, SegmentStore
from tradesense.core.flags.service import Flags
from tradesense.core.flags.stores import Stores
from tradesense.core.flags.toolkit import Toolkit
from tradesense.core.transactions import Transactions

VARIANTS = {"on": True, "off": False}
PEOPLE = [f"user-{number}" for number in range(100_000)]


class Time:
    """A time that a test sets."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def at(self, instant: datetime) -> None:
        self.seconds = instant.timestamp()

    def __call__(self) -> float:
        return self.seconds


def toolkit(now=lambda: 0.0) -> Toolkit:
    """As the platform makes it."""
    return Toolkit(
        now=now,
        hash32=contracted.build(contracted.manifest("mmh3", BucketHash), contracted.context()),
        patterns=contracted.build(contracted.manifest("re2", Patterns), contracted.context()),
    )


def condition(operator, *values, attribute="a", **more) -> Condition:
    return Condition(attribute="" if operator == "in_segment" else attribute, operator=operator, values=values, **more)


def shares(**percents) -> tuple[Share, ...]:
    return tuple(Share(variant=variant, percent=percent) for variant, percent in percents.items())


def flag(*rules, key="f", **changes) -> Flag:
    fields = {"key": key, "variants": VARIANTS, "default_variant": "off", "rules": rules}
    return Flag(**(fields | changes))


def when(*conditions, variant="on", **more) -> Rule:
    return Rule(conditions=conditions, variant=None if "shares" in more else variant, **more)


def compiled(definition: Flag, now=lambda: 0.0):
    tools = toolkit(now)
    return compile_flag(check_flag(definition, tools), tools)


def library(*flags, segments=(), now=lambda: 0.0) -> Library:
    made = Library(toolkit(now))
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    made.load([StoredFlag(flag=one, revision=1, updated_at=moment) for one in flags], segments)
    return made


def inside(evaluate, variant="on", people=PEOPLE) -> set[str]:
    """Who is served ``variant``."""
    return {person for person in people if evaluate({"targetingKey": person}).variant == variant}


@asynccontextmanager
async def administered(clock, *, review=False, **others):
    """Flags and their trail in memory; ``others`` wrap a store, by its name in :class:`Stores`."""
    lent = contracted.context(clock)
    lent.chain = AuditChain(bytes(range(32)))
    ports = {"flags": FlagStore, "segments": SegmentStore, "requests": ChangeStore}
    unit, log, *kept = (
        contracted.build(contracted.manifest("memory", port), lent)
        for port in (Transactions, AuditLog, *ports.values())
    )
    async with AsyncExitStack() as stack:
        for part in (unit, log, *kept):
            await stack.enter_async_context(part)
        trail = AuditTrail(log=log, chain=lent.chain, transactions=unit)
        named = dict(zip(ports, kept, strict=True))
        stores = Stores(**(named | {name: wrap(named[name]) for name, wrap in others.items()}))
        flags = Flags(stores=stores, trail=trail, clock=clock, ids=lent.ids, joined=True, review=review)
        yield SimpleNamespace(flags=flags, trail=trail, stores=stores)
