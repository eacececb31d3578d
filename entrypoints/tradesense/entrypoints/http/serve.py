"""`tradesense serve`: from settings to a server that answers, and from a signal to its orderly end."""

from __future__ import annotations

import asyncio
import errno
import http.client
import ipaddress
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from tempfile import TemporaryDirectory

from msgspec.structs import replace

from tradesense.core.errors import ConfigurationError, TradeSenseError, Unavailable
from tradesense.entrypoints import logs
from tradesense.entrypoints.database import needed, upgrade_database
from tradesense.entrypoints.http.ending import Ending
from tradesense.entrypoints.http.lifespan import Server
from tradesense.entrypoints.http.processes import ServerProcesses
from tradesense.settings.load import Loaded, load
from tradesense.settings.schema import Settings

ANSWER_SECONDS = 60.0
"""How long the processes may take until one of them answers."""

DRAIN_SECONDS = {"development": 0.2, "testing": 0.2}
DRAIN_OTHERWISE = 3.0
"""How long the server says that it is not ready and still answers, before it stops taking requests."""


METRICS_SECTION = "telemetry.prometheus"


class PortTaken(Unavailable):
    """Another program listens where the server should."""

    code = "port-taken"
    title = "The port is in use"


_inherited: list[Callable[[], Server]] = []
"""How a forked process makes its application: from what its parent has loaded."""


def serve(loaded: Loaded, *, host: str, port: int, processes: int) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit code.

    Prints ``url: …`` once the server answers, and in development, where there is no administrator, ``admin: EMAIL
    PASSWORD`` of one that was made.

    :param port: 0 picks a free one.
    """
    ending = Ending()
    with ExitStack() as stack:
        try:
            port = free_port(host, port)
            shared = stack.enter_context(TemporaryDirectory(prefix="tradesense-metrics-")) if processes > 1 else ""
            settings = addressed(loaded.settings, host=host, port=port, processes=processes, shared=shared)
            logs.configure(settings.telemetry)
            if settings.environment == "development" and needed(settings):
                asyncio.run(upgrade_database(settings))
        except TradeSenseError as error:
            return ending.tell(error)
        _inherited[:] = [lambda: Server(settings, loaded.plugins, ending=ending)]
        server = ServerProcesses(
            partial(application, host, port, processes, shared),
            host=host,
            port=port,
            processes=processes,
            drain=DRAIN_SECONDS.get(settings.environment, DRAIN_OTHERWISE),
        )
        announcer = threading.Thread(target=_announce, args=(settings, server.ended), daemon=True)
        return server.run(begun=announcer.start)


def application(host: str, port: int, processes: int, shared: str) -> Server:
    """The application of one server process. One that was spawned, not forked, loads the settings for itself."""
    if _inherited:
        return _inherited[0]()
    loaded = load()
    settings = addressed(loaded.settings, host=host, port=port, processes=processes, shared=shared)
    logs.configure(settings.telemetry)
    return Server(settings, loaded.plugins)


def addressed(settings: Settings, *, host: str, port: int, processes: int, shared: str = "") -> Settings:
    """The settings with the address that the server really has.

    :param shared: a folder where several processes add up their metrics.
    """
    http_settings = replace(settings.http, host=host, port=port, processes=processes)
    adapters = settings.adapters
    if shared:
        section = {"multiprocess_dir": shared, **adapters.get(METRICS_SECTION, {})}
        adapters = {**adapters, METRICS_SECTION: section}
    return replace(settings, http=http_settings, adapters=adapters)


def free_port(host: str, port: int) -> int:
    """``port``, or a free one for 0.

    :raises PortTaken: someone listens there.
    :raises ConfigurationError: the host is no address of this machine, or the port may not be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(
                    f"port {port} of {host} is in use",
                    origin="http.port",
                    mend="choose another with --port, or --port 0",
                ) from error
            raise ConfigurationError(
                f"cannot listen on {host} port {port}: {error.strerror or error}",
                origin="http.host",
                mend="choose an address of this machine with --host",
            ) from error
        chosen: int = probe.getsockname()[1]
        return chosen


def _announce(settings: Settings, ended: threading.Event) -> None:
    """Print the URL once the server answers there."""
    host, port = settings.http.host, settings.http.port
    target = _reachable(host)
    until = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < until and not ended.wait(0.02):
        if _answers(target, port):
            url = settings.http.base_url or f"http://{f'[{host}]' if ':' in host else host}:{port}"
            sys.stdout.write(f"url: {url}\n")
            sys.stdout.flush()
            return


def _reachable(host: str) -> str:
    """An address that a client on this machine can use for a server that listens on ``host``."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "::1" if address.version == 6 else "127.0.0.1"  # noqa: PLR2004  # IP's version


def _answers(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", "/health/live")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
