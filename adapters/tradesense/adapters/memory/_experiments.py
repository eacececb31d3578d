"""What experiments count, in memory."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from itertools import islice

from tradesense.adapters.memory._lifecycle import Lifecycle
from tradesense.adapters.memory._state import MemoryState, Table
from tradesense.core.flags.models import Conversion, Exposure, Tallies, Tally
from tradesense.core.flags.ports import ExperimentStore

Key = tuple[str, str, str]


MOST_ROWS = 100_000
"""Of each table; beyond it, those go that came first."""


class _Bounded(Table[Key, datetime]):
    """The last rows."""

    def commit(self) -> None:
        """Let everyone see what the transaction wrote, without what is too much by it."""
        super().commit()
        for key in list(islice(self._rows, max(0, len(self._rows) - MOST_ROWS))):
            self._drop(key)


class _Rows:
    def __init__(self, state: MemoryState) -> None:
        self.exposures = _Bounded(state)
        """By flag, person and variant."""
        self.conversions = _Bounded(state)
        """By flag, metric and person."""


class MemoryExperiments(Lifecycle):
    """Ends with the process, and keeps the last 100,000 exposures and conversions. See :class:`ExperimentStore`."""

    def __init__(self, state: MemoryState) -> None:
        super().__init__()
        self.state = state
        self._rows = state.part(_Rows)

    async def expose(self, exposures: Sequence[Exposure]) -> None:
        """See :meth:`ExperimentStore.expose`."""
        self.check_open()
        async with self.state.begin():
            for one in exposures:
                key = (one.flag, one.targeting_key, one.variant)
                before = self._rows.exposures.get(key)
                if before is None or one.at < before:
                    self._rows.exposures.put(key, one.at)

    async def convert(self, conversions: Sequence[Conversion]) -> None:
        """See :meth:`ExperimentStore.convert`."""
        self.check_open()
        async with self.state.begin():
            for one in conversions:
                key = (one.flag, one.metric, one.targeting_key)
                before = self._rows.conversions.get(key)
                if before is None or one.at > before:
                    self._rows.conversions.put(key, one.at)

    async def metrics(self, flag: str) -> Sequence[str]:
        """See :meth:`ExperimentStore.metrics`."""
        self.check_open()
        return sorted({key[1] for key in self._rows.conversions.visible(lambda _: True) if key[0] == flag})

    async def tally(self, flag: str, metric: str) -> Tallies:
        """See :meth:`ExperimentStore.tally`."""
        self.check_open()
        shown: dict[str, list[Key]] = defaultdict(list)
        for key in self._rows.exposures.visible(lambda _: True):
            if key[0] == flag:
                shown[key[1]].append(key)
        exposed, converted = Counter[str](), Counter[str]()
        for person, keys in shown.items():
            if len(keys) == 1:
                since, then = self._rows.exposures.get(keys[0]), self._rows.conversions.get((flag, metric, person))
                exposed[keys[0][2]] += 1
                converted[keys[0][2]] += since is not None and then is not None and then >= since
        return Tallies(
            variants=tuple(
                Tally(variant=name, exposed=exposed[name], converted=converted[name]) for name in sorted(exposed)
            ),
            mixed=len(shown) - exposed.total(),
        )


_: type[ExperimentStore] = MemoryExperiments
