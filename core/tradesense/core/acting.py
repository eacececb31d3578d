"""Who acts in a handler that no request's guard stands before: a command, a job, a subscriber to events.

Every such handler declares one :class:`Acting`, by one of the three decorators here. It says in whose name the handler
acts, what a caller over HTTP would need for the same, and what it may leave on the audit trail; the trail refuses
anything else while the handler runs, and with it the change that it is of.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from tradesense.core.errors import ConfigurationError

F = TypeVar("F", bound=Callable[..., Any])

DECLARED = "__acting__"
"""The attribute of a handler that holds its :class:`Acting`."""

MEND = "put @as_operator(...), @at_machine() or @as_system(...) of tradesense.core.acting on it, once"


class Who(StrEnum):
    """In whose name a handler acts."""

    OPERATOR = "operator"
    """Somebody at the machine, who has the deployment's settings and keys, and with them every permission."""
    SYSTEM = "system"
    """The platform itself."""


@dataclass(frozen=True, slots=True)
class Acting:
    """What a handler declared. No msgspec: every command pays for its import."""

    who: Who
    permission: str = ""
    """What a caller over HTTP needs for the same, as in ``users:write``; empty where nothing of the platform's is
    touched, and for what only the platform itself does."""
    audited: tuple[str, ...] = ()
    """The actions that it may leave on the audit trail, as in ``identity.disable``."""


def as_operator(permission: str, *audited: str) -> Callable[[F], F]:
    """Declare a command that does what takes ``permission`` over HTTP.

    :param audited: the actions that it may leave on the audit trail; none for one that only reads.
    :raises ConfigurationError: the handler has declared something already.
    """
    return _declares(Acting(Who.OPERATOR, permission, audited))


def at_machine(*audited: str) -> Callable[[F], F]:
    """Declare a command for which HTTP has no permission: it looks at this machine, or runs the platform on it.

    :param audited: as of :func:`as_operator`.
    :raises ConfigurationError: as :func:`as_operator`.
    """
    return _declares(Acting(Who.OPERATOR, "", audited))


def as_system(*audited: str) -> Callable[[F], F]:
    """Declare a handler of jobs or of events, in which the platform itself acts.

    :param audited: as of :func:`as_operator`.
    :raises ConfigurationError: as :func:`as_operator`.
    """
    return _declares(Acting(Who.SYSTEM, "", audited))


def _declares(acting: Acting) -> Callable[[F], F]:
    def declare(handler: F) -> F:
        if getattr(handler, DECLARED, None) is not None:
            raise _wrong(f"{_name(handler)} declares twice who acts in it")
        setattr(handler, DECLARED, acting)
        return handler

    return declare


def declared(handler: Callable[..., Any] | None, what: str, *, who: Who) -> Acting:
    """What ``handler`` declared.

    :param what: the handler in words, for the error.
    :param who: in whose name a handler of its kind acts.
    :raises ConfigurationError: it has declared nothing, or that somebody else acts.
    """
    found = getattr(handler, DECLARED, None)
    if not isinstance(found, Acting):
        raise _wrong(f"{what} does not declare who acts in it")
    if found.who is not who:
        raise _wrong(f"in {what} the {who} acts, and it declares the {found.who}")
    return found


_running: ContextVar[Acting | None] = ContextVar("tradesense_acting", default=None)
"""What the handler declared that this task runs; none in a request, whose route has a guard of its own."""


@contextmanager
def acting(given: Acting) -> Generator[None]:
    """Let the trail take nothing but what ``given`` names, in this task and those that it begins."""
    token = _running.set(given)
    try:
        yield
    finally:
        _running.reset(token)


def check_audited(action: str) -> None:
    """Go on only if the handler that runs declared that it may leave ``action`` on the trail.

    :raises ConfigurationError: it did not.
    """
    running = _running.get()
    if running is not None and action not in running.audited:
        raise _wrong(f"the handler that runs does not declare the action {action}", "name it there")


def _name(handler: Callable[..., Any]) -> str:
    return str(getattr(handler, "__qualname__", handler))


def _wrong(message: str, mend: str = MEND) -> ConfigurationError:
    from tradesense.core.errors import ConfigurationError  # noqa: PLC0415  # heavy: a command's `--help` need not pay for it

    return ConfigurationError(message, mend=mend)
