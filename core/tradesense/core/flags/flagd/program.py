"""A flag's JsonLogic as a decision of the engine."""

from __future__ import annotations

from collections.abc import Callable

from tradesense.core.flags.flagd.custom import CUSTOM, fractional
from tradesense.core.flags.flagd.frame import ExhaustedError, Expression, Frame
from tradesense.core.flags.flagd.logic import Compiler, InvalidLogicError
from tradesense.core.flags.flagd.values import text
from tradesense.core.flags.models import Context, ErrorCode, Evaluation, Flag, Reason
from tradesense.core.flags.toolkit import Toolkit

Decision = Callable[[Context], Evaluation | None]


def compile_logic(flag: Flag, toolkit: Toolkit) -> Expression:
    """The flag's targeting as a function.

    :raises InvalidLogicError: it is no JsonLogic.
    """
    operators = {**CUSTOM, "fractional": fractional(flag.key, flag.generation, toolkit.hash32)}
    variables = {"$flagd.flagKey": lambda: flag.key, "$flagd.timestamp": lambda: int(toolkit.now())}
    return Compiler(operators, variables).compile(flag.targeting, "targeting")


def compile_targeting(flag: Flag, toolkit: Toolkit) -> Decision:
    """What the targeting decides: a variant, or nothing, in which case the default is served."""
    try:
        logic = compile_logic(flag, toolkit)
    except InvalidLogicError as error:
        broken = _failure(flag, ErrorCode.PARSE_ERROR, str(error))
        return lambda _: broken
    answers = {
        name: Evaluation(key=flag.key, value=value, variant=name, reason=Reason.TARGETING_MATCH, metadata=flag.metadata)
        for name, value in flag.variants.items()
    }
    exhausted = _failure(flag, ErrorCode.GENERAL, "the targeting takes too many steps")

    def decide(context: Context) -> Evaluation | None:
        try:
            found = logic(Frame(context))
        except ExhaustedError:
            return exhausted
        if found is None:
            return None
        answer = answers.get(found if isinstance(found, str) else text(found))
        if answer is None:
            return _failure(flag, ErrorCode.GENERAL, "the targeting chose a variant that the flag does not have")
        return answer

    return decide


def _failure(flag: Flag, code: ErrorCode, details: str) -> Evaluation:
    return Evaluation(key=flag.key, reason=Reason.ERROR, error_code=code, error_details=details, metadata=flag.metadata)
