"""How a server that cannot start says why: by one line, however many processes it has, and by its exit code."""

from __future__ import annotations

import os
import sys

from tradesense.core.errors import ConfigurationError, TradeSenseError
from tradesense.entrypoints.logs import visible

UNAVAILABLE, CONFIGURATION = 69, 78
"""``EX_UNAVAILABLE`` and ``EX_CONFIG`` of sysexits.h: the codes of a process that has said why it ended."""


class Ending:
    """Made before the processes are forked, it is one for all of them: the first that fails is the one that tells."""

    def __init__(self) -> None:
        self._token, give = os.pipe()
        os.write(give, b"1")
        os.close(give)

    def tell(self, error: TradeSenseError) -> int:
        """Write the error's line, unless another process has written one, and return the exit code."""
        if os.read(self._token, 1):
            sys.stderr.write(f"error: {visible(error.line())}\n")
            sys.stderr.flush()
        return CONFIGURATION if isinstance(error, ConfigurationError) else UNAVAILABLE
