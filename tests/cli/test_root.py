from __future__ import annotations

import ast
import importlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from platform_process import command as script
from tradesense.core.errors import (
    ConfigurationError,
    DatabaseUnavailable,
    InvalidInput,
    MissingDependency,
    Problem,
    SettingsInvalid,
    every_error,
)
from tradesense.entrypoints.cli import app, commands, failures, session
from tradesense.entrypoints.cli.output import is_lost

HEAVY = (
    "alembic",
    "click",
    "dependency_injector",
    "dynaconf",
    "granian",
    "litestar",
    "msgspec",
    "pluggy",
    "redis",
    "rich",
    "sqlalchemy",
    "structlog",
    "tradesense.core",
    "tradesense.plugins",
    "tradesense.settings",
)
WITHOUT = """
import sys
sys.meta_path.insert(0, type("Absent", (), {{"find_spec": staticmethod(
    lambda name, *_: (_ for _ in ()).throw(ModuleNotFoundError(f"No module named {{name!r}}", name=name))
    if name == {name!r} else None)}}))
sys.argv = ["tradesense", *{words!r}]
from tradesense.entrypoints.cli import main
sys.exit(main())
"""


def test_help_imports_nothing_heavy():
    program = (
        "import sys; sys.argv = ['tradesense', '--help']\n"
        "from tradesense.entrypoints.cli import main; code = main()\n"
        "import json; sys.stderr.write(json.dumps(sorted(sys.modules))); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = json.loads(done.stderr)
    assert done.stdout.startswith("Usage: tradesense [OPTIONS] COMMAND")
    assert [name for name in loaded if name in HEAVY or name.startswith(tuple(f"{heavy}." for heavy in HEAVY))] == []


@pytest.mark.parametrize("room", sorted({target.split(":")[0] for target, _ in commands.COMMANDS.values()}))
def test_a_rooms_help_imports_no_sdk(room: str):
    program = f"import sys; import tradesense.entrypoints.cli.{room}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    sdks = {
        "alembic",
        "dependency_injector",
        "dynaconf",
        "granian",
        "litestar",
        "redis",
        "rich",
        "sqlalchemy",
        "structlog",
    }
    assert sdks.isdisjoint(done.stdout.split())


def test_help_is_the_same_with_and_without_click(bare):
    assert bare("--help").stdout == commands.overview()
    done = subprocess.run([script(), "--help"], capture_output=True, text=True, check=True)
    assert done.stdout == commands.overview()
    assert bare().exit_code == 2


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_every_command_is_what_the_table_says(name: str):
    target, summary = commands.COMMANDS[name]
    module, _, attribute = target.partition(":")
    command = getattr(importlib.import_module(f"tradesense.entrypoints.cli.{module}"), attribute)
    assert command.name == name
    assert command.get_short_help_str(limit=200).rstrip(".") == summary.rstrip(".")


def every_command(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    found = []
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        found.append(((*path, name), command))
        if isinstance(command, click.Group):
            found += every_command(command, (*path, name))
    return found


EVERY = every_command(app.tradesense)
NO_OUTPUT = {
    *("serve", "worker", "demo", "secrets delete", "secrets undelete", "secrets destroy", "keys retire"),
    *("users enable", "users disable", "users delete", "users import", "users export", "users logout"),
}


@pytest.mark.parametrize(("path", "command"), EVERY, ids=[" ".join(path) for path, _ in EVERY])
def test_every_command_has_help_and_says_what_its_options_are_for(bare, path: tuple[str, ...], command: click.Command):
    done = bare(*path, "--help")
    assert done.exit_code == 0
    assert done.stdout.startswith(f"Usage: tradesense {' '.join(path)}")
    for option in command.params:
        assert not isinstance(option, click.Option) or option.help or option.name == "context", option.name
    if not isinstance(command, click.Group) and " ".join(path) not in NO_OUTPUT:
        assert "-o, --output [table|json]" in done.stdout


def test_no_command_takes_a_secret_as_an_argument():
    for path, command in EVERY:
        names = {parameter.name for parameter in command.params if not getattr(parameter, "is_flag", False)}
        assert names.isdisjoint({"password", "secret", "token", "key_value"}), path
        assert path[0] != "secrets" or "value" not in names


def test_the_version_is_told(bare):
    assert bare("--version").stdout == "tradesense 0.1.0\n"


def test_a_mistyped_command_is_told_with_the_nearest(bare):
    done = bare("secretz")
    assert done.exit_code == 2
    assert "secrets" in done.stderr
    assert bare("secrets", "gett").exit_code == 2
    assert bare("secrets", "list", "-o", "xml").exit_code == 2


@pytest.mark.parametrize("error", list(every_error()), ids=lambda error: error.__name__)
def test_every_error_ends_in_lines_and_a_documented_code(error: type):
    raised = _made(error)
    code, lines = failures.explain(raised)
    assert code in {1, 69, 78}
    assert all(line.startswith(("error: ", "warning: ")) and "\n" not in line for line in lines)


def _made(error: type) -> Exception:
    if error is SettingsInvalid:
        return SettingsInvalid([Problem(level="error", key="a", message="b\n\x1b[2J", origin="c", mend="d")])
    if error is MissingDependency:
        return MissingDependency("redis", extra="redis")
    extra = {
        "LimitExceeded": {"retry_after": 1.0},
        "AuditChainBroken": {"seq": 1},
        "PasswordRefused": {"reason": "common"},
    }
    given = dict(extra.get(error.__name__, {}))
    if error.__name__ == "PasswordRefused":
        return error(given["reason"], "text\nmore\x1b[2J")
    return error("text\nmore\x1b[2J", **given)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInput("x"), 1),
        (DatabaseUnavailable("x"), 69),
        (ConfigurationError("x"), 78),
        (RuntimeError("canary"), 1),
    ],
)
def test_errors_become_exit_codes(bare, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int):
    def fail(_: object = None) -> None:
        raise ExceptionGroup("tasks", [error])

    monkeypatch.setattr(session, "loaded", fail)
    monkeypatch.setattr("tradesense.entrypoints.cli.config.loaded", fail)
    done = bare("config", "show")
    assert done.exit_code == code
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert "canary" not in done.stderr
    assert isinstance(bare("--traceback", "config", "show").exception, ExceptionGroup)


