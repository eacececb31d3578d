"""The contracts of the flags room."""

from tradesense.core.testing.flags.exposures import ExposureSinkContract
from tradesense.core.testing.flags.store import FlagStoreContract, SegmentStoreContract
from tradesense.core.testing.flags.tools import BucketHashContract, PatternsContract

__all__ = (
    "BucketHashContract",
    "ExposureSinkContract",
    "FlagStoreContract",
    "PatternsContract",
    "SegmentStoreContract",
)
