"""Identity: accounts, sessions, tokens, and what they may do."""

from tradesense.core.identity.models import (
    Client,
    ExternalIdentity,
    IdentityPolicy,
    Message,
    Principal,
    RefreshToken,
    Session,
    TokenKind,
    TokenPair,
    User,
)
from tradesense.core.identity.ports import (
    BreachedPasswords,
    IdentityProvider,
    IdentityStore,
    Messenger,
    PasswordHasher,
    RefreshTokenRepository,
    SessionRepository,
    TokenSigner,
    UserRepository,
)

__all__ = (
    "BreachedPasswords",
    "Client",
    "ExternalIdentity",
    "IdentityPolicy",
    "IdentityProvider",
    "IdentityStore",
    "Message",
    "Messenger",
    "PasswordHasher",
    "Principal",
    "RefreshToken",
    "RefreshTokenRepository",
    "Session",
    "SessionRepository",
    "TokenKind",
    "TokenPair",
    "TokenSigner",
    "User",
    "UserRepository",
)
