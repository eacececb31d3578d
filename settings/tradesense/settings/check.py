"""What settings may not be, though each is well-formed by itself. One rule is one function (SECURITY R55)."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from tradesense.core.capabilities import Capability
from tradesense.core.errors import Problem
from tradesense.settings import keys
from tradesense.settings.facts import Facts, Rule

_CONFIDENTIAL = ("key_file", "token_file", "secret_file", "password_file", "credentials_file")


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
        if any("*" in name for name in names):
            yield facts.problem(facts.strictly, key, "it has a wildcard, which matches nothing", "name each one")


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
        if offer.adapter.name == "memory" and key != "identity.breached":  # its list stands in the settings
            lasting = key in {"identity.provider", "secrets.provider", "audit.provider"}
            level: Literal["error", "warning"] = "error" if facts.production and lasting else "warning"
            mend = "choose a provider that keeps it; see `tradesense plugins list`"
            yield facts.problem(level, key, "what it holds is lost when the process ends", mend)


def console_messenger(facts: Facts) -> Iterator[Problem]:
    """Mail that is printed reaches nobody."""
    if not facts.local and facts.settings.identity.messenger == "console":
        yield facts.problem("warning", "identity.messenger", "mail is printed, not sent", "choose one that sends it")


_NOBODY: Mapping[str, tuple[Literal["warning", "info"], str]] = {
    "identity.breached": ("warning", "no password is looked up among those that were stolen"),
    "telemetry.errors": ("info", "unhandled errors are told to nobody; the log has them"),
    "telemetry.alerts": ("info", "alerts are told to nobody"),
}
"""What ``null`` in these settings means."""


def nobody(facts: Facts) -> Iterator[Problem]:
    """What is left to nobody is not done (of stolen passwords: ASVS 6.2.12)."""
    for key, (level, message) in _NOBODY.items():
        if not facts.local and (offer := facts.offers.get(key)) is not None and offer.adapter.name == "null":
            yield facts.problem(level, key, message, "choose another provider; see `tradesense plugins list`")


_EACH_ITS_OWN: Mapping[str, str] = {
    "cache.limiter": "counts for itself, so that together they allow as many times the limit",
    "cache.locks": "grants the same lease, so that what one may do is done by several",
    "cache.provider": "keeps its own values, so that a change by one is not seen by the others",
    "cache.topics": "has its own topics, so that what is published by one is not seen by those who listen at another",
    "flags.provider": "has its own flags",
    "config.provider": "has its own settings",
    "identity.provider": "has its own accounts and sessions",
    "jobs.provider": "has its own queue, so that two jobs with one key are both done",
}
"""What each process does by itself, against what the ports promise for all of them."""


def unshared(facts: Facts) -> Iterator[Problem]:
    """Processes that do not share a counter or a queue do not act as one.

    Production refuses what breaks a promise. Without a shared backplane a change is seen later, but seen.
    """
    processes = facts.settings.http.processes
    if processes == 1:
        return
    for key, what in (*_EACH_ITS_OWN.items(), ("cache.backplane", "hears only what it says itself")):
        offer = facts.offers.get(key)
        if offer is not None and Capability.SHARED not in offer.adapter.capabilities:
            level = facts.strictly if key in _EACH_ITS_OWN else "warning"
            message = f"each of the {processes} processes {what}"
            yield facts.problem(level, key, message, "choose a provider that they share, or set http.processes to 1")


def idle_queue(facts: Facts) -> Iterator[Problem]:
    """A queue in memory has only its own process to do the work."""
    if facts.settings.jobs.provider == "memory" and not facts.settings.jobs.embedded:
        yield facts.problem("error", "jobs.embedded", "nobody would do the jobs of a queue in memory", "set it to true")


def separate_outbox(facts: Facts) -> Iterator[Problem]:
    """A job and the change that causes it are one transaction only within one provider."""
    outbox = facts.offers.get("jobs.outbox")
    if outbox is None or facts.local:
        return
    joins = Capability.TRANSACTIONAL in outbox.adapter.capabilities
    if not joins or facts.settings.jobs.outbox != facts.settings.audit.provider:
        message = "a change may be made and the job that it causes be lost"
        yield facts.problem(
            "warning", "jobs.outbox", message, f"use {facts.settings.audit.provider}, as the changes do"
        )


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
    *keys.RULES,
    base_url_form,
    insecure_base_url,
    plain_cookie,
    debug,
    wildcard_hosts,
    proxies,
    shared_sqlite,
    forgetful,
    console_messenger,
    nobody,
    unshared,
    idle_queue,
    separate_outbox,
    readable_files,
)


def problems(facts: Facts) -> list[Problem]:
    """What all rules find."""
    return [problem for rule in RULES for problem in rule(facts)]
