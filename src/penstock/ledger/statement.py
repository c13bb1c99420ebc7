"""What a customer may read of the ledger: the balance, the lots it is made of, and every change of it."""

from dataclasses import dataclass

from penstock.kit.database import Row, Transaction
from penstock.ledger import queries

MAX_LOTS = 200  # shown at one time; those spent first come first
FIRST_PAGE = 2**63 - 1  # above every entry's id


@dataclass(frozen=True)
class Lot:
    """Credits of one origin; `expires_at` in seconds since 1970 UTC, None when they stay."""

    kind: str
    remaining: int
    granted: int
    expires_at: float | None


@dataclass(frozen=True)
class Balance:
    """What a customer has, in credits; all 0 for somebody who never had any."""

    available: int = 0
    held: int = 0
    debt: int = 0
    lots: tuple[Lot, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One change: `available`, `held` and `debt` tell by how much it moved each, in credits.

    `source` is what the credits came from, such as `stripe/in_1/il_1`; None where no lot was touched. `cause` names the
    payment that went back, such as `stripe/in_1/correction/0`, where credits were taken back for it.
    """

    id: int
    kind: str
    available: int
    held: int
    reason: str
    job_id: str | None
    created_at: float
    source: str | None = None
    cause: str | None = None
    debt: int = 0


def balance(tx: Transaction, account_id: str) -> Balance:
    """Return an account's credits without locking them."""
    row = tx.one(queries.WALLET, account_id=account_id)
    return Balance() if row is None else Balance(row["available"], row["held"], row["debt"])


def balance_with_lots(tx: Transaction, account_id: str) -> Balance:
    """Return an account's credits and where they came from, in the order in which they will be spent."""
    total = balance(tx, account_id)
    rows = tx.all(queries.OPEN_LOTS, account_id=account_id, limit=MAX_LOTS)
    lots = tuple(Lot(row["kind"], row["remaining"], row["granted"], row["expires_at"]) for row in rows)
    return Balance(total.available, total.held, total.debt, lots)


def entries(tx: Transaction, account_id: str, before: int, limit: int) -> list[Entry]:
    """Return up to `limit` changes with an id below `before`, newest first."""
    return [_entry(row) for row in tx.all(queries.ENTRIES, account_id=account_id, before=before, limit=limit)]


def granted(tx: Transaction, source_key: str) -> tuple[str, int, str] | None:
    """Return (account, credits, reason) of what was granted for a source; None if nothing was."""
    row = tx.one(queries.GRANTED, source_key=source_key)
    return None if row is None else (row["account_id"], row["granted"], row["reason"])


def _entry(row: Row) -> Entry:
    return Entry(
        id=row["id"],
        kind=row["kind"],
        available=_moved(row, "available"),
        held=_moved(row, "held"),
        reason=row["reason"],
        job_id=row["job_id"],
        created_at=row["created_at"],
        source=row["source_key"],
        debt=-_moved(row, "debt"),
        cause=row["key"].split(":")[1] if row["kind"] == "claw_back" else None,
    )


def _moved(row: Row, side: str) -> int:
    """Return by how much a transfer moved one account of the book."""
    amount: int = row["amount"]
    return amount if row["credit"] == side else -amount if row["debit"] == side else 0
