"""Flags on the command line: explained, imported from flagd's document and exported to it."""

from __future__ import annotations

import json
from pathlib import Path

FLAG = {"variants": {"on": True, "off": False}, "default_variant": "off"}
TARGETING = {"if": [{"$ref": "is_pro"}, "on", None]}
DOCUMENT = {
    "flags": {
        "new": {"state": "ENABLED", "variants": FLAG["variants"], "defaultVariant": "off", "targeting": TARGETING}
    },
    "$evaluators": {"is_pro": {"==": [{"var": "plan"}, "pro"]}},
}


def test_a_document_of_flagd_is_imported_explained_and_exported(cli, read, place: Path):
    (place / "flags.json").write_text(json.dumps(DOCUMENT))
    assert read("flags", "import", "flags.json", "--format", "flagd") == [{"key": "new", "revision": 1}]
    assert read("flags", "eval", "new", "--context", '{"plan": "pro"}')["value"] is True
    found = read("flags", "explain", "new", "--context", '{"plan": "free"}')
    assert [step["path"] for step in found["steps"]] == ["targeting", "default_variant"]
    exported = json.loads(cli("flags", "export").stdout)
    assert exported["flags"]["new"]["targeting"]["if"][1:] == ["on", None]


def test_a_document_with_a_fault_is_imported_not_at_all(cli, read, place: Path):
    broken = {"state": "ENABLED", "variants": FLAG["variants"], "defaultVariant": "maybe"}
    (place / "flags.json").write_text(json.dumps({"flags": {**DOCUMENT["flags"], "broken": broken}}))
    done = cli("flags", "import", "flags.json")
    assert done.exit_code == 1
    assert "broken.default_variant" in done.stderr
    assert "new.targeting.if[0].$ref" in done.stderr
    assert read("flags", "list") == []


def test_flags_and_segments_have_histories_and_go_back(cli, read):
    assert cli("segments", "set", "pros", "-", stdin='{"included": ["u1"]}').exit_code == 0
    rule = {"conditions": [{"operator": "in_segment", "values": ["pros"]}], "variant": "on"}
    expired = json.dumps({**FLAG, "rules": [rule], "expires": "2020-01-01T00:00:00Z"})
    assert read("flags", "set", "new", "-", stdin=expired)["revision"] == 1
    assert [row["key"] for row in read("flags", "list", "--stale")] == ["new"]
    assert "flag new" in cli("segments", "delete", "pros").stderr
    assert read("segments", "set", "pros", "-", stdin='{"excluded": ["u1"]}')["revision"] == 2
    assert read("segments", "rollback", "pros", "1", "--expected", "2")["revision"] == 3
    assert json.loads(cli("segments", "get", "pros").stdout) == {"key": "pros", "included": ["u1"]}
    assert [row["revision"] for row in read("segments", "history", "pros")] == [1, 2, 3]
    assert cli("flags", "delete", "new").exit_code == 0
    assert read("flags", "rollback", "new", "1")["revision"] == 3
    history = read("flags", "history", "new")
    assert [one["deleted"] for one in history] == [False, True, False]
    assert history[0]["digest"] == history[2]["digest"]


def test_the_results_of_an_experiment_are_printed_and_written_as_a_page(cli, place: Path):
    share = {"variant": "on", "percent": 50}
    split = {**FLAG, "rules": [{"shares": [share]}], "experiment": {"control": "off"}}
    assert cli("flags", "set", "new", "-", stdin=json.dumps(split)).exit_code == 0
    done = cli("flags", "results", "new", "--report", "out.html")
    assert done.exit_code == 0, done.output
    assert "off" in done.stdout
    assert "<svg" in (place / "out.html").read_text()
    assert cli("flags", "results", "absent").exit_code == 1


def test_a_change_is_proposed_listed_and_taken_back_but_not_made(cli, read, monkeypatch):
    assert cli("flags", "set", "new", "-", stdin=json.dumps(FLAG)).exit_code == 0
    timed = read("flags", "propose", "new", "--remove", "--at", "2999-01-01T00:00", "--reason", "old")
    assert timed["state"] == "scheduled"
    assert cli("flags", "changes", "withdraw", timed["id"]).exit_code == 0
    monkeypatch.setenv("TRADESENSE_FLAGS__REVIEW", "true")
    refused = cli("flags", "set", "new", "-", stdin=json.dumps(FLAG))
    assert refused.exit_code == 1
    assert "flags propose KEY FILE" in refused.stderr
    request = read("flags", "propose", "new", "-", "--expected", "1", stdin=json.dumps(FLAG))
    assert request["state"] == "pending"
    assert [row["state"] for row in read("flags", "changes", "list")] == ["withdrawn", "pending"]
    assert read("flags", "changes", "list", "--state", "pending")[0]["id"] == request["id"]
    shown = json.loads(cli("flags", "changes", "show", request["id"]).stdout)
    assert shown["proposed_by"]["kind"] == "operator"
    assert read("flags", "changes", "reject", request["id"], "--note", "no")["state"] == "rejected"
    assert "no such command" in cli("flags", "changes", "approve", request["id"]).stderr.lower()
    assert read("flags", "switch", "new", "off") == {"key": "new", "enabled": False, "revision": 2}
    assert cli("flags", "switch", "new", "on").exit_code == 1
    assert cli("flags", "propose", "new").exit_code == 2