def test_origin_and_mend_are_told():
    error = InvalidInput("it is wrong", origin="there", mend="mend it")
    assert failures.explain(error) == (1, ["error: it is wrong (from there); mend it"])


@pytest.mark.parametrize("name", ["click", "dynaconf", "sqlalchemy", "dependency_injector"])
def test_a_missing_distribution_is_one_line(place: Path, name: str):
    program = WITHOUT.format(name=name, words=["secrets", "list"])
    environ = {"PATH": os.environ["PATH"], "HOME": str(place)}
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, capture_output=True, text=True, cwd=place, env=environ, check=False)
    assert done.returncode == 78
    assert done.stderr.count("\n") == 1
    assert "pip install 'tradesense[server]'" in done.stderr


def test_an_interrupt_ends_it_quietly(place: Path):
    environ = {"PATH": os.environ["PATH"], "HOME": str(place)}
    with subprocess.Popen(
        [sys.executable, "-c", _WAITING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=place,
        env=environ,
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
        process.wait(30)  # with its input still open: it is the signal that ends it, and not the end of the input
        rest = process.stderr.read()
    assert process.returncode == 130
    assert "Traceback" not in rest


_WAITING = """
import signal
import sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells leave it ignored for what runs in the background
from tradesense.entrypoints.cli import main, secrets
def piped(*, exact):
    sys.stderr.write("waiting\\n")
    sys.stderr.flush()
    return sys.stdin.buffer.read()
secrets._piped = piped
sys.argv = ["tradesense", "secrets", "put", "a", "--stdin"]
sys.exit(main())
"""


def test_a_reader_who_goes_away_is_no_error(place: Path):
    environ = {"PATH": os.environ["PATH"], "HOME": str(place)}
    with subprocess.Popen(
        [script(), "config", "show"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=place, env=environ
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert said == b""


@pytest.mark.parametrize(
    "words", ["--help", "--version", "audit --help", "config show -o json", "--traceback db current"]
)
def test_a_full_output_is_one_line_and_exit_code_1(place: Path, words: str):
    environ = {"PATH": os.environ["PATH"], "HOME": str(place)}
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [script(), *words.split()], stdout=full, stderr=subprocess.PIPE, cwd=place, env=environ, check=False
        )
    assert done.stderr == b"error: the output cannot be written: No space left on device\n"
    assert done.returncode == 1


def test_only_printing_is_told_as_such():
    with pytest.raises(OSError, match="nowhere") as caught:
        Path("/nowhere/at/all").stat()
    assert not is_lost(caught.value)


def test_the_modules_are_named_as_the_rooms():
    folder = Path(commands.__file__).parent
    rooms = {"identity", "secrets", "cache", "flags", "config", "telemetry", "audit", "jobs"}
    assert rooms <= {path.stem for path in folder.glob("*.py")}
    for path in folder.glob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text())), path.name
