"""The contracts of the flags room."""

from tradesense.core.testing.flags.changes import ChangeStoreContract
from tradesense.core.testing.flags.experiments import ExperimentStoreContract
from tradesense.core.testing.flags.store import FlagStoreContract, SegmentStoreContract
from tradesense.core.testing.flags.tools import BucketHashContract, PatternsContract

__all__ = (
    "BucketHashContract",
    "ChangeStoreContract",
    "ExperimentStoreContract",
    "FlagStoreContract",
    "PatternsContract",
    "SegmentStoreContract",
)
