"""`tradesense serve` with one more route, the peer of P04 and P05: the session's answer, without asking who is there.

Run as `python sessionserver.py serve …`. With `FORGET_TOKENS` in the environment no verified token is remembered.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime

from litestar import get

from tradesense.core.identity.verified import VerifiedTokens
from tradesense.entrypoints.cli import main
from tradesense.entrypoints.http import identity
from tradesense.entrypoints.http.guards import public

THEN = datetime(2026, 1, 1, tzinfo=UTC)


@get("/bench/without", opt=public(), tags=["auth"])
async def without() -> identity.SessionAnswer:
    """What the session's route answers."""
    return identity.SessionAnswer(
        user=identity.UserView(
            id="0192f0c1-2345-7abc-8def-0123456789ab", email="admin@tradesense.example", roles=("admin",)
        ),
        session=identity.SessionView(id="0192f0c1-2345-7abc-8def-0123456789ac", authenticated_at=THEN, via="cookie"),
    )


if __name__ == "__main__":
    identity.ROUTES = (*identity.ROUTES, without)
    if "FORGET_TOKENS" in os.environ:
        VerifiedTokens.__init__.__kwdefaults__["most"] = 0
    sys.exit(main())
