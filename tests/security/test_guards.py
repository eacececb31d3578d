"""Every handler that no request's guard stands before declares one as well: commands, jobs, subscribers to events."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from tradesense.core.acting import DECLARED, Acting, Who, acting, as_operator, as_system, at_machine
from tradesense.core.audit.models import ANONYMOUS
from tradesense.core.audit.service import Event
from tradesense.core.errors import ConfigurationError
from tradesense.core.identity.permissions import parse
from tradesense.core.jobs.models import Job
from tradesense.core.jobs.service import Periodic
from tradesense.core.sensitive import Secret
from tradesense.entrypoints.cli import app
from tradesense.entrypoints.cli.commands import COMMANDS
from tradesense.entrypoints.cli.guards import inventory
from tradesense.entrypoints.container import open_container
from tradesense.entrypoints.http import guards
from tradesense.entrypoints.http.app import create_routes
from tradesense.entrypoints.http.secrets import ACTIONS
from tradesense.entrypoints.http.site import Site
from tradesense.settings.load import load

PASSWORD = "a long enough pass phrase"
HOOK = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def commands():
    """Every command with its guard; the root refuses one that has none."""
    context = click.Context(app.tradesense)
    return [entry for name in COMMANDS for entry in inventory(app.tradesense.get_command(context, name), name)]


def test_R38_every_command_has_exactly_one_guard_and_it_is_one_that_HTTP_knows():
    settings = load({"ENVIRONMENT": "testing"}).settings
    known = {entry.guard for entry in guards.inventory(create_routes(settings, Site(settings)))}
    known |= {f"secrets:{verb}" for verb in ACTIONS.values()}  # one route, and what it asks for is in the path's end
    entries = commands()
    assert len(entries) > 50
    for entry in entries:
        assert entry.guard.who is Who.OPERATOR
        if entry.guard.permission:
            parse(entry.guard.permission)
            assert entry.guard.permission in known, entry
        if entry.guard.permission.endswith((":write", ":delete")):
            assert entry.guard.audited, f"{entry.command} changes something, and leaves no trace"


def test_R38_a_command_without_a_guard_or_of_the_systems_is_not_begun(monkeypatch):
    @click.command()
    def forgotten():
        raise AssertionError

    @click.command()
    @as_system()
    def mistaken():
        raise AssertionError

    for command in (forgotten, mistaken, click.Group("all", {"one": forgotten})):
        monkeypatch.setitem(COMMANDS, "more", ("app:more", ""))
        monkeypatch.setattr(app, "more", command, raising=False)
        done = CliRunner().invoke(app.tradesense, ["more"], prog_name="tradesense")
        assert done.exit_code == 78, done.output
        assert "who acts in it" in done.stderr or "the operator acts" in done.stderr


def test_R38_nobody_declares_two_guards():
    for twice in (as_operator("users:read"), at_machine(), as_system()):
        with pytest.raises(ConfigurationError, match="declares twice"):
            twice(as_operator("users:write")(lambda: None))


def test_R38_a_command_that_leaves_what_it_did_not_declare_fails(monkeypatch):
    create = app.tradesense.get_command(click.Context(app.tradesense), "users").commands["create"]
    monkeypatch.setattr(create.callback, DECLARED, Acting(Who.OPERATOR, "users:read"))
    words = ["users", "create", "ada@example.org", "--password-stdin"]
    done = CliRunner().invoke(app.tradesense, words, input=PASSWORD, env={"ENVIRONMENT": "testing"})
    assert done.exit_code == 78
    assert "does not declare the action identity.create" in done.stderr


@pytest.fixture
async def services(tmp_path):
    env = {
        "ENVIRONMENT": "testing",
        "TRADESENSE_IDENTITY__WEBHOOK_SENDER": "memory",
        "TRADESENSE_IDENTITY__WEBHOOKS__ONE__URL": "https://one.example.org/",
        "TRADESENSE_IDENTITY__WEBHOOKS__ONE__SECRET": HOOK,
        "TRADESENSE_AUDIT__ANCHOR_FILE": str(tmp_path / "anchors"),
    }
    async with open_container(load(env, directory=tmp_path).settings) as services:
        yield services


async def test_R38_every_job_has_exactly_one_guard(services):
    names = {*services.jobs.names, *(job.name for job in services.jobs.periodic)}
    assert {"identity.mail", "identity.welcome", "identity.webhook", "identity.sweep"} <= names
    assert set(services.jobs.guards) == names
    assert {guard.who for guard in services.jobs.guards.values()} == {Who.SYSTEM}


async def test_R38_a_job_or_a_subscriber_without_a_guard_or_of_an_operators_is_not_taken(services):
    async def forgotten(_=None): ...

    @as_operator("users:read")
    async def mistaken(_=None): ...

    for handler in (forgotten, mistaken):
        with pytest.raises(ConfigurationError):
            services.jobs.on("test.more", handler)
        with pytest.raises(ConfigurationError):
            services.jobs.every(Periodic(name="test.more", every=1.0, run=handler))
        with pytest.raises(ConfigurationError):
            services.events.subscribe("orders", "billing", handler)
    assert "test.more" not in {*services.jobs.names, *services.jobs.guards}
    assert services.events.subscriptions == ()


async def test_R38_a_job_that_leaves_what_it_did_not_declare_changes_nothing(services):
    async def work(_):
        await services.accounts.create("ada@example.org", Secret(PASSWORD), roles=("user",), actor=ANONYMOUS)

    async def same(job):
        await work(job)

    services.jobs.on("test.less", as_system("identity.remove")(work))
    services.jobs.on("test.right", as_system("identity.create")(same))
    with pytest.raises(ConfigurationError, match=r"does not declare the action identity\.create"):
        await services.jobs.handle(Job(id="1", name="test.less"))
    assert not (await services.accounts.list()).items
    await services.jobs.handle(Job(id="2", name="test.right"))
    assert len((await services.accounts.list()).items) == 1
    with acting(Acting(Who.SYSTEM)), pytest.raises(ConfigurationError):
        await services.trail.note(Event("identity.denied", "x", ANONYMOUS))
