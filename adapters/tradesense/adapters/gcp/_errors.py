"""What the errors of Google's clients mean."""

from __future__ import annotations

from google.api_core.exceptions import (
    DeadlineExceeded,
    Forbidden,
    GoogleAPICallError,
    InternalServerError,
    ResourceExhausted,
    ServiceUnavailable,
    Unauthenticated,
    Unknown,
)
from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError

from tradesense.core.errors import (
    SecretCredentialsExpired,
    SecretDenied,
    SecretStoreMalformed,
    SecretStoreThrottled,
    SecretStoreUnavailable,
    SecretStoreUntrusted,
    TradeSenseError,
)

ORIGIN = "secrets.gcp"
_PASSING = (DeadlineExceeded, InternalServerError, ResourceExhausted, ServiceUnavailable, Unknown)
_OF_CERTIFICATES = ("CERTIFICATE_VERIFY_FAILED", "Ssl handshake failed", "SSL_ERROR_SSL")


class BadChecksum(Exception):
    """What arrived is not what was sent."""


def is_passing(error: Exception) -> bool:
    """Whether another try may do better."""
    return isinstance(error, (*_PASSING, BadChecksum)) and not _is_about_certificates(error)


def is_undone(error: Exception) -> bool:
    """Whether nothing was done, and another try may do better."""
    return isinstance(error, ResourceExhausted)


def told(error: Exception, address: str) -> TradeSenseError:
    """What an error means that means the same everywhere."""
    if _is_about_certificates(error):
        return SecretStoreUntrusted(f"{address} has a certificate that is not trusted", origin=ORIGIN)
    for kinds, meant, what, mend in _MEANINGS:
        if isinstance(error, kinds):
            return meant(what.format(address=address), origin=ORIGIN, mend=mend)
    return SecretStoreMalformed(
        f"{address} refused the request with {type(error).__name__}", origin=ORIGIN, mend="see the service's log"
    )


_MEANINGS: tuple[tuple[tuple[type[Exception], ...], type[TradeSenseError], str, str], ...] = (
    (
        (Unauthenticated,),
        SecretCredentialsExpired,
        "{address} does not take our credentials",
        "renew the service account's key, or the application default credentials",
    ),
    ((Forbidden,), SecretDenied, "{address} denied access", "grant the role that the provider's description names"),
    ((ResourceExhausted,), SecretStoreThrottled, "{address} throttles us", "ask less often, or raise the quota"),
    ((DeadlineExceeded,), SecretStoreUnavailable, "{address} did not answer in time", "raise secrets.gcp.timeout"),
    ((ServiceUnavailable,), SecretStoreUnavailable, "{address} cannot be reached", "look at the network"),
    ((InternalServerError, Unknown), SecretStoreUnavailable, "{address} failed", "try again"),
    ((BadChecksum,), SecretStoreMalformed, "a value from or to {address} fails its checksum", "look at the network"),
    ((RefreshError,), SecretCredentialsExpired, "the credentials for Google Cloud cannot be renewed", "renew them"),
    ((TransportError,), SecretStoreUnavailable, "Google's token service cannot be reached", "look at the network"),
    (
        (GoogleAuthError,),
        SecretDenied,
        "there are no usable credentials for Google Cloud",
        "set secrets.gcp.credentials_file",
    ),
)


def _is_about_certificates(error: Exception) -> bool:
    text = str(error) if isinstance(error, GoogleAPICallError) else ""
    return any(sign in text for sign in _OF_CERTIFICATES)
