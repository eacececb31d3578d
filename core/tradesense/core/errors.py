"""Every error that TradeSense raises on purpose.

::

    TradeSenseError
    ├── ConfigurationError            the platform cannot start as it is set up
    │   ├── SettingsInvalid           one or more settings are wrong; carries them all
    │   ├── UnknownProvider           a setting names an adapter that no plugin offers
    │   ├── DuplicateAdapter          two distributions offer the same (port, name)
    │   ├── PluginFailed              a plugin raised while it was loaded or asked
    │   ├── PluginTimedOut            a plugin did not answer in time
    │   ├── IncompatiblePlugin        a plugin was written for another port API
    │   └── MissingDependency         an optional distribution is absent (also an ImportError)
    ├── InvalidInput                  the caller sent something that can never succeed
    │   ├── InvalidSecretPath
    │   ├── SecretTooLarge
    │   ├── SecretEmpty
    │   ├── SecretMasked
    │   ├── InvalidCacheKey
    │   ├── CacheValueTooLarge
    │   ├── InvalidCacheValue
    │   ├── InvalidTopic
    │   ├── InvalidEvent
    │   ├── EventTooLarge
    │   ├── InvalidFlag
    │   ├── InvalidSetting
    │   ├── InvalidEmail
    │   └── PasswordRefused           carries a machine-readable reason
    ├── Unauthenticated               who the caller is could not be established
    │   ├── CredentialsRefused
    │   ├── SessionEnded
    │   └── TokenRefused
    ├── Denied                        the caller is known and may not
    │   ├── PermissionDenied
    │   │   ├── StepUpRequired
    │   │   └── MfaRequired
    │   ├── ReviewRequired            a second person has to approve the change
    │   ├── ApprovalRefused           nobody approves what they proposed
    │   ├── CsrfRefused
    │   └── SecretDenied              the provider refused our own credentials
    │       └── SecretCredentialsExpired   it took them before
    ├── NotFound
    │   ├── SecretNotFound
    │   ├── FlagNotFound
    │   ├── SegmentNotFound
    │   ├── ChangeNotFound
    │   ├── ExperimentNotFound
    │   ├── SettingNotFound
    │   ├── UserNotFound
    │   ├── RoleNotFound
    │   ├── SessionNotFound
    │   ├── ApiKeyNotFound
    │   ├── WebhookNotFound
    │   └── UnknownJob
    ├── Conflict                      the state has moved on since the caller looked
    │   ├── SecretConflict
    │   ├── FlagConflict
    │   ├── SegmentConflict
    │   ├── ChangeConflict
    │   ├── SettingConflict
    │   ├── EmailTaken
    │   ├── LeaseTaken                another holds it
    │   └── LeaseLost                 it ended, or a successor has written since
    ├── LimitExceeded                 carries seconds to wait
    ├── Unavailable                   a dependency did not answer; trying later may work
    │   ├── AdapterClosed
    │   ├── AnswerTimedOut            the whole took longer than a caller may be kept waiting
    │   ├── DatabaseUnavailable
    │   ├── SecretStoreUnavailable
    │   ├── RotationFailed
    │   │   ├── SecretStoreSealed     it is there, and locked
    │   │   ├── SecretStoreThrottled  we asked too often
    │   │   ├── SecretStoreUntrusted  its certificate is not to be believed
    │   │   └── SecretStoreMalformed  its answer, or a value in it, is not what its protocol says
    │   ├── CacheUnavailable
    │   ├── CacheFactoryTimedOut
    │   ├── BackplaneUnavailable
    │   ├── TopicsUnavailable
    │   ├── ListenerDropped           carries why
    │   ├── LocksUnavailable
    │   ├── LimiterUnavailable
    │   ├── JobQueueUnavailable
    │   ├── MessengerUnavailable
    │   ├── WebhookUnavailable
    │   │   └── WebhookRefused
    │   ├── IdentityProviderUnavailable
    │   └── AuditUnavailable
    └── IntegrityViolated             stored bytes are not what was written
        ├── DecryptionFailed
        └── AuditChainBroken

An error is for the person who reads it: ``str(error)`` says what was wrong, ``origin`` where it came from and ``mend``
what to do. None of the three ever holds a secret value.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

import msgspec


class TradeSenseError(Exception):
    """The root. Catch it to catch everything that TradeSense raises on purpose.

    ``code`` is the stable, kebab-case name that HTTP problems, the command line and the documentation share.
    """

    code: ClassVar[str] = "error"
    title: ClassVar[str] = "TradeSense could not do this"

    def __init__(self, detail: str = "", *, origin: str = "", mend: str = "") -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.origin = origin
        self.mend = mend

    def line(self) -> str:
        """All that is known, on one line, for a terminal or a log."""
        parts = [self.detail]
        if self.origin:
            parts.append(f"(from {self.origin})")
        text = " ".join(parts)
        return f"{text}; {self.mend}" if self.mend else text


# --- configuration ---------------------------------------------------------------------------------------------------


class ConfigurationError(TradeSenseError):
    """The platform cannot start as it is set up."""

    code = "configuration-error"
    title = "The configuration is wrong"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong or unwise in the settings."""

    level: Literal["error", "warning", "info"]
    key: str
    """The dotted setting, as in ``secrets.provider``."""
    message: str
    origin: str
    """File and line, or the environment variable, that the value came from."""
    mend: str

    def line(self) -> str:
        """The problem on one line."""
        return f"{self.level}: {self.key}: {self.message} (from {self.origin}); {self.mend}"


