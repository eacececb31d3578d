"""The audit trail: who did what, in a chain that shows when it was changed."""

from tradesense.core.audit.models import Actor, AuditEntry, AuditHead, AuditQuery, AuditRecord, Outcome, Verification
from tradesense.core.audit.ports import AuditLog

__all__ = ("Actor", "AuditEntry", "AuditHead", "AuditLog", "AuditQuery", "AuditRecord", "Outcome", "Verification")
