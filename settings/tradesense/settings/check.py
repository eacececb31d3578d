"""What settings may not be, though each is well-formed by itself. One rule is one function (SECURITY R55)."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from tradesense.core.capabilities import Capability
from tradesense.core.errors import Problem
from tradesense.core.sensitive import Secret
from tradesense.plugins.registry import Offer
from tradesense.settings.references import path_in
from tradesense.settings.schema import Settings
from tradesense.settings.sections import sealed

KEY_BYTES = 32
FEW = 10
"""A random key of 32 characters has more distinct ones than this."""
MAKE_KEY = "make one with `python -c 'import secrets; print(secrets.token_urlsafe(48))'`"

_PLACEHOLDERS = (
    "changeme",
    "change-me",
    "change_me",
    "default",
    "dummy-",
    "example",
    "insecure",
    "password",
    "placeholder",
    "replace-",
    "sample-",
    "secret",
    "testing",
    "your-",
    "your_",
    "0123456789",
    "abcdefgh",
    "qwerty",
)


_CONFIDENTIAL = ("key_file", "token_file", "secret_file", "password_file")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the rules look at."""

    settings: Settings
    offers: Mapping[str, Offer]
    """What each choosing setting chose, as in ``secrets.provider``."""
    origins: Mapping[str, str]
    file: Path | None = None
    """The deployment's own settings file."""

    @property
    def production(self) -> bool:
        """Whether the strictest rules hold."""
        return self.settings.environment == "production"

    @property
    def strictly(self) -> Literal["error", "warning"]:
        """How bad it is what production refuses."""
        return "error" if self.production else "warning"

    @property
    def local(self) -> bool:
        """Whether this is somebody's own machine or a test run."""
        return self.settings.environment in {"development", "testing"}

    def keys(self) -> dict[str, Secret]:
        """The keys that this choice of adapters needs, by setting; an empty one is absent."""
        keys = {"identity.csrf_key": self.settings.identity.csrf_key, "audit.key": self.settings.audit.key}
        if "identity.signer" in self.offers and self.settings.identity.signer == "jose":
            asymmetric = self.settings.adapters.get("identity.jose", {}).get("algorithm") == "EdDSA"
            name = "private_key" if asymmetric else "secret"
            keys[f"identity.jose.{name}"] = self.secret("identity.jose", name)
        if sealed(self.offers) and self.settings.secrets.key_encryption == "local":
            keys["secrets.local.root_key"] = self.secret("secrets.local", "root_key")
        return keys

    def secret(self, section: str, name: str) -> Secret:
        """A secret of an adapter's section, empty when it is not set."""
        found = self.settings.adapters.get(section, {}).get(name)
        return found if isinstance(found, Secret) else Secret(str(found or ""))

    def database_url(self) -> str:
        """The address of the database if any adapter uses one."""
        if not any(offer.adapter.settings_section == "database" for offer in self.offers.values()):
            return ""
        url: Any = self.settings.adapters.get("database", {}).get("url", "")
        return url.reveal() if isinstance(url, Secret) else str(url)

    def problem(self, level: Literal["error", "warning", "info"], key: str, message: str, mend: str) -> Problem:
        """A problem with the setting ``key``, with its origin."""
        return Problem(level=level, key=key, message=message, origin=self.origins.get(key, "the default"), mend=mend)


Rule = Callable[[Facts], Iterator[Problem]]


def absent_keys(facts: Facts) -> Iterator[Problem]:
    """Without its keys no environment starts; development and testing make theirs."""
    for key, value in facts.keys().items():
        if not value:
            yield facts.problem("error", key, "the key is not set", MAKE_KEY)


def short_keys(facts: Facts) -> Iterator[Problem]:
    """A key has at least 32 bytes everywhere (RFC 7518, section 3.2).

    The root key may be a passphrase, which its adapter checks; production wants a key of random bytes.
    """
    for key, value in facts.keys().items():
        if key == "secrets.local.root_key" and not facts.production:
            continue
        if value and len(value) < KEY_BYTES and path_in(value) is None:
            message = f"the key has {len(value)} bytes, at least {KEY_BYTES} are needed"
            yield facts.problem("error", key, message, MAKE_KEY)


def default_keys(facts: Facts) -> Iterator[Problem]:
    """A key that stands in somebody's documentation is everybody's (ASVS 13.2.3)."""
    if facts.local:
        return
    level = facts.strictly
    for key, value in facts.keys().items():
        if len(value) >= KEY_BYTES and path_in(value) is None and _looks_default(value):
            yield facts.problem(level, key, "the key looks like one from an example", MAKE_KEY)


def equal_keys(facts: Facts) -> Iterator[Problem]:
    """One key has one purpose (NIST SP 800-57 part 1, section 5.2)."""
    if facts.local:
        return
    level = facts.strictly
    seen: list[tuple[str, Secret]] = []
    for key, value in facts.keys().items():
        for other, earlier in seen:
            if value and value == earlier:
                yield facts.problem(level, key, f"the key is the same as {other}", "give each purpose its own key")
        seen.append((key, value))


def base_url_form(facts: Facts) -> Iterator[Problem]:
    """Links in mails are made of it, so it must be an address."""
    url = facts.settings.http.base_url
    if not url:
        return
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or url.endswith("/") or parts.query:
        yield facts.problem(
            "error",
            "http.base_url",
            "it is not an address",
            "write it as in https://app.example.com, without a '/' at the end",
        )


