"""The provider for OpenFeature's own SDK: it evaluates here as the server does, and follows its changes."""

from __future__ import annotations

import secrets
import threading

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent
from openfeature.exception import ErrorCode, GeneralError

import servers
from tradesense.entrypoints.openfeature import TradeSenseProvider

PATIENCE = 60.0
"""Seconds that a busy machine may take."""
SPLIT = [{"variant": "b", "percent": 50}, {"variant": "a", "percent": 50}]
KINDS = {
    "boolean": (False, True),
    "string": ("hi", "bye"),
    "integer": (1, 2),
    "float": (0.5, 1.5),
    "object": ({"a": [1]}, {"b": [2]}),
}


@pytest.fixture
def provider(server, admin_token):
    provider = TradeSenseProvider(server.url, lambda: admin_token, timeout=PATIENCE)
    yield provider
    provider.shutdown()


def test_it_evaluates_in_this_process_as_the_server_does_and_follows_changes(admin, provider):
    base = f"of-{secrets.token_hex(6)}"
    admin.put(f"/api/v1/segments/{base}", json={"included": ["chosen"]}).raise_for_status()
    rules = [
        {"conditions": [{"operator": "in_segment", "values": [base]}], "variant": "b"},
        {"conditions": [{"attribute": "mail", "operator": "matches", "values": ["@example\\.org$"]}], "variant": "b"},
        {"shares": SPLIT},
    ]
    for kind, (first, second) in KINDS.items():
        body = {"variants": {"a": first, "b": second}, "default_variant": "a", "rules": rules}
        admin.put(f"/api/v1/flags/{base}-{kind}", json=body).raise_for_status()
    api.set_provider_and_wait(provider, base)
    client = api.get_client(base)
    for kind, (first, second) in KINDS.items():
        details = getattr(client, f"get_{kind}_details")
        for subject, more in (("chosen", {}), ("u", {"mail": "x@example.org"})):
            found = details(f"{base}-{kind}", first, EvaluationContext(subject, more))
            assert (found.value, found.variant, found.reason) == (second, "b", "TARGETING_MATCH")
        for number in range(20):
            context = {"targetingKey": f"u{number}"}
            asked = admin.post(f"/ofrep/v1/evaluate/flags/{base}-{kind}", json={"context": context}).json()
            found = details(f"{base}-{kind}", first, EvaluationContext(f"u{number}"))
            assert (found.value, found.variant, found.reason) == (asked["value"], asked["variant"], "SPLIT")
    given = client.get_object_value(f"{base}-object", {}, EvaluationContext("chosen"))
    given["b"].append(3)
    assert client.get_object_value(f"{base}-object", {}, EvaluationContext("chosen")) == {"b": [2]}
    assert client.get_boolean_details(f"{base}-none", True).error_code is ErrorCode.FLAG_NOT_FOUND
    wrong = client.get_boolean_details(f"{base}-string", True, EvaluationContext("chosen"))
    assert (wrong.value, wrong.error_code) == (True, ErrorCode.TYPE_MISMATCH)
    assert client.get_boolean_details(f"{base}-boolean", True).error_code is ErrorCode.TARGETING_KEY_MISSING

    def is_off():
        return client.get_boolean_details(f"{base}-boolean", True, EvaluationContext("chosen")).reason == "DISABLED"

    changed = threading.Event()
    client.add_handler(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, lambda _: changed.set())
    assert not is_off()
    admin.patch(f"/api/v1/flags/{base}-boolean", json={"enabled": False}).raise_for_status()
    while not is_off():
        assert changed.wait(PATIENCE), "the change was not told"
        changed.clear()
    assert client.get_boolean_value(f"{base}-boolean", True, EvaluationContext("chosen")) is True
    provider.shutdown()
    assert is_off(), "what is known goes on"


def test_a_server_that_is_away_is_told_and_asked_again():
    provider = TradeSenseProvider(f"http://127.0.0.1:{servers.free_port()}", lambda: "key", timeout=0.2)
    with pytest.raises(GeneralError, match="does not answer"):
        provider.initialize(EvaluationContext())
    found = provider.resolve_boolean_details("f", True)
    assert (found.value, found.error_code) == (True, ErrorCode.PROVIDER_NOT_READY)
    provider.shutdown()


def test_a_key_that_may_not_is_told_without_it(server):
    provider = TradeSenseProvider(server.url, lambda: "wrong-key", timeout=PATIENCE / 60)
    with pytest.raises(GeneralError, match=r"401 Unauthorized|not answered yet") as told:
        provider.initialize(EvaluationContext())
    assert "wrong-key" not in str(told.value)
    provider.shutdown()


@pytest.mark.parametrize("url", ["", "flags.example.com", "ftp://x"])
def test_what_is_no_address_is_refused(url):
    with pytest.raises(ValueError, match="is not the address of a server"):
        TradeSenseProvider(url, lambda: "key")
