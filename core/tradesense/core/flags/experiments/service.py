"""Experiments as the entrypoints use them: exposures and conversions come in, results go out."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tradesense.core.acting import as_system
from tradesense.core.ambient import Clock
from tradesense.core.errors import ExperimentNotFound, FlagNotFound
from tradesense.core.flags.experiments import events
from tradesense.core.flags.experiments.exposures import Exposures
from tradesense.core.flags.experiments.results import Results, results
from tradesense.core.flags.faults import Faults, is_name
from tradesense.core.flags.models import SUBJECT, Context, Conversion, Evaluation, Experiment, Exposure, Flag, Tallies
from tradesense.core.flags.ports import ExperimentStore
from tradesense.core.flags.service import Flags
from tradesense.core.jobs.models import Job
from tradesense.core.jobs.service import Jobs
from tradesense.core.telemetry.ports import Telemetry

MOST_AT_ONCE = 1_000
NO_METRIC = ""
"""Stands in results while nobody has converted and the definition names no metric."""


class Experiments:
    """The experiments of one deployment. Each is a flag with an ``experiment``, and is called as the flag is."""

    def __init__(self, *, store: ExperimentStore, flags: Flags, jobs: Jobs, clock: Clock, telemetry: Telemetry) -> None:
        self._store = store
        self._flags = flags
        self._clock = clock
        self._exposures = Exposures(jobs=jobs, clock=clock, telemetry=telemetry)
        jobs.on(events.EVENT, self._expose)

    async def run(self) -> None:
        """Hand over exposures until cancelled."""
        await self._exposures.run()

    async def flush(self) -> None:
        """Hand over the exposures that wait."""
        await self._exposures.flush()

    def served(self, found: Evaluation, context: Context) -> None:
        """Somebody was served this: an exposure, where chance decided it and the flag is an experiment.

        Whose targeting key is none that conversions could name is served, and not counted.
        """
        if self._flags.measured(found):
            subject = context.get(SUBJECT)
            if isinstance(subject, str) and is_name(subject) and found.variant is not None:
                self._exposures.note(found.key, found.variant, subject)

    async def expose(self, key: str, exposures: Sequence[Exposure]) -> None:
        """Take exposures from who evaluates for themselves; ``flag`` of each is ``key``.

        :raises ExperimentNotFound: there is no such experiment.
        :raises InvalidFlag: there are over 1,000, or one is of a variant that the flag has not.
        """
        flag, _ = await self._experiment(key)
        faults = Faults()
        faults.unless(len(exposures) <= MOST_AT_ONCE, "$", f"at most {MOST_AT_ONCE} at once")
        for at, one in enumerate(exposures[:MOST_AT_ONCE]):
            faults.unless(one.variant in flag.variants, f"[{at}].variant", f"there is no variant {one.variant[:80]!r}")
            faults.name(one.targeting_key, f"[{at}].targeting_key", what="a targeting key")
        faults.check()
        await self._store.expose([msgspec.structs.replace(one, flag=key) for one in exposures])

    async def convert(self, key: str, conversions: Sequence[Conversion]) -> None:
        """Take conversions; ``flag`` of each is ``key``. One counts where its person was exposed no later.

        :raises ExperimentNotFound: there is no such experiment.
        :raises InvalidFlag: there are over 1,000, or one is by a metric that the experiment does not name.
        """
        _, experiment = await self._experiment(key)
        known = experiment.metrics
        faults = Faults()
        faults.unless(len(conversions) <= MOST_AT_ONCE, "$", f"at most {MOST_AT_ONCE} at once")
        for at, one in enumerate(conversions[:MOST_AT_ONCE]):
            if known and one.metric not in known:
                faults.add(f"[{at}].metric", f"there is no metric {one.metric[:80]!r}; use one of {', '.join(known)}")
            faults.name(one.metric, f"[{at}].metric", what="a metric")
            faults.name(one.targeting_key, f"[{at}].targeting_key", what="a targeting key")
        faults.check()
        await self._store.convert([msgspec.structs.replace(one, flag=key) for one in conversions])

    async def results(self, key: str) -> Results:
        """How the experiment stands.

        :raises ExperimentNotFound: there is no such experiment.
        """
        flag, experiment = await self._experiment(key)
        metrics = experiment.metrics or tuple(await self._store.metrics(key)) or (NO_METRIC,)
        tallies: dict[str, Tallies] = {name: await self._store.tally(key, name) for name in metrics}
        return results(flag, experiment.control, tallies)

    async def _experiment(self, key: str) -> tuple[Flag, Experiment]:
        try:
            flag = (await self._flags.get(key)).flag
        except FlagNotFound as error:
            raise ExperimentNotFound(f"there is no flag {key!r}") from error
        if flag.experiment is None:
            raise ExperimentNotFound(
                f"the flag {key!r} is no experiment", mend="give it an `experiment` with its control"
            )
        return flag, flag.experiment

    @as_system()
    async def _expose(self, job: Job) -> None:
        await self._store.expose(events.read(job.payload))
