"""Writes to Secrets Manager, each of which another writer may have been before."""

from __future__ import annotations

from typing import Any

from tradesense.adapters.aws._client import AwsService
from tradesense.adapters.aws._errors import Refusal
from tradesense.adapters.aws._versions import CURRENT, PENDING, Described, fields, version_id
from tradesense.core.errors import SecretStoreUnavailable
from tradesense.core.sensitive import Secret

RACES = 100
"""How many other writers one write may lose against before it gives up."""
STATES = 3
"""How often it may meet a secret that is just being removed or brought back."""
ABSENT, EXISTS, STATE = "ResourceNotFoundException", "ResourceExistsException", "InvalidRequestException"
PARAMETER = "InvalidParameterException"


class Lost(Exception):
    """The secret is not as it was found."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.reason = code


class Races:
    """What one write remembers of those that were faster."""

    def __init__(self, path: str, origin: str) -> None:
        self._path, self._origin = path, origin
        self._number = self._lost = self._states = 0

    def number(self, found: Described | None) -> int:
        """The next number to try."""
        self._number = max(found.next if found else 1, self._number + 1)
        return self._number

    def lose(self, lost: Lost) -> None:
        """Go on only if another try may do better.

        :raises SecretStoreUnavailable: it will not soon.
        """
        self._lost += 1
        self._states += lost.reason == STATE
        if self._lost > RACES or self._states > STATES:
            raise SecretStoreUnavailable(
                f"the secret {self._path!r} is written by others again and again, or is just being removed",
                origin=self._origin,
                mend="try again",
            ) from lost


class Writes:
    """What changes one secret, by its name."""

    def __init__(self, service: AwsService, kms_key_id: str) -> None:
        self._service = service
        self._key: dict[str, Any] = {"KmsKeyId": kms_key_id} if kms_key_id else {}

    async def write(self, name: str, value: Secret, number: int, found: Described | None) -> None:
        """Make ``number`` current, if the secret is still as it was found.

        :raises Lost: it is not.
        """
        if found is None:
            await self._attempt(
                "create_secret", Name=name, ClientRequestToken=version_id(number), **self._key, **fields(value)
            )
            return
        if found.deleted_at is not None:
            await self._attempt("restore_secret", SecretId=name)
        if found.pending or found.deleted_at is not None:
            await self.add(name, value, number, PENDING)
            await self.move(name, found, number)
        else:
            await self.add(name, value, number, CURRENT)

    async def add(self, name: str, value: Secret, number: int, stage: str) -> None:
        await self._attempt(
            "put_secret_value",
            SecretId=name,
            ClientRequestToken=version_id(number),
            VersionStages=[stage],
            **fields(value),
        )

    async def move(self, name: str, found: Described, number: int) -> None:
        """Let ``AWSCURRENT`` pass from the version that was found to have it to ``number``."""
        await self._attempt(
            "update_secret_version_stage",
            repeatable=False,
            SecretId=name,
            VersionStage=CURRENT,
            RemoveFromVersionId=found.ids[found.current],
            MoveToVersionId=version_id(number),
        )

    async def _attempt(self, operation: str, *, repeatable: bool = True, **arguments: Any) -> None:
        """Write, unless another writer was there before.

        :raises Lost: one was.
        """
        try:
            await self._service.call(operation, repeatable=repeatable, **arguments)
        except Refusal as refusal:
            if refusal.reason in {ABSENT, EXISTS, STATE} or (refusal.reason == PARAMETER and not repeatable):
                raise Lost(refusal.reason) from refusal
            raise refusal.unexpected() from refusal
