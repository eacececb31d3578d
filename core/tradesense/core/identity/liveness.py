"""When a session is alive. Decided by the server's rows and clock alone (ASVS 7.3.1, 7.3.2)."""

from __future__ import annotations

from datetime import datetime, timedelta

from tradesense.core.identity.models import IdentityPolicy, Session, User


def alive(session: Session, user: User, *, policy: IdentityPolicy, now: datetime) -> bool:
    """Whether the session still speaks for the user at ``now``."""
    idle_end = session.last_seen_at + timedelta(seconds=policy.session_idle)
    return (
        not user.disabled
        and session.user_epoch == user.epoch
        and session.created_at <= now + CLOCK_SKEW
        and now < session.expires_at
        and now < idle_end
    )


CLOCK_SKEW = timedelta(minutes=5)
"""A session that seems to be born later than this was made before the clock was set back; it is not trusted."""
