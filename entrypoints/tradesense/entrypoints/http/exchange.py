"""One request and its answer, as the platform sees them: who, from where, under which names."""

from __future__ import annotations

from contextvars import ContextVar

from tradesense.core.audit.models import Actor
from tradesense.core.cache.limits import Policy
from tradesense.core.cache.models import Verdict
from tradesense.core.identity.models import Client, Principal
from tradesense.core.telemetry.models import TraceContext
from tradesense.entrypoints.http.readiness import Readiness
from tradesense.entrypoints.http.site import Site
from tradesense.entrypoints.services import Services


class Exchange:
    """Made once per request by :mod:`.observe`; whoever answers finds it by :func:`current`."""

    __slots__ = (
        "_address",
        "correlation_id",
        "headers",
        "limited",
        "method",
        "path",
        "peer",
        "principal",
        "readiness",
        "services",
        "site",
        "status",
        "streams",
        "trace",
        "twice",
    )

    def __init__(
        self,
        services: Services,
        site: Site,
        readiness: Readiness,
        *,
        method: str,
        path: str,
        peer: str,
        headers: dict[bytes, bytes],
        correlation_id: str,
        trace: TraceContext,
    ) -> None:
        self.services = services
        self.site = site
        self.readiness = readiness
        self.method = method
        self.path = path
        self.peer = peer
        self.headers = headers
        self.correlation_id = correlation_id
        self.trace = trace
        self.status = 0
        """The status that was sent; 0 while none was."""
        self.twice: frozenset[bytes] = frozenset()
        """Headers that came more than once; ``headers`` holds the last value, of cookies all of them."""
        self.principal: Principal | None = None
        self.limited: tuple[tuple[Policy, Verdict], ...] = ()
        """What the rate limits say of this request, for its answer."""
        self.streams = False
        """Whether the answer goes on for as long as the client listens."""
        self._address: str | None = None

    @property
    def address(self) -> str:
        """The client's address, as far as it can be known."""
        if self._address is None:
            self._address = self.site.client_address(self.peer, self.headers.get(b"x-forwarded-for"))
        return self._address

    @property
    def client(self) -> Client:
        """Where a login comes from."""
        return Client(
            address=self.address,
            user_agent=self.headers.get(b"user-agent", b"").decode("latin-1"),
            browser=self.cookie(self.site.cookies.browser),
        )

    @property
    def actor(self) -> Actor:
        """Who an audit row names."""
        if self.principal is None:
            return Actor(kind="anonymous", address=self.address)
        return Actor(kind="user", id=self.principal.user_id, address=self.address)

    def cookie(self, name: str) -> str:
        """The value of the first cookie of this name; empty when there is none."""
        wanted = name.encode()
        for part in self.headers.get(b"cookie", b"").split(b";"):
            key, _, value = part.partition(b"=")
            if key.strip() == wanted:
                return value.strip().decode("latin-1")
        return ""

    def caller(self) -> Principal:
        """Who is asking, on a route that :mod:`.guards` has let an authenticated caller through to."""
        if self.principal is None:
            raise RuntimeError("the route asks for its caller and is public")
        return self.principal


CURRENT: ContextVar[Exchange] = ContextVar("tradesense_exchange")


def current() -> Exchange:
    """The exchange that this task is about.

    It is not a parameter of the handlers, as Litestar then need not look at the request to call them.
    """
    return CURRENT.get()
