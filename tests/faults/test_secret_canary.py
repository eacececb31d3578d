"""A canary that is pushed through every operation on secrets is found nowhere but where it was asked for."""

from __future__ import annotations

import base64
import secrets

import pytest

from tradesense.core.audit.models import Actor
from tradesense.core.errors import TradeSenseError
from tradesense.core.sensitive import Secret
from tradesense.entrypoints.container import open_container
from tradesense.entrypoints.database import upgrade_database
from tradesense.settings.load import load

TESTS = Actor(kind="operator", id="tests")
ROTATION = {
    "TRADESENSE_SECRETS__ROTATION__KEY__PATH": "a/key",
    "TRADESENSE_SECRETS__ROTATION__KEY__EVERY": "3600",
}


async def test_R52_a_canary_is_in_no_log_metric_error_audit_row_or_database_file(tmp_path, caplog):
    canary = f"canary-{secrets.token_hex(12)}"
    value = Secret(f'{{"password":"{canary}"}}')
    loaded = load({"TRADESENSE_STATE_DIR": f"{tmp_path}/var", **ROTATION}, directory=tmp_path)
    caplog.set_level("DEBUG")
    await upgrade_database(loaded.settings)
    told = []
    async with open_container(loaded.settings, plugins=loaded.plugins) as services:
        room = services.secrets
        await room.put("a/key", value, actor=TESTS)
        assert (await room.get("a/key", actor=TESTS)).value == value
        await room.patch("a/key", {"user": canary}, actor=TESTS)
        await room.rollback("a/key", 1, actor=TESTS)
        await services.rotation.rotate("a/key", actor=TESTS)
        await services.keys.rewrap(actor=TESTS)
        for wrong in (
            room.put("a/key", value, cas=99, actor=TESTS),
            room.put("a/../b", value, actor=TESTS),
            room.put("a/key", Secret(canary * 4000), actor=TESTS),
            room.patch("a/key", {"user": canary}, actor=TESTS),
            room.rollback("a/key", 99, actor=TESTS),
            room.undelete("a/key", [99], actor=TESTS),
        ):
            with pytest.raises(TradeSenseError) as refused:
                await wrong
            told += [repr(refused.value), refused.value.line(), str(refused.value.__cause__)]
        rows = [record async for record in _all(services.trail)]
        assert {row.entry.action for row in rows} >= {
            "secrets.put",
            "secrets.rotate",
            "secrets.rollback",
            "keys.rewrap",
        }
        assert services.scrape is not None
        told += [str(rows), services.scrape.scrape()[1].decode(), caplog.text]
    kept = b"".join(path.read_bytes() for path in (tmp_path / "var").rglob("*") if path.is_file())
    assert kept, "the database is a file here"
    for form in (canary.encode(), base64.b64encode(value.reveal_bytes()), canary.encode().hex().encode()):
        assert form not in kept
        assert form.decode() not in "".join(told)


async def _all(trail):
    cursor = None
    while True:
        page = await trail.read(cursor=cursor, limit=100)
        for record in page.items:
            yield record
        if (cursor := page.cursor) is None:
            return
