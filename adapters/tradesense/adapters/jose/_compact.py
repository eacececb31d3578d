"""The compact form of a signed token (RFC 7515, section 7.1): what is looked at before a key is touched, and after."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec
from joserfc import jws
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import Key
from joserfc.jws import JWSRegistry

from tradesense.core.errors import TokenRefused

MAX_TOKEN = 8192
"""Characters."""
SEGMENTS = 3

_Header = msgspec.json.Decoder(dict[str, str])


class OneAlgorithm(JWSRegistry):
    """Knows a single algorithm, whatever else the library offers or advises (RFC 8725, section 3.1)."""

    def __init__(self, name: str) -> None:
        super().__init__(algorithms=[name])
        self._model = self.algorithms[name]

    def get_alg(self, name: str) -> Any:
        """The algorithm, if that is its name."""
        if name != self._model.name:
            raise UnsupportedAlgorithmError
        return self._model


def header_of(token: str) -> dict[str, str]:
    """The header of a token whose form is right.

    :raises TokenRefused: it is too long, has not three segments, is not in canonical base64url, or has a header that
        is not an object of texts.
    """
    if len(token) > MAX_TOKEN or not token.isascii():
        raise TokenRefused("the token is malformed")
    segments = token.split(".")
    if len(segments) != SEGMENTS:
        raise TokenRefused("the token is malformed")
    try:
        header, _, _ = [_canonical(segment) for segment in segments]
        return _Header.decode(header)
    except (binascii.Error, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise TokenRefused("the token is malformed") from error


def payload_of(token: str, key: Key, registry: OneAlgorithm) -> bytes:
    """What ``key`` has signed.

    :raises TokenRefused: the signature does not hold, or the key is not one for it.
    """
    try:
        return jws.deserialize_compact(token, key, registry=registry).payload or b""
    except (JoseError, ValueError) as error:
        raise TokenRefused("the token's signature does not hold") from error


def _canonical(segment: str) -> bytes:
    """The bytes that ``segment`` is the one encoding of (RFC 7515, section 2; RFC 4648, section 3.5).

    :raises TokenRefused: it is another encoding of them, or none.
    """
    decoded = base64.urlsafe_b64decode(segment + "==")
    if base64.urlsafe_b64encode(decoded).rstrip(b"=").decode() != segment:
        raise TokenRefused("the token is malformed")
    return decoded