class SettingsInvalid(ConfigurationError):
    """One or more settings are wrong. ``problems`` holds all of them, not the first alone."""

    code = "settings-invalid"
    title = "The settings are wrong"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = sum(problem.level == "error" for problem in self.problems)
        super().__init__(
            f"{count} setting{'s are' if count != 1 else ' is'} wrong", mend="run `tradesense config check`"
        )


class UnknownProvider(ConfigurationError):
    """A setting names an adapter that no loaded plugin offers."""

    code = "unknown-provider"
    title = "No plugin offers this provider"


class DuplicateAdapter(ConfigurationError):
    """Two distributions offer the same name for the same port; the message names both."""

    code = "duplicate-adapter"
    title = "Two plugins offer the same adapter"


class PluginFailed(ConfigurationError):
    """A plugin raised while it was imported or asked for its adapters."""

    code = "plugin-failed"
    title = "A plugin failed to load"


class PluginTimedOut(ConfigurationError):
    """A plugin did not answer within the time that start-up allows."""

    code = "plugin-timed-out"
    title = "A plugin took too long to load"


class IncompatiblePlugin(ConfigurationError):
    """A plugin was written for a version of the port API that this release does not speak."""

    code = "incompatible-plugin"
    title = "A plugin was written for another version"


class MissingDependency(ConfigurationError, ImportError):
    """An optional distribution is absent; the mend is the exact command that brings it."""

    code = "missing-dependency"
    title = "An optional dependency is not installed"

    def __init__(self, distribution: str, *, extra: str = "", package: str = "tradesense") -> None:
        target = f"'{package}[{extra}]'" if extra else distribution
        super().__init__(f"{distribution} is not installed", mend=f"pip install {target}")
        self.distribution = distribution


# --- the caller ------------------------------------------------------------------------------------------------------


class InvalidInput(TradeSenseError):
    """The caller sent something that can never succeed, however often it is tried."""

    code = "invalid-input"
    title = "The request is not valid"


class InvalidSecretPath(InvalidInput):
    """A secret path that is empty, too long, or holds characters outside its grammar."""

    code = "invalid-secret-path"
    title = "The secret path is not valid"


class SecretTooLarge(InvalidInput):
    """A secret value above the size that the port takes."""

    code = "secret-too-large"
    title = "The secret value is too large"


class SecretEmpty(InvalidInput):
    """A secret value of no byte: what is written when a pipe has failed."""

    code = "secret-empty"
    title = "The secret value is empty"


class SecretMasked(InvalidInput):
    """A secret value that is, or holds, the mask that is shown in place of one."""

    code = "secret-masked"
    title = "The secret value is a mask"


class InvalidCacheKey(InvalidInput):
    """A cache key that is empty, too long, or holds control characters."""

    code = "invalid-cache-key"
    title = "The cache key is not valid"


class CacheValueTooLarge(InvalidInput):
    """A cache value above the size that the port takes."""

    code = "cache-value-too-large"
    title = "The cache value is too large"


class InvalidCacheValue(InvalidInput):
    """A cache value that has no MessagePack form."""

    code = "invalid-cache-value"
    title = "The cache value cannot be stored"


class InvalidTopic(InvalidInput):
    """A topic, consumer group or position whose form is not theirs."""

    code = "invalid-topic"
    title = "The topic is not valid"


