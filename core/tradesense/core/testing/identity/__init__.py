"""The contracts of the identity room's ports."""

from tradesense.core.testing.identity.messages import MessengerContract
from tradesense.core.testing.identity.passwords import BreachedPasswordsContract, PasswordHasherContract
from tradesense.core.testing.identity.providers import IdentityProviderContract
from tradesense.core.testing.identity.store import IdentityStoreContract
from tradesense.core.testing.identity.tokens import TokenSignerContract
from tradesense.core.testing.identity.webhooks import WebhookSenderContract

__all__ = (
    "BreachedPasswordsContract",
    "IdentityProviderContract",
    "IdentityStoreContract",
    "MessengerContract",
    "PasswordHasherContract",
    "TokenSignerContract",
    "WebhookSenderContract",
)
