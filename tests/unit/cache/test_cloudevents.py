"""CloudEvents as their specification has them, 1.0.2."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from tradesense.core.cache.cloudevents import CloudEvent, decode, encode
from tradesense.core.cache.models import MAX_MESSAGE
from tradesense.core.errors import EventTooLarge, InvalidEvent

LEAST = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def event(**more):
    return CloudEvent(**{"id": "1", "source": "/s", "type": "t", **more})


def text(**more):
    return json.dumps({**LEAST, **more}).encode()


@pytest.mark.parametrize(
    "made",
    [
        event(),
        event(data=None),
        event(data={"deep": [1, 2.5, "Ünï 🦄", None, True]}),
        event(data=b"\x00\xff", datacontenttype="application/octet-stream"),
        event(data="<a/>", datacontenttype='text/xml; charset="utf-8"'),
        event(time=datetime(2026, 1, 2, 3, 4, 5, 678, UTC), subject="s", dataschema="https://example.org/s#1"),
        event(extensions={"traceparent": TRACE, "tracestate": "a=b", "count": -(2**31), "flag": False, "a1": ""}),
        event(source="urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66", id="Ünï"),
    ],
)
def test_what_is_encoded_is_decoded(made):
    assert decode(encode(made)) == made
    assert b"\n" not in encode(made)


def test_the_json_is_the_specifications():
    assert json.loads(encode(event(data=b"ab", extensions={"n": 1}))) == {**LEAST, "data_base64": "YWI=", "n": 1}
    assert decode(text(subject=None, n=None, data=None)) == event(data=None)
    assert decode(text(time="2026-01-02T03:04:05+02:00")).time == datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)
    assert decode(text(traceparent=TRACE)).traceparent == TRACE
    assert event().traceparent == ""


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"specversion": None}, "specversion"),
        ({"id": None}, "id"),
        ({"id": ""}, "id"),
        ({"id": 1}, "id"),
        ({"id": "a\nb"}, "id"),
        ({"type": "\ufffe"}, "type"),
        ({"source": ""}, "source"),
        ({"source": "a b"}, "source"),
        ({"source": "%zz"}, "source"),
        ({"subject": ""}, "subject"),
        ({"dataschema": "/relative"}, "dataschema"),
        ({"datacontenttype": "json"}, "datacontenttype"),
        ({"datacontenttype": "a/b; c"}, "datacontenttype"),
        ({"time": "2026-01-02"}, "time"),
        ({"time": "2026-01-02T03:04:05"}, "time"),
        ({"time": 1}, "time"),
        ({"data": 1, "data_base64": "YQ=="}, "data_base64"),
        ({"data_base64": "?"}, "data_base64"),
        ({"data_base64": 1}, "data_base64"),
        ({"Upper": 1}, "extension"),
        ({"under_score": 1}, "extension"),
        ({"n": 2**31}, "32 bits"),
        ({"n": 1.5}, "n is"),
        ({"n": {}}, "n is"),
        ({"traceparent": "00-1-2-3"}, "traceparent"),
        ({"traceparent": 1}, "traceparent"),
    ],
)
def test_what_the_specification_does_not_allow_is_refused(change, word):
    with pytest.raises(InvalidEvent, match=word):
        decode(json.dumps({**LEAST, **change}).encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("message", [b"", b"[]", b"1", b"{", b"\xff", b"[" * 50_000])
def test_what_is_no_object_is_refused(message):
    with pytest.raises(InvalidEvent):
        decode(message)


def test_what_has_no_json_form_is_refused():
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    for data in (object(), {1j: 1}, "\ud800", deep):
        with pytest.raises(InvalidEvent):
            encode(event(data=data))
    with pytest.raises(InvalidEvent, match="time"):
        encode(event(time=datetime(2026, 1, 1)))  # noqa: DTZ001  # without a zone on purpose
    with pytest.raises(InvalidEvent, match="extension"):
        encode(event(extensions={"data": 1}))


def test_the_largest_event_is_the_one_that_everyone_forwards():
    room = MAX_MESSAGE - len(encode(event(data="")))
    assert len(encode(event(data="x" * room))) == MAX_MESSAGE
    with pytest.raises(EventTooLarge):
        encode(event(data="x" * (room + 1)))
    with pytest.raises(EventTooLarge):
        decode(text(data="x" * MAX_MESSAGE))
