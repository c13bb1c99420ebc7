"""The writing end of the audit log, and its pages: who did what to which account, when and why.

`write` takes the open transaction of what it tells of, so that neither is there without the other. Nothing here changes
or deletes an entry, on purpose.
"""

import getpass
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from penstock.kit.database import Row, Transaction

Action = Literal["credits.granted", "account.limits", "account.blocked", "account.unblocked", "account.admin"]
FIRST_PAGE = 2**63 - 1  # above every entry's id

INSERT = """
INSERT INTO audit_entries (at, actor_id, actor, action, account_id, reason, details)
VALUES (:at, :actor_id, :actor, :action, :account_id, :reason, :details)
"""

PAGE = """
SELECT id, at, actor_id, actor, action, account_id, reason, details FROM audit_entries
WHERE id < :before ORDER BY id DESC LIMIT :limit
"""

PAGE_OF_ACCOUNT = """
SELECT id, at, actor_id, actor, action, account_id, reason, details FROM audit_entries
WHERE account_id = :account_id AND id < :before ORDER BY id DESC LIMIT :limit
"""


@dataclass(frozen=True)
class Actor:
    """Who does something: an account and its name; without an account, a user of the machine."""

    account_id: str | None
    name: str

    @classmethod
    def of_machine(cls) -> "Actor":
        """Return who runs this command, as the machine knows them."""
        try:
            return cls(None, f"{getpass.getuser()} (command line)")
        except (OSError, KeyError, ImportError):  # a container without a list of users
            return cls(None, "command line")


def write(
    tx: Transaction,
    actor: Actor,
    action: Action,
    account_id: str,
    *,
    reason: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Add an entry, in the transaction of what it tells of; `details` are JSON values."""
    tx.run(
        INSERT,
        at=tx.now,
        actor_id=actor.account_id,
        actor=actor.name,
        action=action,
        account_id=account_id,
        reason=reason,
        details=json.dumps(details or {}, sort_keys=True),
    )


def page(tx: Transaction, account_id: str | None, before: int, limit: int) -> list[Row]:
    """Return up to `limit` entries with an id below `before`, newest first; None: of all accounts."""
    if account_id is None:
        return tx.all(PAGE, before=before, limit=limit)
    return tx.all(PAGE_OF_ACCOUNT, account_id=account_id, before=before, limit=limit)
