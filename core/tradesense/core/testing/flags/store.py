"""The contracts of :class:`FlagStore` and :class:`SegmentStore`."""

from __future__ import annotations

from typing import Any

import pytest

from tradesense.core.capabilities import Capability
from tradesense.core.flags.kinds import FLAG, SEGMENT
from tradesense.core.flags.models import Condition, Flag, FlagValue, Rule, Segment, Share
from tradesense.core.flags.ports import FlagStore, SegmentStore, WritableFlagStore, WritableSegmentStore
from tradesense.core.testing.base import Make, fresh, opened, requires
from tradesense.core.testing.flags.definitions import DefinitionStoreContract, Stock, encoded

UNICODE = "Zürich ☃ 漢字 𝄞 \r\n\t\x00 \"'\\ e\u0301"
VALUES: dict[str, tuple[FlagValue, FlagValue]] = {
    "booleans": (True, False),
    "integers": (1, -(2**53)),
    "floats": (1.0, 1e-7),
    "texts": ("", UNICODE),
    "objects": ({"z": 1, "a": {"b": [1, 1.0, True, None, "é", {}]}}, None),
    "lists": ([], [[[]], "x", 0, False]),
}
CONDITIONS = (
    Condition(attribute="plan", operator="in", values=("pro", 1, 2.5, True, False, UNICODE)),
    Condition(attribute="age", operator="less", values=(1e-7,)),
    Condition(attribute="mail", operator="ends_with", values=("@example.org",), negate=True),
)
RULES = (
    Rule(conditions=CONDITIONS, variant="b"),
    Rule(shares=(Share(variant="a", percent=33.333), Share(variant="b", percent=0.0)), by="tenant"),
)


def _flag(key: str, a: FlagValue = "A", b: FlagValue = "B", rules: tuple[Rule, ...] = (), text: str = "") -> Flag:
    return Flag(key=key, variants={"a": a, "b": b}, default_variant="b", rules=rules, description=text)


class FlagStoreContract(DefinitionStoreContract):
    """What every :class:`FlagStore` must do. One that can be written is a :class:`WritableFlagStore`."""

    port = FlagStore
    extensions = {Capability.WRITE: WritableFlagStore}  # noqa: RUF012  # the base declares it as a ClassVar
    kind = FLAG

    @staticmethod
    def define(key: str, text: str = "") -> Flag:
        """A flag of two texts."""
        return _flag(key, text=text)

    @staticmethod
    def rich(key: str) -> Flag:
        """A flag with rules."""
        return _flag(key, "x", UNICODE, RULES, UNICODE)

    @pytest.mark.parametrize("enabled", [True, False])
    async def test_a_flag_stays_on_or_off(self, adapter: Make[FlagStore], stock: Stock | None, enabled: object) -> None:
        async with opened(adapter()) as store:
            flag = Flag(key=fresh(), variants={"a": 1}, default_variant=None, enabled=bool(enabled))
            await self.fill(store, stock, flag)
            assert (await store.get(flag.key)).flag == flag

    @pytest.mark.parametrize("kind_of_value", list(VALUES))
    async def test_values_keep_their_types(
        self, adapter: Make[FlagStore], stock: Stock | None, kind_of_value: str
    ) -> None:
        async with opened(adapter()) as store:
            flag = _flag(fresh(), *VALUES[kind_of_value])
            await self.fill(store, stock, flag)
            assert encoded((await store.get(flag.key)).flag) == encoded(flag)

    async def test_what_was_given_out_cannot_change_the_flag(
        self, adapter: Make[FlagStore], stock: Stock | None
    ) -> None:
        async with opened(adapter()) as store:
            inner: dict[str, Any] = {"list": [1]}
            flag = _flag(fresh(), inner, {})
            expected = encoded(flag)
            await self.fill(store, stock, flag)
            inner["list"].append(2)
            flag.variants["c"] = None
            (await store.get(flag.key)).flag.variants.clear()
            (await store.list(limit=1000)).items[0].flag.variants.clear()
            assert encoded((await store.get(flag.key)).flag) == expected

    @requires(Capability.WRITE)
    async def test_what_a_write_gave_out_cannot_change_the_flag(self, adapter: Make[WritableFlagStore]) -> None:
        async with opened(adapter()) as store:
            flag = _flag(fresh(), {"list": [1]}, {})
            expected = encoded(flag)
            (await store.put(flag)).flag.variants.clear()
            (await store.history(flag.key))[0].flag.variants.clear()
            assert encoded((await store.get(flag.key)).flag) == expected
            assert encoded((await store.history(flag.key))[0].flag) == expected


class SegmentStoreContract(DefinitionStoreContract):
    """What every :class:`SegmentStore` must do. One that can be written is a :class:`WritableSegmentStore`."""

    port = SegmentStore
    extensions = {Capability.WRITE: WritableSegmentStore}  # noqa: RUF012  # the base declares it as a ClassVar
    kind = SEGMENT

    @staticmethod
    def define(key: str, text: str = "") -> Segment:
        """A segment of one person."""
        return Segment(key=key, included=("u1",), description=text)

    @staticmethod
    def rich(key: str) -> Segment:
        """A segment with groups."""
        return Segment(
            key=key,
            included=("u1", UNICODE),
            excluded=("u2",),
            groups=(CONDITIONS, CONDITIONS[:1]),
            description=UNICODE,
        )
