"""The contracts of the flags room."""

from tradesense.core.testing.flags.experiments import ExperimentStoreContract
from tradesense.core.testing.flags.store import FlagStoreContract, SegmentStoreContract
from tradesense.core.testing.flags.tools import BucketHashContract, PatternsContract

__all__ = (
    "BucketHashContract",
    "ExperimentStoreContract",
    "FlagStoreContract",
    "PatternsContract",
    "SegmentStoreContract",
)
