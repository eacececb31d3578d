"""What an expression sees while it is evaluated, and how much it may still do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tradesense.core.flags.models import Context

BUDGET = 5_000
"""Steps of one evaluation. A step is an element looked at, or 100 characters made."""
CHARACTERS = 100


class ExhaustedError(Exception):
    """The expression does more than an evaluation may. It does not leave the dialect."""


class Frame:
    """One evaluation."""

    __slots__ = ("data", "left", "root")

    def __init__(self, context: Context) -> None:
        self.root = context
        self.data: Any = context
        """What ``var`` looks into: the context, or the element that ``map`` and its like are at."""
        self.left = BUDGET

    def spend(self, steps: int) -> None:
        """Take ``steps`` from the budget.

        :raises ExhaustedError: there are not as many left.
        """
        self.left -= steps
        if self.left < 0:
            raise ExhaustedError


Expression = Callable[[Frame], Any]
