"""The first administrator of a development machine, so that a first start is not a locked door."""

from __future__ import annotations

import base64
from typing import NamedTuple

from tradesense.core.audit.models import Actor
from tradesense.core.errors import EmailTaken
from tradesense.core.identity.models import ADMIN
from tradesense.core.sensitive import Secret
from tradesense.entrypoints.services import Services

EMAIL = "admin@tradesense.example"
PASSWORD_BYTES = 15


class Made(NamedTuple):
    """An account, and its password, which nobody can read again."""

    email: str
    password: Secret


async def first_administrator(services: Services) -> Made | None:
    """Make an administrator in development where there is none; ``None`` where there is, or elsewhere.

    Of several processes that start at once, one makes it.
    """
    if services.settings.environment != "development" or await services.accounts.has_administrator():
        return None
    password = Secret(base64.urlsafe_b64encode(services.random.bytes(PASSWORD_BYTES)))
    try:
        await services.accounts.create(EMAIL, password, roles=(ADMIN,), actor=Actor(kind="operator"))
    except EmailTaken:
        return None
    return Made(EMAIL, password)
