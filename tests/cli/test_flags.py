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
