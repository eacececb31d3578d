"""Errors as lines for a terminal, and the exit codes that scripts act on."""

from __future__ import annotations

import traceback
from pathlib import Path

from tradesense.entrypoints.cli.output import forget, is_lost, safe

FAILED = 1
USAGE = 2
UNAVAILABLE = 69
CONFIGURATION = 78
INTERRUPTED = 130


def explain(error: BaseException) -> tuple[int, list[str]]:
    """The exit code and the lines for an error that ended a command."""
    from tradesense.core import errors  # noqa: PLC0415  # a command that ends well need not pay for it

    error = _first(error)
    if isinstance(error, OSError) and is_lost(error):
        forget()
        return FAILED, [] if isinstance(error, BrokenPipeError) else [unwritable(error)]
    if isinstance(error, errors.SettingsInvalid):
        return CONFIGURATION, [safe(problem.line()) for problem in error.problems if problem.level != "info"]
    if isinstance(error, errors.TradeSenseError):
        return _code(error), [f"error: {safe(error.line())}"]
    if isinstance(error, ModuleNotFoundError) and error.name:
        return CONFIGURATION, [f"error: {error.name} is not installed; pip install 'tradesense[server]'"]
    # The text of an error that nobody foresaw may hold anything, a secret too; its place helps as much.
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    what = f"{type(error).__name__}{place}"
    return FAILED, [f"error: internal error: {what}; `tradesense --traceback …` shows more, please report it"]


def unwritable(error: OSError) -> str:
    """The line for a standard output that takes nothing."""
    return f"error: the output cannot be written: {error.strerror or type(error).__name__}"


def _code(error: Exception) -> int:
    from tradesense.core import errors  # noqa: PLC0415  # as above

    if isinstance(error, errors.ConfigurationError):
        return CONFIGURATION
    return UNAVAILABLE if isinstance(error, errors.Unavailable) else FAILED


def _first(error: BaseException) -> BaseException:
    """The error itself where tasks have wrapped it in groups."""
    inner: list[BaseException] = list(getattr(error, "exceptions", ()))
    return _first(inner[0]) if inner else error
