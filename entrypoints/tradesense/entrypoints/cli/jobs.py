"""`tradesense worker`, and `tradesense jobs`: what no worker could do, and doing it again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from tradesense.core.acting import as_operator, at_machine
from tradesense.entrypoints.cli.output import output_option, show_one, show_rows
from tradesense.entrypoints.cli.session import loaded, operator, work

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradesense.core.jobs.models import DeadJob
    from tradesense.entrypoints.services import Services

COLUMNS = ["id", "name", "key", "error", "failed_at"]
QUEUE = "jobs.provider"
"""The setting that says where dead jobs lie."""


@click.command()
@at_machine()
def worker() -> None:
    """Do queued and periodic jobs until stopped.

    SIGTERM ends it when what it has begun is done.
    """
    from tradesense.entrypoints.logs import configure  # noqa: PLC0415  # heavy: `--help` need not pay for it
    from tradesense.entrypoints.worker import run  # noqa: PLC0415  # the same

    settings = loaded().settings
    configure(settings.telemetry)
    asyncio.run(run(settings))


@click.group()
def jobs() -> None:
    """Queued jobs that failed in every attempt."""


@jobs.command()
@output_option
@as_operator("events:read-dead")
def dead(output: str) -> None:
    """List the dead jobs, oldest first, the last 1000 at most."""

    async def read(services: Services) -> Sequence[DeadJob]:
        return await services.jobs.dead()

    show_rows([_row(one) for one in work(read, keeps=QUEUE)], COLUMNS, output)


@jobs.command()
@click.argument("number", metavar="ID")
@output_option
@as_operator("events:read-dead")
def show(number: str, output: str) -> None:
    """Show one dead job with its payload and the trace of its cause."""

    async def read(services: Services) -> DeadJob:
        (found,) = await _chosen(services, (number,))
        return found

    one = work(read, keeps=QUEUE)
    job = one.job
    cause = {"correlation_id": job.correlation_id, "traceparent": job.traceparent}
    show_one({**_row(one), **cause, "payload": job.payload}, output)


@jobs.command()
@click.argument("numbers", metavar="[ID]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All that there are now.")
@output_option
@as_operator("events:write-dead", "jobs.redo")
def redo(numbers: tuple[str, ...], output: str, *, every: bool) -> None:
    """Let dead jobs be done again, as if for the first time.

    A job stays dead where another with its key was enqueued since.
    """
    _check(numbers, every=every)

    async def again(services: Services) -> tuple[int, int]:
        found = await _chosen(services, numbers)
        taken = [one.job.id for one in found if await _redone(services, one)]
        if taken:
            await services.relay.turn()  # an outbox in memory ends with this process
            await services.jobs.drop(taken)
        return len(taken), len(found) - len(taken)

    redone, left = work(again, keeps=QUEUE)
    show_one({"redone": redone, "left": left}, output)


@jobs.command()
@click.argument("numbers", metavar="[ID]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All that there are now.")
@output_option
@as_operator("events:write-dead", "jobs.drop")
def drop(numbers: tuple[str, ...], output: str, *, every: bool) -> None:
    """Remove dead jobs for good."""
    from tradesense.core.audit.service import Event  # noqa: PLC0415  # `--help` need not pay for it

    _check(numbers, every=every)

    async def remove(services: Services) -> int:
        found = await _chosen(services, numbers)
        if not found:
            return 0
        event = Event("jobs.drop", "dead jobs", operator())
        async with services.trail.change(event, joined=False):
            count = await services.jobs.drop([one.job.id for one in found])
            event.detail["count"] = str(count)
        return count

    show_one({"dropped": work(remove, keeps=QUEUE)}, output)


async def _redone(services: Services, one: DeadJob) -> bool:
    """Enqueue the job together with its row in the audit trail; where it is not taken there is none."""
    from tradesense.core.audit.service import Event  # noqa: PLC0415  # as above

    event = Event("jobs.redo", one.job.id, operator())
    event.detail["job"] = one.job.name
    async with services.trail.change(event, joined=True):
        taken = await services.jobs.redo(one.job)
        event.unchanged = not taken
    return taken


async def _chosen(services: Services, numbers: Sequence[str]) -> list[DeadJob]:
    """The dead jobs of these ids, or all.

    :raises InvalidInput: one of them is not there.
    """
    from tradesense.core.errors import InvalidInput  # noqa: PLC0415  # as above

    there = {one.job.id: one for one in await services.jobs.dead()}
    for number in numbers:
        if number not in there:
            raise InvalidInput(f"there is no dead job {number!r}", mend="see `tradesense jobs dead`")
    return [one for number, one in there.items() if not numbers or number in numbers]


def _check(numbers: Sequence[str], *, every: bool) -> None:
    if bool(numbers) is every:
        raise click.UsageError("name the IDs, or give --all")


def _row(one: DeadJob) -> dict[str, Any]:
    return {**{name: getattr(one.job, name) for name in COLUMNS[:3]}, "error": one.error, "failed_at": one.failed_at}
