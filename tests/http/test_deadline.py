"""A handler that takes too long is cancelled and answered for; an answer that has begun is not."""

from __future__ import annotations

import asyncio
import json

import pytest
from talking import ask

from tradesense.entrypoints.container import open_container
from tradesense.entrypoints.http.app import create_app
from tradesense.entrypoints.http.deadline import Deadline
from tradesense.settings.load import load

CONFIG = "/api/v1/config"


@pytest.fixture
async def bounded(tmp_path):
    env = {"ENVIRONMENT": "testing", "TRADESENSE_HTTP__ANSWER_WITHIN": "0.2"}
    loaded = load(env, directory=tmp_path)
    async with open_container(loaded.settings, plugins=loaded.plugins) as services:
        yield services


async def test_a_handler_that_hangs_is_cancelled_and_503_answered(bounded, monkeypatch):
    ended = []

    async def hangs(*_, **__):
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(1)

    app = create_app(bounded)
    monkeypatch.setattr(app._app._app, "_app", hangs)
    answer = await ask(app, "GET", CONFIG)
    assert answer.status == 503
    problem = json.loads(answer.body)
    assert problem["type"].endswith("answer-timed-out")
    assert answer.headers["retry-after"] == "2"
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert ended == [1]


async def test_what_is_quick_is_answered(bounded):
    assert (await ask(create_app(bounded), "GET", CONFIG)).status == 200


async def test_an_answer_that_has_begun_may_take_its_time(bounded, monkeypatch):
    async def streams(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(0.5)  # more than the handler has: that is the experiment
        await send({"type": "http.response.body", "body": b"late", "more_body": False})

    app = create_app(bounded)
    monkeypatch.setattr(app._app._app, "_app", streams)
    answer = await ask(app, "GET", CONFIG)
    assert (answer.status, answer.body) == (200, b"late")


async def test_a_time_out_of_the_handlers_own_stays_its_own(bounded, monkeypatch):
    async def raises(*_):
        raise TimeoutError

    app = create_app(bounded)
    assert isinstance(app._app._app, Deadline)
    monkeypatch.setattr(app._app._app, "_app", raises)
    assert (await ask(app, "GET", CONFIG)).status == 500
