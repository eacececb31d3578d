"""What commands there are. Their modules are imported when they are used, so this table is all that `--help` needs."""

from __future__ import annotations

COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("identity:init", "Migrate the database and make the first administrator."),
    "serve": ("server:serve", "Answer HTTP requests until stopped."),
    "worker": ("jobs:worker", "Do queued and periodic jobs until stopped."),
    "demo": ("server:demo", "Take the tour: a real server, a real client, every room once."),
    "doctor": ("telemetry:doctor", "Look at the whole set-up: packages, plugins, settings, servers."),
    "health": ("telemetry:health", "Ask everything that the platform depends on how it is."),
    "config": ("config:config", "Settings: those fixed at start, and those that change while it runs."),
    "secrets": ("secrets:secrets", "Read and write secrets."),
    "keys": ("keys:keys", "Rotate and retire the keys that wrap data keys."),
    "flags": ("flags:flags", "Read, write and evaluate feature flags."),
    "segments": ("segments:segments", "Read and write segments, which rules of flags speak of."),
    "users": ("identity:users", "Accounts."),
    "webhooks": ("webhooks:webhooks", "Who is told of identity's events, and what became of it."),
    "cache": ("cache:cache", "The shared cache."),
    "events": ("events:events", "Topics, and what consumer groups have given up."),
    "jobs": ("jobs:jobs", "Queued jobs that failed in every attempt."),
    "plugins": ("plugins:plugins", "What is installed, what won, and a start for plugins of your own."),
    "audit": ("audit:audit", "The audit trail."),
    "db": ("database:db", "The database's schema."),
    "bench": ("bench:bench", "Time the adapters of a room side by side."),
}
"""Name to module and attribute below this package, and to one line about it, in the order of `--help`."""

EXIT_CODES = """\
Exit codes: 0 done, 1 failed, 2 wrong use, 69 a dependency is unavailable, 78 the configuration is wrong.
"""


def overview() -> str:
    """The text of `tradesense --help`."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, (_, summary) in COMMANDS.items()]
    return "\n".join(
        (
            "Usage: tradesense [OPTIONS] COMMAND [ARGS]...",
            "",
            "  The backend every service needs first: identity, secrets, cache, flags,",
            "  configuration and telemetry behind ports, each provider a plugin.",
            "",
            "Options:",
            "  --traceback  Show where an internal error came from.",
            "  --version    Show the version and exit.",
            "  --help       Show this message and exit.",
            "",
            "Commands:",
            *lines,
            "",
            EXIT_CODES,
        )
    )