class InvalidEvent(InvalidInput):
    """An event that CloudEvents 1.0 does not allow; the message names the attribute."""

    code = "invalid-event"
    title = "The event is not valid"


class EventTooLarge(InvalidInput):
    """An event above the size that every intermediary of CloudEvents must forward."""

    code = "event-too-large"
    title = "The event is too large"


class InvalidFlag(InvalidInput):
    """A definition of a flag or a segment that cannot be evaluated; ``faults`` holds path and text of each fault."""

    code = "invalid-flag"
    title = "The flag definition is not valid"

    def __init__(
        self, detail: str = "", *, origin: str = "", mend: str = "", faults: Sequence[tuple[str, str]] = ()
    ) -> None:
        super().__init__(detail or "; ".join(f"{path}: {text}" for path, text in faults), origin=origin, mend=mend)
        self.faults = tuple(faults)


class InvalidSetting(InvalidInput):
    """A runtime setting whose key or value is not valid."""

    code = "invalid-setting"
    title = "The setting is not valid"


class InvalidEmail(InvalidInput):
    """An address that cannot be an account's email."""

    code = "invalid-email"
    title = "The email address is not valid"


class PasswordRefused(InvalidInput):
    """A new password that policy refuses; ``reason`` is stable and fit for a client to act on."""

    code = "password-refused"
    title = "The password is not acceptable"

    def __init__(self, reason: Literal["too-short", "too-long", "common", "contextual"], detail: str) -> None:
        super().__init__(detail, mend="choose another password")
        self.reason = reason


class Unauthenticated(TradeSenseError):
    """Who the caller is could not be established."""

    code = "unauthenticated"
    title = "Authentication is needed"


class CredentialsRefused(Unauthenticated):
    """The login failed. It never says whether the account exists (ASVS 6.3.8)."""

    code = "credentials-refused"
    title = "The email or the password is wrong"


class SessionEnded(Unauthenticated):
    """The session is unknown, expired or revoked."""

    code = "session-ended"
    title = "The session has ended"


class TokenRefused(Unauthenticated):
    """A token is malformed, of the wrong kind, expired or revoked."""

    code = "token-refused"
    title = "The token is not accepted"


class Denied(TradeSenseError):
    """The caller is known, and may not."""

    code = "denied"
    title = "This is not allowed"


class PermissionDenied(Denied):
    """The caller's roles do not grant the permission that the operation needs."""

    code = "permission-denied"
    title = "Permission denied"


class StepUpRequired(PermissionDenied):
    """The roles grant it on a login of the last minutes only; log in again with `POST /api/v1/auth/step-up`."""

    code = "step-up-required"
    title = "This needs a fresh login"


class MfaRequired(PermissionDenied):
    """The roles grant it on a login with a second factor only."""

    code = "mfa-required"
    title = "This needs a second factor"


class ReviewRequired(Denied):
    """Changes of flags and segments need a second person here (``flags.review``): propose it, and let them approve."""

    code = "review-required"
    title = "This change needs the approval of a second person"


class ApprovalRefused(Denied):
    """A change was to be approved by who proposed it, or by somebody who is not known by a login."""

    code = "approval-refused"
    title = "This change needs another person's approval"


class CsrfRefused(Denied):
    """A cookie-borne unsafe request without proof that our own page sent it (ASVS 3.5.1)."""

    code = "csrf-refused"
    title = "The request could not be tied to this session"


class SecretDenied(Denied):
    """The provider refused our own credentials for this path; told apart from an absent secret."""

    code = "secret-denied"
    title = "The secret provider denied access"


class SecretCredentialsExpired(SecretDenied):
    """The provider no longer takes our own credentials: a token that has expired or was revoked."""

    code = "secret-credentials-expired"
    title = "The credentials for the secret provider have expired"


class NotFound(TradeSenseError):
    """There is no such object, or the caller may not know that there is."""

    code = "not-found"
    title = "Not found"


class SecretNotFound(NotFound):
    """No secret, or no such version of it, at this path."""

    code = "secret-not-found"
    title = "There is no such secret"


class FlagNotFound(NotFound):
    """No flag with this key."""

    code = "flag-not-found"
    title = "There is no such flag"


class SegmentNotFound(NotFound):
    """No segment with this key."""

    code = "segment-not-found"
    title = "There is no such segment"


class ChangeNotFound(NotFound):
    """No change request with this id."""

    code = "change-not-found"
    title = "There is no such change"


