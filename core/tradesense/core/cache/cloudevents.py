"""Events in the form of CloudEvents 1.0, and their JSON (the specification's JSON format, structured mode)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, cast

import msgspec
from msgspec import UNSET, Meta

from tradesense.core.cache.models import check_message
from tradesense.core.errors import InvalidEvent
from tradesense.core.telemetry.models import TraceContext

MEDIA_TYPE = "application/cloudevents+json"
VERSION = "1.0"

Extension = str | int | bool

_LEAST, _MOST = -(2**31), 2**31 - 1
_NAME = re.compile(r"[a-z0-9]+")
_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"  # noqa: S105  # RFC 9110's token
_MEDIA_TYPE = re.compile(rf'{_TOKEN}/{_TOKEN}(?:\s*;\s*{_TOKEN}=(?:{_TOKEN}|"[^"\\\x00-\x1f\x7f]*"))*')
_URI_REFERENCE = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_NOT_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef]")
_LAST_OF_PLANE = 0xFFFE


class CloudEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that has happened. ``source`` and ``id`` together name it: who was told twice knows it by them."""

    id: str
    """Different for each event of one source."""
    source: str
    """Where it happened: a URI reference, as in ``/orders``."""
    type: str
    """What kind of thing happened, as in ``org.example.order.placed``."""
    time: datetime | None = None
    """When it happened, with its time zone."""
    subject: str = ""
    """What of the source it is about."""
    datacontenttype: str = ""
    """The media type of ``data``; JSON where nothing is said."""
    dataschema: str = ""
    """The URI of the schema that ``data`` keeps."""
    data: Any = UNSET
    """A value of JSON's types; ``bytes`` for anything else."""
    extensions: Mapping[str, Extension] = {}
    """Further attributes: names of a-z and 0-9; texts, whole numbers of 32 bits, and truth values."""

    @property
    def traceparent(self) -> str:
        """The trace that it belongs to (the extension for distributed tracing); empty where there is none."""
        return str(self.extensions.get("traceparent", ""))


_ATTRIBUTES = ("subject", "datacontenttype", "dataschema")
_RESERVED = frozenset({"id", "source", "type", "specversion", "time", *_ATTRIBUTES, "data"})


def encode(event: CloudEvent) -> bytes:
    """The event's JSON, on one line.

    :raises InvalidEvent: an attribute is not as the specification has it, or the data has no JSON form.
    :raises EventTooLarge: it has more than 64 KiB.
    """
    try:
        return check_message(msgspec.json.encode(members(event)))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidEvent("data has no JSON form") from error


def members(event: CloudEvent) -> dict[str, Any]:
    """The members of the event's JSON object.

    :raises InvalidEvent: an attribute is not as the specification has it.
    """
    check_event(event)
    made: dict[str, Any] = {
        "specversion": VERSION,
        "id": event.id,
        "source": event.source,
        "type": event.type,
        **{name: value for name in _ATTRIBUTES if (value := getattr(event, name))},
        **event.extensions,
    }
    if event.time is not None:
        made["time"] = event.time
    if isinstance(event.data, bytes):
        made["data_base64"] = base64.b64encode(event.data).decode()
    elif event.data is not UNSET:
        made["data"] = event.data
    return made


def decode(message: bytes) -> CloudEvent:
    """The event that a JSON text holds. Attributes that are null count as absent.

    :raises InvalidEvent: it is no event.
    :raises EventTooLarge: it has more than 64 KiB.
    """
    try:
        found: Any = msgspec.json.decode(check_message(message))
    except (ValueError, RecursionError) as error:
        raise InvalidEvent("an event is a JSON object") from error
    if not isinstance(found, dict):
        raise InvalidEvent("an event is a JSON object")
    return from_members(cast("dict[str, Any]", found))


def from_members(found: Mapping[str, Any]) -> CloudEvent:
    """The event that a JSON object holds.

    :raises InvalidEvent: it is no event.
    """
    left: dict[str, Any] = {name: value for name, value in found.items() if value is not None or name == "data"}
    if (version := left.pop("specversion", None)) != VERSION:
        raise InvalidEvent("specversion is 1.0" if version else "specversion is missing")
    data: Any = left.pop("data", UNSET)
    packed = left.pop("data_base64", None)
    if packed is not None:
        if data is not UNSET:
            raise InvalidEvent("an event has data or data_base64, not both")
        data = _unpacked(packed)
    known: dict[str, Any] = {name: left.pop(name) for name in ("id", "source", "type", *_ATTRIBUTES) if name in left}
    if absent := [name for name in ("id", "source", "type") if name not in known]:
        raise InvalidEvent(f"missing: {', '.join(absent)}")
    if empty := [name for name in _ATTRIBUTES if known.get(name) == ""]:
        raise InvalidEvent(f"empty: {', '.join(empty)}")
    time = left.pop("time", None)
    made = CloudEvent(**known, time=None if time is None else _instant(time), data=data, extensions=left)
    check_event(made)
    return made


def check_event(event: CloudEvent) -> None:
    """Check every attribute.

    :raises InvalidEvent: one is not as the specification has it; the message names it.
    """
    for name in ("id", "source", "type"):
        _check_text(name, getattr(event, name))
        if not getattr(event, name):
            raise InvalidEvent(f"{name} is empty")
    for name in _ATTRIBUTES:
        _check_text(name, getattr(event, name))
    if not _URI_REFERENCE.fullmatch(event.source):
        raise InvalidEvent("source is a URI reference (RFC 3986)")
    schema = event.dataschema
    if schema and not (_URI_REFERENCE.fullmatch(schema) and _SCHEME.match(schema)):
        raise InvalidEvent("dataschema is an absolute URI (RFC 3986)")
    if event.datacontenttype and not _MEDIA_TYPE.fullmatch(event.datacontenttype):
        raise InvalidEvent("datacontenttype is a media type (RFC 2046)")
    if event.time is not None and event.time.utcoffset() is None:
        raise InvalidEvent("time has a time zone (RFC 3339)")
    for name, value in event.extensions.items():
        _check_extension(name, value)


def _check_extension(name: str, value: object) -> None:
    if not _NAME.fullmatch(name) or name in _RESERVED:
        raise InvalidEvent("the name of an extension has a-z and 0-9 alone, and is no other attribute's")
    match value:
        case bool():
            pass
        case int():
            if not _LEAST <= value <= _MOST:
                raise InvalidEvent(f"{name} is a whole number of 32 bits")
        case str():
            _check_text(name, value)
        case _:
            raise InvalidEvent(f"{name} is a text, a whole number or a truth value")
    if name == "traceparent" and (not isinstance(value, str) or TraceContext.parse(value) is None):
        raise InvalidEvent("traceparent is a trace context (W3C Trace Context)")


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise InvalidEvent(f"{name} is a text")
    if _NOT_TEXT.search(value) or any(ord(sign) & _LAST_OF_PLANE == _LAST_OF_PLANE for sign in value):
        raise InvalidEvent(f"{name} has a control character, or one that Unicode does not assign")


def _unpacked(packed: object) -> bytes:
    try:
        return base64.b64decode(packed if isinstance(packed, str) else "?", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidEvent("data_base64 is base64 (RFC 4648)") from error


def _instant(time: object) -> datetime:
    try:
        instant: datetime = msgspec.convert(time if isinstance(time, str) else "?", Annotated[datetime, Meta(tz=True)])
    except msgspec.ValidationError as error:
        raise InvalidEvent("time is an instant with its time zone (RFC 3339)") from error
    return instant
