"""The contracts of the secrets room."""

from tradesense.core.testing.secrets.keys import AeadContract, KeyEncryptionContract
from tradesense.core.testing.secrets.rotators import RotatorContract
from tradesense.core.testing.secrets.store import SecretStoreContract

__all__ = ("AeadContract", "KeyEncryptionContract", "RotatorContract", "SecretStoreContract")
