"""`python -m tradesense.entrypoints.cli`: the same command where no script is installed."""

from __future__ import annotations

import sys

from tradesense.entrypoints.cli import main

if __name__ == "__main__":
    sys.exit(main())
