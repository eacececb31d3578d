"""Environment variables as settings: ``TRADESENSE_ROOM__NAME``, and names that are common to many platforms."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tradesense.core.errors import Problem
from tradesense.settings.layers import Layer, Value

PREFIX = "TRADESENSE_"
SETTINGS_FILE = "TRADESENSE_SETTINGS_FILE"

COMMON = {
    "DATABASE_URL": "database.url",
    "REDIS_URL": "redis.url",
    "JWT_SECRET_KEY": "identity.jose.secret",
    "SENTRY_DSN": "sentry.dsn",
    "SMTP_HOST": "smtp.host",
    "SMTP_PORT": "smtp.port",
    "SMTP_USERNAME": "smtp.username",
    "SMTP_PASSWORD": "smtp.password",
    "SMTP_SENDER": "smtp.sender",
    "TWILIO_ACCOUNT_SID": "twilio.account_sid",
    "TWILIO_AUTH_TOKEN": "twilio.auth_token",
    "GOOGLE_CLIENT_ID": "identity.google.client_id",
    "GOOGLE_CLIENT_SECRET": "identity.google.client_secret",
    "GITHUB_CLIENT_ID": "identity.github.client_id",
    "GITHUB_CLIENT_SECRET": "identity.github.client_secret",
    "LINKEDIN_CLIENT_ID": "identity.linkedin.client_id",
    "LINKEDIN_CLIENT_SECRET": "identity.linkedin.client_secret",
    "MICROSOFT_CLIENT_ID": "identity.microsoft.client_id",
    "MICROSOFT_CLIENT_SECRET": "identity.microsoft.client_secret",
    "LOG_LEVEL": "telemetry.log_level",
}
"""Variables that work under the names that deployments know already. An empty one counts as absent."""

COMMON_SECTIONS = frozenset(
    key.rpartition(".")[0] for key in COMMON.values() if key not in {"database.url", "redis.url", "telemetry.log_level"}
)
"""Sections that may be filled before an adapter for them is installed."""

IMPLIED_BY_REDIS: Mapping[str, object] = {
    "cache.provider": "redis",
    "cache.backplane": "redis",
    "cache.locks": "redis",
    "cache.limiter": "redis",
    "cache.topics": "redis",
    "jobs.provider": "taskiq",
    "jobs.embedded": False,
}
"""What ``REDIS_URL`` means for settings that nobody set."""

IMPLIED_BY_SMTP: Mapping[str, object] = {"identity.messenger": "smtp"}
"""What ``SMTP_HOST`` means for settings that nobody set."""

_SEGMENT = re.compile(r"[a-z0-9][a-z0-9_-]*")


def variable(name: str) -> str:
    """How a variable is named as an origin."""
    return f"environment variable {name}"


def chosen(environ: Mapping[str, str]) -> tuple[str, str] | None:
    """The environment that a variable names, with the variable's name."""
    for name in (f"{PREFIX}ENVIRONMENT", "ENVIRONMENT"):
        if value := environ.get(name, "").strip():
            return value, name
    return None


def implied(environ: Mapping[str, str]) -> Layer:
    """What follows from variables that are set, for settings that nobody set."""
    layer = Layer("environment variables", {})
    for name, settings in (("REDIS_URL", IMPLIED_BY_REDIS), ("SMTP_HOST", IMPLIED_BY_SMTP)):
        if environ.get(name, "").strip():
            for key, value in settings.items():
                layer.put(key, Value(value, variable(name)))
    return layer


def variables(environ: Mapping[str, str], reserved: tuple[str, ...], problems: list[Problem]) -> Layer:
    """The settings in the environment. They win over all files, and ``TRADESENSE_…`` names over common ones.

    :param reserved: beginnings of names that are no settings.
    """
    layer = Layer("environment variables", {})
    for name, key in COMMON.items():
        if value := environ.get(name, "").strip():
            text = value.lower() if name == "LOG_LEVEL" else value
            layer.put(key, Value(text, variable(name), text=True))
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name == SETTINGS_FILE or name.startswith(reserved):
            continue
        if name == "TRADESENSE_PLUGINS":
            layer.put("plugins.allow", Value(environ[name], variable(name), text=True))
            continue
        parts = name.removeprefix(PREFIX).lower().split("__")
        if all(_SEGMENT.fullmatch(part) for part in parts):
            layer.put(".".join(parts), Value(environ[name], variable(name), text=True))
        else:
            mend = "write TRADESENSE_ROOM__NAME, with two underscores between the levels"
            message = "the name is not that of a setting"
            problem = Problem(level="error", key=name, message=message, origin=variable(name), mend=mend)
            problems.append(problem)
    return layer