def insecure_base_url(facts: Facts) -> Iterator[Problem]:
    """Cookies and tokens travel only under TLS (ASVS 12.2.1)."""
    if facts.production and urlsplit(facts.settings.http.base_url).scheme != "https":
        what = "it is plain http" if facts.settings.http.base_url else "it is not set"
        yield facts.problem("error", "http.base_url", what, "give the https:// address that clients use")


def plain_cookie(facts: Facts) -> Iterator[Problem]:
    """Browsers take a `__Host-` cookie only from https."""
    if facts.local and urlsplit(facts.settings.http.base_url).scheme != "https":
        message = "over plain http on loopback the session cookie is called `session`, without the __Host- prefix"
        yield facts.problem("info", "http.base_url", message, "nothing to mend here; serve https elsewhere")


def debug(facts: Facts) -> Iterator[Problem]:
    """Details of errors are for developers (ASVS 13.4.2)."""
    if facts.production and facts.settings.debug:
        yield facts.problem("error", "debug", "details of errors would be shown to everybody", "set it to false")


def wildcard_hosts(facts: Facts) -> Iterator[Problem]:
    """A host or an origin is named, not guessed (ASVS 3.4.2)."""
    for key, names in (
        ("http.allowed_hosts", facts.settings.http.allowed_hosts),
        ("http.allowed_origins", facts.settings.http.allowed_origins),
    ):
        if facts.production and any("*" in name for name in names):
            yield facts.problem("error", key, "it has a wildcard", "name each one")


def proxies(facts: Facts) -> Iterator[Problem]:
    """A proxy is believed about addresses, so not everybody may be one (ASVS 4.1.3)."""
    key = "http.trusted_proxies"
    for name in facts.settings.http.trusted_proxies:
        try:
            network = ip_network(name)
        except ValueError:
            yield facts.problem("error", key, f"{name!r} is not a network", "write it as in 10.0.0.0/8")
            continue
        if facts.production and network.prefixlen == 0:
            yield facts.problem("error", key, f"{name} believes everybody", "name the proxy's own network")


def shared_sqlite(facts: Facts) -> Iterator[Problem]:
    """SQLite has one writer."""
    processes = facts.settings.http.processes
    if facts.production and processes > 1 and facts.database_url().startswith("sqlite"):
        message = f"SQLite cannot serve {processes} processes"
        yield facts.problem("error", "database.url", message, "use PostgreSQL, or set http.processes to 1")


def forgetful(facts: Facts) -> Iterator[Problem]:
    """What is kept in memory is gone with the process."""
    if facts.local:
        return
    for key, offer in facts.offers.items():
        if offer.adapter.name == "memory":
            lasting = key in {"identity.provider", "secrets.provider", "audit.provider"}
            level: Literal["error", "warning"] = "error" if facts.production and lasting else "warning"
            mend = "choose a provider that keeps it; see `tradesense plugins list`"
            yield facts.problem(level, key, "what it holds is lost when the process ends", mend)


def console_messenger(facts: Facts) -> Iterator[Problem]:
    """Mail that is printed reaches nobody."""
    if not facts.local and facts.settings.identity.messenger == "console":
        yield facts.problem("warning", "identity.messenger", "mail is printed, not sent", "choose one that sends it")


def unshared(facts: Facts) -> Iterator[Problem]:
    """Processes that do not share a counter or a queue do not act as one."""
    processes = facts.settings.http.processes
    stores = (
        "cache.backplane",
        "cache.locks",
        "cache.limiter",
        "identity.provider",
        "flags.provider",
        "config.provider",
    )
    for key in stores if processes > 1 else ():
        offer = facts.offers.get(key)
        if offer is not None and Capability.SHARED not in offer.adapter.capabilities:
            message = f"each of the {processes} processes has its own"
            yield facts.problem("warning", key, message, "choose a provider that they share")


def idle_queue(facts: Facts) -> Iterator[Problem]:
    """A queue in memory has only its own process to do the work."""
    if facts.settings.jobs.provider == "memory" and not facts.settings.jobs.embedded:
        yield facts.problem("error", "jobs.embedded", "nobody would do the jobs of a queue in memory", "set it to true")


def readable_files(facts: Facts) -> Iterator[Problem]:
    """Files that may hold keys are their owner's (ASVS 13.3.2)."""
    if not facts.production:
        return
    files = {"settings": facts.file} if facts.file else {}
    for section, values in facts.settings.adapters.items():
        for name, value in values.items():
            if name.endswith(_CONFIDENTIAL) and isinstance(value, str) and value:
                files[f"{section}.{name}"] = Path(value)
    for key, file in files.items():
        if file.is_file() and file.stat().st_mode & stat.S_IROTH:
            yield facts.problem("error", key, f"everybody on this machine can read {file}", f"chmod o-r {file}")


RULES: tuple[Rule, ...] = (
    absent_keys,
    short_keys,
    default_keys,
    equal_keys,
    base_url_form,
    insecure_base_url,
    plain_cookie,
    debug,
    wildcard_hosts,
    proxies,
    shared_sqlite,
    forgetful,
    console_messenger,
    unshared,
    idle_queue,
    readable_files,
)


def problems(facts: Facts) -> list[Problem]:
    """What all rules find."""
    return [problem for rule in RULES for problem in rule(facts)]


def _looks_default(value: Secret) -> bool:
    text = value.reveal_bytes().decode("latin-1").lower()
    return len(set(text)) < FEW or any(word in text for word in _PLACEHOLDERS)
