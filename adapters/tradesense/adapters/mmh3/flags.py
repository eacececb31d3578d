"""The hash of buckets in C. It is called for each roll-out, so there is no Python function around it.

It is given bytes only: a text with a lone surrogate would end the process inside the C code.
"""

from __future__ import annotations

from functools import partial

import mmh3

from tradesense.core.flags.ports import BucketHash
from tradesense.plugins.manifest import AdapterContext, NoSettings


class Mmh3Hash(partial[int]):
    """See :class:`BucketHash`."""


def bucket_hash(_: NoSettings, __: AdapterContext) -> Mmh3Hash:
    """The factory, which the manifest names."""
    return Mmh3Hash(mmh3.hash, seed=0, signed=False)


_: type[BucketHash] = Mmh3Hash
