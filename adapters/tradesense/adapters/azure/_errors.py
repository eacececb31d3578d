"""What the errors of Azure's clients mean."""

from __future__ import annotations

import ssl

from azure.core.exceptions import (
    ClientAuthenticationError,
    DecodeError,
    DeserializationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)

from tradesense.core.errors import (
    SecretCredentialsExpired,
    SecretDenied,
    SecretStoreMalformed,
    SecretStoreThrottled,
    SecretStoreUnavailable,
    SecretStoreUntrusted,
    TradeSenseError,
)

ORIGIN = "secrets.azure"
REFUSALS = (ResourceNotFoundError, ResourceExistsError)
"""What whoever asked has to understand: absent; deleted but its name still taken."""

_UNAUTHORISED, _FORBIDDEN, _THROTTLED, _SERVER_ERROR = 401, 403, 429, 500


def is_passing(error: Exception) -> bool:
    """Whether another try may do better."""
    if isinstance(error, ServiceRequestError | ServiceResponseError):
        return not _is_about_certificates(error)
    return isinstance(error, HttpResponseError) and (_status(error) == _THROTTLED or _status(error) >= _SERVER_ERROR)


def is_undone(error: Exception) -> bool:
    """Whether nothing was done, and another try may do better."""
    return isinstance(error, HttpResponseError) and _status(error) == _THROTTLED


def is_disabled(error: BaseException | None) -> bool:
    """Whether the secret was refused because somebody has disabled it."""
    return isinstance(error, HttpResponseError) and "SecretDisabled" in str(getattr(error.error, "innererror", ""))


def told(error: Exception, address: str) -> TradeSenseError:
    """What an error means that means the same everywhere."""
    if _is_about_certificates(error):
        return SecretStoreUntrusted(
            f"{address} has a certificate that is not trusted", origin=ORIGIN, mend=f"set {ORIGIN}.ca_file"
        )
    if isinstance(error, ServiceRequestError | ServiceResponseError):
        return SecretStoreUnavailable(
            f"{address} cannot be reached", origin=ORIGIN, mend=f"look at the network, or correct {ORIGIN}.url"
        )
    if isinstance(error, DecodeError | DeserializationError):
        return SecretStoreMalformed(f"the answer of {address} cannot be read", origin=ORIGIN, mend="see what answers")
    if isinstance(error, ClientAuthenticationError) or _status(error) == _UNAUTHORISED:
        return SecretCredentialsExpired(
            f"{address} or its authority does not take our credentials",
            origin=ORIGIN,
            mend=f"renew {ORIGIN}.client_secret, or give the machine an identity",
        )
    return _of_status(_status(error), address)


def _of_status(status: int, address: str) -> TradeSenseError:
    if status == _FORBIDDEN:
        return SecretDenied(
            f"{address} denied access", origin=ORIGIN, mend="grant the role that the provider's description names"
        )
    if status == _THROTTLED:
        return SecretStoreThrottled(f"{address} throttles us", origin=ORIGIN, mend="ask less often")
    if status >= _SERVER_ERROR:
        return SecretStoreUnavailable(f"{address} answered with status {status}", origin=ORIGIN, mend="try again")
    return SecretStoreMalformed(
        f"{address} refused the request with status {status}", origin=ORIGIN, mend="see the vault's log"
    )


def _status(error: Exception) -> int:
    return int(getattr(error, "status_code", 0) or 0)


def _is_about_certificates(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False
