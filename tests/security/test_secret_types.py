"""Every type of the platform that holds something secret, found by looking at all of them, never shows it."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import inspect
import json
import logging
import pickle
import pkgutil
import re
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import Enum
from functools import partial
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import pytest

from tradesense.core.sensitive import MASK, Secret

CANARY = "Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5LWNhbmE="
"""Also a key as settings want them: 32 bytes in base64."""
FLOORS = ("core", "adapters", "plugins", "settings", "entrypoints")
NOT_IMPORTABLE = re.compile(r"\.__main__$|\.migrations\.env$|\.scaffold\.templates")
"""Programs, and what is no Python yet."""

SECRET_NAME = re.compile(
    r"password|passphrase|secret|token|ticket|cookie|bearer|credential|plaintext|verifier|nonce|seed|private|^body$"
)
IN_SECRETS = re.compile(r"secrets|vault|aws|azure|gcp|local|postgresql")
VALUE_NAME = re.compile(r"^(value|data|fields)$")
"""What a field is called that holds a value, in modules that deal with secrets."""
TEXTS = (str, bytes, bytearray, Any, object, msgspec.Raw)

PLAIN = {
    "gcp.settings.GcpSettings.credentials_file": "the name of a file",
    "local._fernet.Token.token": "ciphertext, as it stands in somebody's file",
    "secrets.envelope.Envelope.nonce": "public by design, and of use once",
    "secrets.datakeys.Held.nonce": "likewise",
    "identity.models.ActionToken.token_hash": "the hash of 256 random bits",
    "identity.models.RefreshToken.token_hash": "likewise",
    "identity.models.Session.token_hash": "likewise",
    "identity.models.RefreshToken.seed": "makes nothing without the token, which nobody keeps",
    "identity.introspection.Introspected.token_type": "the kind of a token",
    "http.identity.LoginAnswer.token_type": "likewise",
    "http.identity.TokenAnswer.token_type": "likewise",
    "http.tokens.TokenBody.token_type_hint": "likewise",
    "http.identity.LoginAnswer.csrf_token": "good for nothing without the session's cookie",
    "http.identity.CsrfAnswer.csrf_token": "likewise",
    "http.problems.Answer.body": "a problem, which never quotes a value",
    "memory.identity._Asked.nonce": "stands openly in the address that a browser is sent to",
    "testing.identity.providers.Flow.nonce": "made up by a contract suite",
    "testing.identity.providers.Flow.verifier": "likewise",
}
"""Fields that are called like a secret and are none, or not by themselves; each with why."""


URLS = {
    "redis.settings.RedisSettings": f"redis://user:{CANARY}@h:1/0",
    "taskiq.settings.TaskiqSettings": f"redis://user:{CANARY}@h:1/0",
    "sql.settings.SqlSettings": f"postgresql://user:{CANARY}@h:1/d",
}
"""Secrets that have to be addresses."""


def label(kind: type[Any]) -> str:
    return f"{kind.__module__.removeprefix('tradesense.').partition('.')[2]}.{kind.__qualname__}"


def classes() -> Iterator[type[Any]]:
    """Every Struct, dataclass and named tuple that the platform defines."""
    for floor in FLOORS:
        package = importlib.import_module(f"tradesense.{floor}")
        for found in pkgutil.walk_packages(package.__path__, f"tradesense.{floor}."):
            if NOT_IMPORTABLE.search(found.name):
                continue
            module = importlib.import_module(found.name)
            for kind in vars(module).values():
                if inspect.isclass(kind) and kind.__module__ == module.__name__ and _is_record(kind):
                    yield kind


def _is_record(kind: type[Any]) -> bool:
    named = issubclass(kind, tuple) and hasattr(kind, "_fields")
    return issubclass(kind, msgspec.Struct) or dataclasses.is_dataclass(kind) or named


def bears(hint: Any) -> bool:
    """Whether what is of this type holds a Secret somewhere."""
    if inspect.isclass(hint) and _is_record(hint):
        return any(map(bears, get_type_hints(hint).values()))
    return hint is Secret or any(map(bears, get_args(hint)))


def is_plain(hint: Any) -> bool:
    """Whether what is of this type is text, or holds any."""
    return hint in TEXTS or any(map(is_plain, get_args(hint)))


def suspicious(kind: type[Any]) -> list[str]:
    """Fields without the type Secret that are called as though they held one."""
    where = kind.__module__
    return [
        name
        for name, hint in get_type_hints(kind).items()
        if not bears(hint)
        and is_plain(hint)
        and (SECRET_NAME.search(name) or (IN_SECRETS.search(where) and VALUE_NAME.search(name)))
    ]


def sample(kind: type[Any], plain: list[str]) -> Any:
    """One of the kind with the canary wherever a secret belongs, and in the fields ``plain``."""
    values = {
        name: _hidden(hint)
        if name in plain
        else _made(hint, URLS.get(label(kind), CANARY) if "url" in name else CANARY)
        for name, hint in get_type_hints(kind).items()
        if name in plain or bears(hint) or name in _required(kind)
    }
    return kind(**values)


def _hidden(hint: Any) -> Any:
    """The canary as plain text or bytes."""
    if hint is msgspec.Raw:
        return msgspec.Raw(CANARY.encode())
    return CANARY.encode() if hint in {bytes, bytearray} else CANARY


def _required(kind: type[Any]) -> set[str]:
    if issubclass(kind, msgspec.Struct):
        return {field.name for field in msgspec.structs.fields(kind) if field.required}
    if issubclass(kind, tuple):
        return set(kind._fields) - set(kind._field_defaults)
    return {
        field.name
        for field in dataclasses.fields(kind)
        if field.init and field.default is field.default_factory is dataclasses.MISSING
    }


PLACEHOLDERS = {str: "x", bytes: b"x", int: 1, float: 1.0, bool: True, datetime: datetime(2030, 1, 1, tzinfo=UTC)}


def _made(hint: Any, canary: str = CANARY) -> Any:
    if hint is Secret:
        return Secret(canary)
    if inspect.isclass(hint) and _is_record(hint):
        return sample(hint, [])
    if inspect.isclass(hint) and issubclass(hint, Enum):
        return next(iter(hint))
    bearing = [argument for argument in get_args(hint) if bears(argument)]
    if not bearing:
        return PLACEHOLDERS.get(hint)
    made, origin = _made(bearing[0], canary), get_origin(hint)
    if inspect.isclass(origin) and hasattr(origin, "keys"):
        return {"k": made}
    return (made,) if origin in {tuple, list} else made  # else it is a union, or an annotated type


def shown(thing: Any) -> str:
    """Everything by which a careless line of code would show ``thing``."""
    try:
        raise ValueError(thing)  # noqa: TRY301  # the frame that holds the secret is the test
    except ValueError as error:
        told = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    record = logging.LogRecord("x", logging.INFO, "x", 1, "%s %r", (thing, [thing]), None)
    return "\n".join((repr(thing), str(thing), f"{thing}", f"{thing!r:>200}", told, record.getMessage()))


def encoded(thing: Any) -> Iterator[bytes | str]:
    """What encoders and copiers make of it; those that refuse make nothing."""
    as_dict = {name: getattr(thing, name) for name in get_type_hints(type(thing)) if hasattr(thing, name)}
    yield repr(as_dict)
    yield json.dumps(as_dict, default=str)
    asdict = msgspec.structs.asdict if isinstance(thing, msgspec.Struct) else dataclasses.asdict
    for encode in (
        partial(msgspec.json.encode, enc_hook=str),
        asdict,
        pickle.dumps,
        msgspec.json.encode,
        msgspec.msgpack.encode,
        json.dumps,
    ):
        try:
            yield repr(encode(thing))
        except (TypeError, pickle.PicklingError, AttributeError):
            continue
    for copying in (copy.copy, copy.deepcopy):
        try:
            yield repr(copying(thing))
        except TypeError:
            continue


CLASSES = sorted(classes(), key=lambda kind: f"{kind.__module__}.{kind.__qualname__}")
BEARING = [kind for kind in CLASSES if bears(kind)]


def test_R46_the_types_were_found() -> None:
    names = {label(kind) for kind in BEARING}
    assert {"secrets.models.StoredSecret", "vault.settings.VaultSettings", "identity.models.TokenPair"} <= names
    assert len(CLASSES) > 250
    assert len(BEARING) > 40


@pytest.mark.parametrize("kind", BEARING, ids=label)
def test_R46_R52_a_type_that_holds_a_secret_shows_it_nowhere(kind: type[Any]) -> None:
    thing = sample(kind, [])
    assert CANARY not in shown(thing)
    for made in encoded(thing):
        assert CANARY not in str(made)
    assert MASK in repr(thing) or type(thing).__repr__ is not msgspec.Struct.__repr__


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if suspicious(kind)], ids=label)
def test_R46_what_is_called_a_secret_is_one_or_hides_itself_or_says_why_not(kind: type[Any]) -> None:
    plain = [name for name in suspicious(kind) if f"{label(kind)}.{name}" not in PLAIN]
    if plain:
        assert CANARY not in shown(sample(kind, plain)), f"{label(kind)} shows {', '.join(plain)}"


def test_R46_no_reason_outlives_its_field() -> None:
    known = {f"{label(kind)}.{name}" for kind in CLASSES for name in suspicious(kind)}
    assert not set(PLAIN) - known


def test_R46_the_search_finds_what_is_careless() -> None:
    """It is worth nothing if it cannot fail."""

    class Careless(msgspec.Struct):
        password: str
        value: Secret

    assert bears(Careless)
    assert suspicious(Careless) == ["password"]
    assert CANARY in shown(sample(Careless, ["password"]))
    assert CANARY not in shown(sample(Careless, []))
