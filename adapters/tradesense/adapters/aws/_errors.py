"""What the errors of AWS and of its SDK mean."""

from __future__ import annotations

import ssl
from typing import Any

from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    SSLError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

from tradesense.core.errors import (
    SecretCredentialsExpired,
    SecretDenied,
    SecretStoreMalformed,
    SecretStoreThrottled,
    SecretStoreUnavailable,
    SecretStoreUntrusted,
    TradeSenseError,
)

THROTTLED = frozenset(
    {
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TooManyUpdates",
    }
)
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
DENIED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AuthFailure",
        "DecryptionFailure",
        "EncryptionFailure",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "KMSAccessDeniedException",
        "MissingAuthenticationToken",
        "NotAuthorized",
        "OptInRequired",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "UnauthorizedOperation",
        "UnrecognizedClientException",
    }
)
"""The last but the KMS ones: we are not who we say, or may not. The KMS ones: the key of the secret is not for us."""
NOT_AUTHORISED = "not authorized to perform"
"""How KMS says that we may not. It denies access as well, in other words, where the ciphertext names no key."""
_SERVER_ERROR, _TOO_MANY, _FORBIDDEN = 500, 429, 403


class Refusal(Exception):
    """The service understood and refused. Whoever asked knows what its ``reason`` means there."""

    def __init__(self, code: str, *, address: str, origin: str) -> None:
        super().__init__(f"{address} answered {code}")
        self.reason = code
        self._address = address
        self._origin = origin

    def unexpected(self) -> SecretStoreMalformed:
        """The error for a code that nobody awaits here."""
        return SecretStoreMalformed(
            f"{self._address} refused the request with {self.reason}", origin=self._origin, mend="see the service's log"
        )


def is_passing(error: Exception) -> bool:
    """Whether another try may do better."""
    if isinstance(error, ClientError):
        return _code(error) in THROTTLED or _status(error) == _TOO_MANY or _status(error) >= _SERVER_ERROR
    return isinstance(error, HTTPClientError) and not _is_about_certificates(error)


def is_unsent(error: Exception) -> bool:
    """Whether nothing can have been done yet, and another try may do better."""
    if isinstance(error, ClientError):
        return _code(error) in THROTTLED or _status(error) == _TOO_MANY
    return isinstance(error, EndpointConnectionError | ConnectTimeoutError) and not _is_about_certificates(error)


def refusal(error: ClientError, address: str, origin: str) -> TradeSenseError | Refusal:
    """What the service's answer means: one of our errors where it means the same everywhere."""
    code, status = _code(error), _status(error)
    if code in THROTTLED or status == _TOO_MANY:
        return SecretStoreThrottled(
            f"{address} throttles us", origin=origin, mend="ask less often, or have the account's quota raised"
        )
    if code in EXPIRED:
        return SecretCredentialsExpired(
            f"{address} says that our credentials have expired", origin=origin, mend=f"renew {origin}.session_token"
        )
    message = str(error.response.get("Error", {}).get("Message", ""))
    of_no_key = error.operation_name == "Decrypt" and code == "AccessDeniedException" and NOT_AUTHORISED not in message
    if (code in DENIED or status == _FORBIDDEN) and not of_no_key:
        return SecretDenied(
            f"{address} denied access with {code}",
            origin=origin,
            mend="correct the access key and the clock, or widen the policy of the role and of the KMS key",
        )
    if status >= _SERVER_ERROR:
        return SecretStoreUnavailable(f"{address} answered with status {status}", origin=origin, mend="try again")
    return Refusal(code, address=address, origin=origin)


def told(error: Exception, address: str, origin: str) -> TradeSenseError:
    """What a failure on our side of the wire means."""
    if _is_about_certificates(error):
        return SecretStoreUntrusted(
            f"{address} has a certificate that is not trusted", origin=origin, mend=f"set {origin}.ca_file"
        )
    for kinds, meant, what, mend in _MEANINGS:
        if isinstance(error, kinds):
            return meant(what.format(address=address), origin=origin, mend=mend.format(origin=origin))
    return SecretStoreUnavailable(
        f"{address} cannot be reached", origin=origin, mend="look at the network and the endpoint"
    )


_MEANINGS: tuple[tuple[tuple[type[Exception], ...], type[TradeSenseError], str, str], ...] = (
    (
        (NoCredentialsError, PartialCredentialsError),
        SecretDenied,
        "there are no credentials for AWS",
        "set {origin}.access_key_id and secret_access_key, or give the machine a role",
    ),
    (
        (CredentialRetrievalError, TokenRetrievalError),
        SecretCredentialsExpired,
        "the credentials for AWS cannot be renewed",
        "look at the role and its provider",
    ),
    ((ResponseParserError,), SecretStoreMalformed, "the answer of {address} cannot be read", "see what answers there"),
    ((ParamValidationError,), SecretStoreMalformed, "{address} does not take such a request", "report it"),
)


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _status(error: ClientError) -> int:
    metadata: dict[str, Any] = dict(error.response.get("ResponseMetadata", {}))
    return int(metadata.get("HTTPStatusCode", 0))


def _is_about_certificates(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError | SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False
