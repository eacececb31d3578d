"""What opening an envelope costs beside Fernet, of a kibibyte, in the process's own time."""

from __future__ import annotations

import asyncio
import base64
import os
import time
from statistics import median

from cryptography.fernet import Fernet

from tradesense.adapters.local.secrets import AesGcm, LocalKeyEncryption
from tradesense.adapters.local.settings import LocalKeySettings
from tradesense.adapters.system.ambient import SystemClock, SystemRandom
from tradesense.core.secrets.datakeys import DataKeys
from tradesense.core.secrets.envelope import Sealer
from tradesense.core.sensitive import Secret

KIBIBYTE = 1024
ROUNDS, SAMPLES = 4_000, 15
PATH = "team-a/db/password"


async def ours(sealer: Sealer, blob: bytes) -> float:
    """Microseconds of opening one of our envelopes, as the SQL adapter does it."""
    quick, open_, began = sealer.quick, sealer.open, time.process_time()
    for _ in range(ROUNDS):
        if quick(PATH, 1, blob) is None:
            await open_(PATH, 1, blob)
    return (time.process_time() - began) / ROUNDS * 1e6


def theirs(fernet: Fernet, token: bytes) -> float:
    """Microseconds of opening one of Fernet's."""
    decrypt, began = fernet.decrypt, time.process_time()
    for _ in range(ROUNDS):
        decrypt(token)
    return (time.process_time() - began) / ROUNDS * 1e6


def opened(*, remembered: bool) -> tuple[float, float]:
    """Of our envelope and of Fernet's, sampled in turn."""
    return asyncio.run(_opened(remembered=remembered))


async def _opened(*, remembered: bool) -> tuple[float, float]:
    value, random, aead = os.urandom(KIBIBYTE), SystemRandom(), AesGcm()
    settings = LocalKeySettings(root_key=Secret(base64.b64encode(os.urandom(32)).decode()))
    fernet = Fernet(Fernet.generate_key())
    token = fernet.encrypt(value)
    async with (
        LocalKeyEncryption(settings, random=random, clock=SystemClock()) as keys,
        DataKeys(now=time.monotonic) as held,
    ):
        kept = held if remembered else None
        sealer = Sealer(keys=keys, aead=aead, random=random, namespace="bench", remembered=kept)
        blob = await sealer.seal(PATH, 1, Secret(value))
        assert (await sealer.open(PATH, 1, blob)).reveal_bytes() == fernet.decrypt(token) == value
        pairs = [(await ours(sealer, blob), theirs(fernet, token)) for _ in range(SAMPLES)]
    return median(one for one, _ in pairs), median(other for _, other in pairs)