class ExperimentNotFound(NotFound):
    """No flag with this key, or one that is no experiment."""

    code = "experiment-not-found"
    title = "There is no such experiment"


class SettingNotFound(NotFound):
    """No runtime setting with this key."""

    code = "setting-not-found"
    title = "There is no such setting"


class UserNotFound(NotFound):
    """No user with this id."""

    code = "user-not-found"
    title = "There is no such user"


class RoleNotFound(NotFound):
    """No role with this name."""

    code = "role-not-found"
    title = "There is no such role"


class SessionNotFound(NotFound):
    """No session with this id, or none of this user's."""

    code = "session-not-found"
    title = "There is no such session"


class ApiKeyNotFound(NotFound):
    """No API key with this id, or none of this user's."""

    code = "api-key-not-found"
    title = "There is no such API key"


class WebhookNotFound(NotFound):
    """No webhook has this name, or it was told of no such message lately."""

    code = "webhook-not-found"
    title = "No such webhook"


class UnknownJob(NotFound):
    """A queued job names no handler of this release."""

    code = "unknown-job"
    title = "No handler knows this job"


class Conflict(TradeSenseError):
    """The state has moved on since the caller looked at it."""

    code = "conflict"
    title = "The state has changed meanwhile"


class SecretConflict(Conflict):
    """A compare-and-set named a version that is not the current one."""

    code = "secret-conflict"
    title = "The secret has another version"


class FlagConflict(Conflict):
    """A flag write named a revision that is not the current one."""

    code = "flag-conflict"
    title = "The flag has another revision"


class SegmentConflict(Conflict):
    """A segment write named a revision that is not the current one, or a removal a segment that is in use."""

    code = "segment-conflict"
    title = "The segment has another revision"


class ChangeConflict(Conflict):
    """A change request has gone on, or has ended, since it was looked at."""

    code = "change-conflict"
    title = "The change has gone on meanwhile"


class SettingConflict(Conflict):
    """A setting write named a revision that is not the current one."""

    code = "setting-conflict"
    title = "The setting has another revision"


class EmailTaken(Conflict):
    """Another account has this email. It is for administrators; sign-up never tells it (ASVS 6.3.8)."""

    code = "email-taken"
    title = "The email belongs to another account"


class LeaseTaken(Conflict):
    """Another process holds the lease."""

    code = "lease-taken"
    title = "Another process is doing this now"


class LeaseLost(Conflict):
    """The lease is no longer ours, or a write came with a fencing token that a successor's has overtaken."""

    code = "lease-lost"
    title = "The right to do this was lost meanwhile"


class LimitExceeded(TradeSenseError):
    """Too many attempts; ``retry_after`` is the number of seconds to wait."""

    code = "limit-exceeded"
    title = "Too many requests"

    def __init__(self, detail: str = "", *, retry_after: float, origin: str = "") -> None:
        super().__init__(detail, origin=origin, mend=f"try again in {max(1, round(retry_after))} s")
        self.retry_after = retry_after


# --- dependencies ----------------------------------------------------------------------------------------------------


class Unavailable(TradeSenseError):
    """A dependency did not answer as it must; the same call may work later."""

    code = "unavailable"
    title = "A dependency is unavailable"


class AdapterClosed(Unavailable):
    """The adapter was used before it was opened or after it was closed."""

    code = "adapter-closed"
    title = "The adapter is closed"


class AnswerTimedOut(Unavailable):
    """The answer took longer than its caller may be kept waiting; what was begun was undone, if it had not ended."""

    code = "answer-timed-out"
    title = "No answer could be given in time"


class DatabaseUnavailable(Unavailable):
    """The database is absent, locked, out of connections or too slow."""

    code = "database-unavailable"
    title = "The database is unavailable"


class SecretStoreUnavailable(Unavailable):
    """The secret provider is down, sealed, throttling or too slow."""

    code = "secret-store-unavailable"
    title = "The secret provider is unavailable"


class SecretStoreSealed(SecretStoreUnavailable):
    """The secret provider runs, and is sealed: somebody has to unseal it."""

    code = "secret-store-sealed"
    title = "The secret provider is sealed"


class SecretStoreThrottled(SecretStoreUnavailable):
    """The secret provider answers us less often than we ask, after all retries."""

    code = "secret-store-throttled"
    title = "The secret provider throttles us"


