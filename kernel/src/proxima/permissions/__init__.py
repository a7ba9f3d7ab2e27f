"""What plugins may do: the grammar, what the user granted, the question, and the record."""

from proxima.permissions.audit import AuditLog, AuditRecord
from proxima.permissions.consent import Consent, ConsentAnswer, ConsentRequest, DenyAll, TerminalConsent
from proxima.permissions.facade import Permissions
from proxima.permissions.grammar import KINDS, Permission
from proxima.permissions.grants import Decision, Grants, Source, open_permissions

__all__ = [
    "KINDS",
    "AuditLog",
    "AuditRecord",
    "Consent",
    "ConsentAnswer",
    "ConsentRequest",
    "Decision",
    "DenyAll",
    "Grants",
    "Permission",
    "Permissions",
    "Source",
    "TerminalConsent",
    "open_permissions",
]
