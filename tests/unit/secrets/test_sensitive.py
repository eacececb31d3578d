"""A secret never shows itself, whatever is done with it."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback

import msgspec
import pytest

from tradesense.core.secrets.models import StoredSecret
from tradesense.core.sensitive import Secret

CANARY = "canary-5f1e7c"


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        lambda secret: f"{secret}",
        lambda secret: f"{secret!r:>40}",
        lambda secret: f"{secret:>40}",
        lambda secret: "%s %r" % (secret, secret),  # noqa: UP031  # old code formats like this
        lambda secret: repr([secret, {"key": secret}]),
        lambda secret: repr(StoredSecret(path="a", value=secret, version=1)),
        lambda secret: str(ValueError(secret)),
    ],
)
def test_R52_a_secret_is_masked_wherever_it_is_shown(show):
    assert CANARY not in show(Secret(CANARY))


@pytest.mark.parametrize("encode", [json.dumps, msgspec.json.encode, msgspec.msgpack.encode])
def test_R52_a_secret_cannot_be_encoded(encode):
    with pytest.raises(TypeError):
        encode({"value": Secret(CANARY)})


@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy])
def test_R52_a_secret_cannot_be_pickled_or_copied(copied):
    with pytest.raises(TypeError) as caught:
        copied(Secret(CANARY))
    assert CANARY not in str(caught.value)


def test_R52_a_secret_is_masked_in_a_log(caplog):
    logging.getLogger("test").warning("the value is %s", Secret(CANARY))
    assert CANARY not in caplog.text


def test_R52_a_secret_is_masked_in_a_traceback_with_locals():
    secret = Secret(CANARY)
    try:
        raise ValueError(secret)  # noqa: TRY301  # the frame that holds the secret is the test
    except ValueError as error:
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert CANARY not in "".join(shown.format())
    assert secret.reveal() == CANARY


def test_a_secret_is_revealed_as_it_was_given():
    assert Secret("ünï").reveal() == "ünï"
    assert Secret("ünï").reveal_bytes() == "ünï".encode()
    assert Secret(b"\xff\x00").reveal_bytes() == b"\xff\x00"
    with pytest.raises(UnicodeDecodeError):
        Secret(b"\xff").reveal()


def test_secrets_compare_by_value_and_with_nothing_else():
    assert Secret("a") == Secret(b"a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"


def test_a_secret_cannot_be_hashed():
    with pytest.raises(TypeError):
        hash(Secret("a"))


def test_a_secret_knows_its_length_and_whether_it_is_empty():
    assert len(Secret("é")) == 2
    assert not Secret("")
    assert Secret(" ")