class SecretStoreUntrusted(SecretStoreUnavailable):
    """What answers at the secret provider's address has no certificate that we trust. Nothing was sent to it."""

    code = "secret-store-untrusted"
    title = "The secret provider cannot be trusted"


class SecretStoreMalformed(SecretStoreUnavailable):
    """The secret provider's answer cannot be read, or fails its checksum; or it could not read what we asked."""

    code = "secret-store-malformed"
    title = "The secret provider's answer cannot be read"


class RotationFailed(Unavailable):
    """A new credential could not be let in or tried; the current one goes on being good."""

    code = "rotation-failed"
    title = "The secret could not be rotated"


class CacheUnavailable(Unavailable):
    """The cache server did not answer."""

    code = "cache-unavailable"
    title = "The cache is unavailable"


class CacheFactoryTimedOut(Unavailable):
    """The value was not made in time, and no stale one was at hand. The making may go on."""

    code = "cache-factory-timed-out"
    title = "The value was not made in time"


class BackplaneUnavailable(Unavailable):
    """The pub/sub server did not answer, or the subscription was lost."""

    code = "backplane-unavailable"
    title = "The backplane is unavailable"


class TopicsUnavailable(Unavailable):
    """The server of the topics did not answer; the message was not, or may not have been, taken."""

    code = "topics-unavailable"
    title = "The topics are unavailable"


class ListenerDropped(Unavailable):
    """A listener's stream was ended from this side; it may listen again where it stopped."""

    code = "listener-dropped"
    title = "The stream has ended"

    def __init__(
        self,
        detail: str = "",
        *,
        reason: Literal["slow", "closing"] = "closing",
        origin: str = "",
        mend: str = "listen again from the last position",
    ) -> None:
        super().__init__(detail, origin=origin, mend=mend)
        self.reason: Literal["slow", "closing"] = reason


class LocksUnavailable(Unavailable):
    """The lease server did not answer; no lease may be assumed."""

    code = "locks-unavailable"
    title = "Leases are unavailable"


class LimiterUnavailable(Unavailable):
    """The limiter's server did not answer; what to do is the policy's to say."""

    code = "limiter-unavailable"
    title = "The rate limiter is unavailable"


class JobQueueUnavailable(Unavailable):
    """The queue's server did not answer; the job was not taken."""

    code = "job-queue-unavailable"
    title = "The job queue is unavailable"


class WebhookUnavailable(Unavailable):
    """The receiver of a webhook was not reached, or did not answer in time."""

    code = "webhook-unavailable"
    title = "The receiver of a webhook is unavailable"


class WebhookRefused(WebhookUnavailable):
    """The receiver did not take the webhook, or is at an address that we may not be sent to."""

    code = "webhook-refused"
    title = "The webhook was not taken"


class MessengerUnavailable(Unavailable):
    """The mail or SMS provider did not take the message."""

    code = "messenger-unavailable"
    title = "The message could not be sent"


class IdentityProviderUnavailable(Unavailable):
    """The external identity provider did not answer."""

    code = "identity-provider-unavailable"
    title = "The identity provider is unavailable"


class AuditUnavailable(Unavailable):
    """The audit trail cannot be written, so nothing that must be audited may happen (ASVS 16.5.3)."""

    code = "audit-unavailable"
    title = "The audit trail cannot be written"


# --- stored bytes ----------------------------------------------------------------------------------------------------


class IntegrityViolated(TradeSenseError):
    """Stored bytes are not what was written."""

    code = "integrity-violated"
    title = "Stored data failed its integrity check"


class DecryptionFailed(IntegrityViolated):
    """A ciphertext does not open: wrong key, wrong place or changed bytes. Deliberately one error for all three."""

    code = "decryption-failed"
    title = "A stored value cannot be decrypted"


class AuditChainBroken(IntegrityViolated):
    """The audit trail's hash chain does not hold; ``seq`` is the first bad row."""

    code = "audit-chain-broken"
    title = "The audit trail has been changed"

    def __init__(self, detail: str, *, seq: int) -> None:
        super().__init__(detail, mend="restore the audit trail from a backup and investigate")
        self.seq = seq


def every_error(root: type[TradeSenseError] = TradeSenseError) -> Iterator[type[TradeSenseError]]:
    """Yield ``root`` and each class below it once, parents first."""
    seen: set[type[TradeSenseError]] = set()
    queue = [root]
    while queue:
        error = queue.pop(0)
        if error not in seen:
            seen.add(error)
            yield error
            queue.extend(error.__subclasses__())
