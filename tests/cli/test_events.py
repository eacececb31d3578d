"""Topics and dead letters by the command line, over a real server."""

from __future__ import annotations

import asyncio
import secrets
from itertools import groupby

import pytest

from tradesense.adapters.redis._client import RedisClients
from tradesense.adapters.redis._topics import RedisTopics
from tradesense.adapters.redis.settings import RedisSettings
from tradesense.core.cache.cloudevents import CloudEvent, encode
from tradesense.core.sensitive import Secret

HERE = ("orders", "billing")


@pytest.fixture
def on_valkey(valkey, monkeypatch):
    """The topics lie on the server, and three events were given up."""
    valkey_url, unique_prefix = valkey.url(0), f"t{secrets.token_hex(4)}:"
    monkeypatch.setenv("TRADESENSE_CACHE__TOPICS", "redis")
    monkeypatch.setenv("TRADESENSE_REDIS__URL", valkey_url)
    monkeypatch.setenv("TRADESENSE_REDIS__PREFIX", unique_prefix)
    monkeypatch.setenv("TRADESENSE_REDIS__TIMEOUT", "5")
    settings = RedisSettings(url=Secret(valkey_url), prefix=unique_prefix, timeout=5.0)

    async def bury():
        async with RedisClients(settings) as clients, RedisTopics(clients) as topics:
            await topics.join(*HERE)
            for number in range(4):
                event = CloudEvent(id=str(number), source="/tests", type="org.example.made", data={"n": number})
                await topics.publish(HERE[0], encode(event), retain=100)
            for delivery in (await topics.read(*HERE, "c", limit=4))[:3]:
                await topics.bury(HERE[1], delivery, "ValueError")

    asyncio.run(bury())


@pytest.mark.usefixtures("on_valkey")
def test_topics_are_listed_and_dead_letters_shown_replayed_and_dropped_with_a_row_in_the_trail(cli, read):
    (topic,) = read("events", "topics")
    assert (topic["topic"], topic["messages"]) == ("orders", 4)
    assert topic["groups"] == [{"group": "billing", "pending": 1, "dead": 3}]
    letters = read("events", "dead", *HERE)
    assert [(one["reason"], one["source"], one["attempts"]) for one in letters] == [("ValueError", "/tests", 1)] * 3
    first, second, third = (one["id"] for one in letters)
    assert read("events", "show", *HERE, second)["event"]["data"] == {"n": 1}
    assert read("events", "drop", *HERE, first) == {"dropped": 1}
    done = cli("events", "replay", *HERE, second, "1-1")
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1), done.output
    assert "there is no dead letter '1-1'" in done.stderr
    assert read("events", "replay", *HERE, "--all") == {"replayed": 2}, "nothing was changed by the one before"
    assert third not in cli("events", "dead", *HERE).stdout
    rows = [row for row in read("audit", "tail") if row["action"].startswith("events.")]
    assert {row["subject"] for row in rows} == {"orders billing"}
    assert all(row["actor"].startswith("operator") for row in rows)
    assert [action for action, _ in groupby(row["action"] for row in rows)] == ["events.discard", "events.replay"]


@pytest.mark.parametrize("word", ["replay", "drop"])
def test_which_dead_letters_is_said_once(bare, word):
    assert bare("events", word, *HERE).exit_code == 2
    assert bare("events", word, *HERE, "1-1", "--all").exit_code == 2
