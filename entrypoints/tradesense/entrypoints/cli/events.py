"""`tradesense events`: topics, their groups, and dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tradesense.core.acting import as_operator
from tradesense.entrypoints.cli.output import output_option, show_one, show_rows
from tradesense.entrypoints.cli.session import operator, pages, work

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from tradesense.core.cache.models import DeadLetter, TopicSummary
    from tradesense.core.paging import Page
    from tradesense.entrypoints.services import Services

COLUMNS = ["id", "position", "attempts", "reason", "at", "source", "type"]


@click.group()
def events() -> None:
    """Topics, and what consumer groups have given up."""


@events.command()
@output_option
@as_operator("events:read-dead")
def topics(output: str) -> None:
    """List topics with their groups: what each has in hand, and what it has given up."""

    async def read(services: Services) -> Sequence[TopicSummary]:
        return await services.events.overview()

    found = work(read)
    if output == "json":
        show_rows([_summary(topic) for topic in found], [], output)
        return
    rows = [
        {"topic": topic.topic, "messages": topic.messages, "last": topic.last, **group}
        for topic in found
        for group in ([_fields(one) for one in topic.groups] or [{}])
    ]
    show_rows(rows, ["topic", "messages", "last", "group", "pending", "dead"], output)


@events.command()
@click.argument("topic")
@click.argument("group")
@output_option
@as_operator("events:read-dead")
def dead(topic: str, group: str, output: str) -> None:
    """List what GROUP has given up of TOPIC, oldest first."""

    async def read(services: Services) -> list[DeadLetter]:
        return [letter async for letter in _letters(services, topic, group)]

    show_rows([_row(letter) for letter in work(read)], COLUMNS, output)


@events.command()
@click.argument("topic")
@click.argument("group")
@click.argument("number", metavar="ID")
@output_option
@as_operator("events:read-dead")
def show(topic: str, group: str, number: str, output: str) -> None:
    """Show one dead letter with its event."""

    async def read(services: Services) -> DeadLetter:
        async for letter in _letters(services, topic, group):
            if letter.id == number:
                return letter
        raise _unknown(number)

    letter = work(read)
    show_one({**_row(letter), "event": _members(letter.message)}, output)


@events.command()
@click.argument("topic")
@click.argument("group")
@click.argument("numbers", metavar="[ID]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All that there are now.")
@output_option
@as_operator("events:write-dead", "events.replay")
def replay(topic: str, group: str, numbers: tuple[str, ...], output: str, *, every: bool) -> None:
    """Hand dead letters out to GROUP again, as if for the first time."""
    _check(numbers, every=every)

    async def again(services: Services) -> int:
        return await _changed(services, (topic, group), numbers, "events.replay", services.events.replay)

    show_one({"replayed": work(again)}, output)


@events.command()
@click.argument("topic")
@click.argument("group")
@click.argument("numbers", metavar="[ID]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All that there are now.")
@output_option
@as_operator("events:write-dead", "events.discard")
def drop(topic: str, group: str, numbers: tuple[str, ...], output: str, *, every: bool) -> None:
    """Remove dead letters of GROUP for good."""
    _check(numbers, every=every)

    async def remove(services: Services) -> int:
        return await _changed(services, (topic, group), numbers, "events.discard", services.events.discard)

    show_one({"dropped": work(remove)}, output)


def _check(numbers: Sequence[str], *, every: bool) -> None:
    if bool(numbers) is every:
        raise click.UsageError("name the IDs, or give --all")


async def _changed(
    services: Services,
    place: tuple[str, str],
    numbers: Sequence[str],
    action: str,
    change: Callable[[str, str, Sequence[str]], Awaitable[int]],
) -> int:
    """Change these dead letters, or all, together with its row in the audit trail.

    :raises InvalidInput: one of them is not there; nothing was changed.
    """
    from tradesense.core.audit.service import Event  # noqa: PLC0415  # `--help` need not pay for it

    topic, group = place
    known = [letter.id async for letter in _letters(services, topic, group)]
    for number in numbers:
        if number not in known:
            raise _unknown(number)
    if not known:
        return 0
    event = Event(action, f"{topic} {group}", operator())
    async with services.trail.change(event, joined=False):
        count = await change(topic, group, numbers or known)
        event.detail["count"] = str(count)
    return count


def _letters(services: Services, topic: str, group: str) -> AsyncIterator[DeadLetter]:
    async def read(*, cursor: str | None, limit: int) -> Page[DeadLetter]:
        return await services.events.dead(topic, group, cursor=cursor, limit=limit)

    return pages(read)


def _unknown(number: str) -> Exception:
    from tradesense.core.errors import InvalidInput  # noqa: PLC0415  # as above

    return InvalidInput(f"there is no dead letter {number!r}", mend="see `tradesense events dead TOPIC GROUP`")


def _summary(topic: TopicSummary) -> dict[str, Any]:
    return {**_fields(topic), "groups": [_fields(group) for group in topic.groups]}


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__struct_fields__}


def _row(letter: DeadLetter) -> dict[str, Any]:
    event = _members(letter.message) or {}
    row = {name: getattr(letter, name) for name in COLUMNS[:5]}
    return {**row, "source": event.get("source"), "type": event.get("type")}


def _members(message: bytes) -> dict[str, Any] | None:
    """The event, or nothing where the message is none."""
    from tradesense.core.cache import cloudevents  # noqa: PLC0415  # as above
    from tradesense.core.errors import InvalidEvent  # noqa: PLC0415  # as above

    try:
        return cloudevents.members(cloudevents.decode(message))
    except InvalidEvent:
        return None
