"""What evaluating flags costs, beside the engines of others, in turns in one process."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from timeit import timeit

import httpx2
from measuring import Row

import flagkit
from tradesense.core.flags.models import StoredFlag

ROUNDS, REPEATS = 5_000, 15
MANY = 10_000
BULK = 1_000
CONTEXT = {"targetingKey": "user-12345", "id": "user-12345", "a": "1", "b": "2", "c": "3", "d": "4", "e": "x"}
ATTRIBUTES = "abcde"


def micros(*calls: Callable[[], object]) -> list[float]:
    """The least that each call takes, in microseconds, all of them in turn."""
    found = [float("inf")] * len(calls)
    for _ in range(REPEATS):
        for at, call in enumerate(calls):
            found[at] = min(found[at], timeit(call, number=ROUNDS) / ROUNDS * 1e6)
    return found


def rules():
    return [flagkit.when(flagkit.condition("in", "x", attribute=name)) for name in ATTRIBUTES]


def split():
    return flagkit.when(shares=flagkit.shares(on=50, off=50))


def ours(kind: str) -> Callable[[], object]:
    """A flag of this kind: the value with reason and variant."""
    made = {"boolean": [], "split": [split()], "rules": rules()}[kind]
    evaluate = flagkit.compiled(flagkit.flag(*made))
    return lambda: evaluate(CONTEXT)


def growthbook(kind: str) -> Callable[[], object]:
    from growthbook import GrowthBook  # noqa: PLC0415  # a peer of these rows alone

    features = {
        "boolean": {"defaultValue": True},
        "split": {
            "defaultValue": False,
            "rules": [{"variations": [True, False], "coverage": 1, "weights": [0.5, 0.5], "hashAttribute": "id"}],
        },
        "rules": {
            "defaultValue": False,
            "rules": [{"condition": {name: "x"}, "force": True} for name in ATTRIBUTES],
        },
    }
    engine = GrowthBook(attributes=CONTEXT, features=features)
    return lambda: engine.eval_feature(kind)


def flagd_core() -> Callable[[], object]:
    from openfeature.contrib.tools.flagd.core import FlagdCore  # noqa: PLC0415  # a peer of these rows alone
    from openfeature.evaluation_context import EvaluationContext  # noqa: PLC0415  # the same

    targeting = {"fractional": [["on", 50], ["off", 50]]}
    flag = {"state": "ENABLED", "variants": flagkit.VARIANTS, "defaultVariant": "off", "targeting": targeting}
    engine, context = FlagdCore(), EvaluationContext("user-12345", CONTEXT)
    engine.set_flags(json.dumps({"flags": {"f": flag}}))
    return lambda: engine.resolve_boolean_value("f", False, context)  # its signature


def unleash() -> Callable[[], object]:
    from yggdrasil_engine.engine import UnleashEngine  # noqa: PLC0415  # the engine of UnleashClient

    strategy = {"name": "flexibleRollout", "parameters": {"rollout": "50", "stickiness": "userId", "groupId": "f"}}
    engine = UnleashEngine()
    engine.take_state(
        json.dumps({"version": 2, "features": [{"name": "f", "enabled": True, "strategies": [strategy]}]})
    )
    return lambda: engine.is_enabled("f", {"userId": "user-12345"})


def flagsmith() -> Callable[[], object]:
    from flag_engine.engine import get_evaluation_result  # noqa: PLC0415  # a peer of these rows alone

    variants = [{"value": value, "weight": 50, "priority": at} for at, value in enumerate(("on", "off"))]
    feature = {"key": "1", "name": "f", "enabled": True, "value": None, "variants": variants}
    context = {
        "environment": {"key": "e", "name": "e"},
        "identity": {"identifier": "u", "key": "u", "traits": {}},
        "features": {"f": feature},
    }
    return lambda: get_evaluation_result(context)


def pair(kind: str) -> tuple[float, float]:
    """Ours and growthbook's."""
    one, other = micros(ours(kind), growthbook(kind))
    return one, other


def quickest_other() -> tuple[float, float]:
    """A roll-out of 50 %: ours, and the quickest of flagd-core, Unleash and Flagsmith."""
    one, *others = micros(ours("split"), flagd_core(), unleash(), flagsmith())
    return one, min(others)


def library(count: int = 0):
    return flagkit.library(*(flagkit.flag(split(), *rules(), key=f"f{number}") for number in range(count)))


def growth() -> tuple[float, float]:
    """One flag of 10,000 and one of 10."""
    many, few = library(MANY), library(10)
    one, other = micros(lambda: many.evaluate("f5", CONTEXT), lambda: few.evaluate("f5", CONTEXT))
    return one, other


def bulk() -> float:
    """Milliseconds for all of 1,000 flags."""
    flags = library(BULK)
    return min(timeit(lambda: flags.evaluate_all(CONTEXT), number=1) for _ in range(REPEATS)) * 1e3


def compiling() -> float:
    """Seconds of CPU for 10,000 flags."""
    made = library()
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    flags = [flagkit.flag(split(), *rules(), key=f"f{number}") for number in range(MANY)]
    stored = [StoredFlag(flag=one, revision=1, updated_at=moment) for one in flags]
    before = time.process_time()
    made.load(stored)
    return time.process_time() - before


QUESTION = b'{"context":{"targetingKey":"user-1"}}'


def over_http(server) -> tuple[str, dict[str, str]]:
    """Where one flag of a running server is asked for, and with which headers."""
    flag = {"variants": {"on": True, "off": False}, "default_variant": "off"}
    with httpx2.Client(base_url=server.url) as client:
        body = {"email": server.admin_email, "password": server.admin_password, "mode": "token"}
        token = client.post("/api/v1/auth/login", json=body).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        client.put("/api/v1/flags/p03", json=flag, headers=headers).raise_for_status()
    return f"{server.url}/ofrep/v1/evaluate/flags/p03", headers


def p11() -> Row:
    return Row("P11", "flag: boolean", *pair("boolean"), "us", 1 / 10)


def p11b() -> Row:
    return Row("P11b", "flag: 50 % roll-out", *pair("split"), "us", 1 / 10)


def p11c() -> Row:
    return Row("P11c", "flag: 5 rules", *pair("rules"), "us", 1 / 12)


def p11d() -> Row:
    return Row("P11d", "50 %: flagd, Unleash, Flagsmith", *quickest_other(), "us", 1)


def p21() -> Row:
    return Row("P21", "flags 10 to 10,000: one evaluation", *growth(), "us", 1.5)


def p21b() -> Row:
    return Row("P21b", "1,000 flags in bulk", bulk(), 1.0, "ms", 5, absolute=True)


def p21c() -> Row:
    return Row("P21c", "compile 10,000 flags", compiling(), 1.0, "s CPU", 2, absolute=True)


ROWS = (p11, p11b, p11c, p11d, p21, p21b, p21c)
