"""What the documentation says that adapters have proved is what they declare, rule by rule."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tradesense.plugins.manager import load

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "docs"))

import contracts  # noqa: E402  # after the path

MEND = "run `python docs/contracts.py {room}`, then `python docs/generate.py`"


def _offered(room):
    return {
        (offer.adapter.port.__name__, offer.adapter.name): offer.adapter
        for offer in load().registry.offers()
        if offer.distribution == "tradesense" and offer.adapter.room == room
    }


def disagreements(room, ports):
    """What in a record of the room's suites is not as the adapters declare it and the contracts ask it."""
    offered, found = _offered(room), []
    for port, record in ports.items():
        rules, needs = record["rules"], contracts.needs(port)
        found += [f"{port}: {rule} is no rule" for rule in rules.keys() - needs.keys()]
        found += [f"{port}: {rule} was not run" for rule in needs.keys() - rules.keys()]
        for title, declared in record["adapters"].items():
            adapter = offered.get((port, title.partition(" ")[0]))
            if adapter is None or sorted(adapter.capabilities) != declared:
                found.append(f"{port}: {title} was run with {declared}, which it does not declare")
                continue
            for rule in rules.keys() & needs.keys():
                lacking = [need for need in needs[rule] if need not in declared]
                allowed = {*lacking} or {contracts.PASSED, contracts.NOTHING}
                if rules[rule].get(title) not in allowed:
                    found.append(f"{port}: {title} and {rule}: {rules[rule].get(title)!r}, not one of {allowed}")
    told = {(port, title.partition(" ")[0]) for port, record in ports.items() for title in record["adapters"]}
    return found + [
        f"{port}: {name} was not run" for port, name in offered if port in ports and (port, name) not in told
    ]


@pytest.mark.parametrize("room", [path.stem for path in sorted(contracts.KEPT.glob("*.json"))])
def test_every_adapter_has_proved_what_it_declares(room):
    assert not (found := disagreements(room, contracts.kept(room))), "\n".join([*found, MEND.format(room=room)])


def test_a_record_that_disagrees_is_found():
    def broken(change):
        ports = contracts.kept("secrets")
        change(ports["SecretStore"])
        return disagreements("secrets", ports)

    def says(rule, outcome):
        return lambda record: record["rules"][rule].update(vault=outcome)

    assert broken(lambda record: record["adapters"].pop("vault"))
    assert broken(lambda record: record["adapters"]["vault"].remove("cas"))
    assert broken(lambda record: record["rules"].pop("test_a_closed_store_says_so"))
    assert broken(lambda record: record["rules"].update(test_nothing={}))
    assert broken(says("test_a_closed_store_says_so", "write"))
    assert broken(says("test_a_staged_version_is_not_visible_until_it_is_promoted", contracts.PASSED))
    assert broken(says("test_absent_versions_are_not_found", contracts.NOTHING + "?"))


def test_a_record_is_the_same_in_whatever_order_the_tests_ended():
    ports = contracts.kept("secrets")
    turned = {
        name: {key: dict(reversed(part.items())) for key, part in port.items()}
        for name, port in reversed(ports.items())
    }
    assert contracts.written(turned) == contracts.written(ports)
    assert contracts.written(ports) == (contracts.KEPT / "secrets.json").read_text(encoding="utf-8")
