"""Every answer of OFREP is one that the protocol's own document describes.

Where the document says that exactly one of the value's schemas fits, it rules out every value: a whole number is also a
float, and everything is also an answer without a value. There, and only there, "one of" is read as "any of".
"""

from __future__ import annotations

import msgspec
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance

import conformancekit
from platform_process import serving

SUITE = conformancekit.folder("ofrep")
pytestmark = pytest.mark.skipif(SUITE is None, reason="there is no ../shared/conformance/ofrep")
EXAMPLES = 40
FLAGS = {
    "boolean": {"variants": {"on": True, "off": False}, "default_variant": "off"},
    "text": {"variants": {"a": "", "b": "x"}, "default_variant": "a", "metadata": {"team": "x", "n": 1, "y": True}},
    "number": {"variants": {"a": 1, "b": 1.5}, "default_variant": "a"},
    "object": {"variants": {"a": {}, "b": {"c": [1]}}, "default_variant": "b"},
    "off": {"variants": {"on": True}, "default_variant": "on", "enabled": False},
    "own-default": {"variants": {"on": True}, "default_variant": None},
    "split": {
        "variants": {"on": True},
        "default_variant": "on",
        "rules": [{"shares": [{"variant": "on", "percent": 50}]}],
    },
    "logic": {"variants": {"on": True}, "default_variant": "on", "targeting": {"fractional": [["on", 1]]}},
    "astray": {"variants": {"on": True}, "default_variant": "on", "targeting": {"cat": ["x"]}},
}


def document():
    found = msgspec.yaml.decode((SUITE / "openapi.yaml").read_bytes())
    success = found["components"]["schemas"]["evaluationSuccess"]["allOf"]
    for part in success:
        if "oneOf" in part:
            part["anyOf"] = part.pop("oneOf")
    return found


@pytest.fixture(scope="module")
def served():
    with serving({}) as server:
        yield server


@pytest.fixture(scope="module")
def bearer(served):
    import httpx2  # noqa: PLC0415  # this fixture alone

    with httpx2.Client(base_url=served.url, timeout=20, trust_env=False, verify=False) as client:
        body = {"email": served.admin_email, "password": served.admin_password, "mode": "token"}
        token = client.post("/api/v1/auth/login", json=body).json()["access_token"]
        for key, flag in FLAGS.items():
            client.put(
                f"/api/v1/flags/{key}", json=flag, headers={"Authorization": f"Bearer {token}"}
            ).raise_for_status()
    with requests.Session() as session:
        session.trust_env = False
        yield {"headers": {"Authorization": f"Bearer {token}"}, "session": session, "base_url": served.url}


def operations():
    return [] if SUITE is None else ["/ofrep/v1/evaluate/flags/{key}", "/ofrep/v1/evaluate/flags"]


@pytest.mark.parametrize("path", operations())
def test_every_answer_is_as_the_document_says(served, bearer, path):
    schema = schemathesis.openapi.from_dict(document())
    schema.config.update(base_url=served.url)
    operation = schema[path]["POST"]

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(case=operation.as_strategy())
    def check(case):
        case.call_and_validate(checks=[not_a_server_error, response_schema_conformance], **bearer)

    check()


def test_every_kind_of_flag_answers_as_the_document_says(bearer):
    schema = schemathesis.openapi.from_dict(document())
    one = schema["/ofrep/v1/evaluate/flags/{key}"]["POST"]
    every = schema["/ofrep/v1/evaluate/flags"]["POST"]
    for context in ({"targetingKey": "u"}, {}, {"targetingKey": 7}, []):
        for key in [*FLAGS, "absent"]:
            case = one.Case(path_parameters={"key": key}, body={"context": context}, media_type="application/json")
            case.call_and_validate(checks=[response_schema_conformance], **bearer)
        case = every.Case(body={"context": context}, media_type="application/json")
        case.call_and_validate(checks=[response_schema_conformance], **bearer)
