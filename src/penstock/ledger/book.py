"""The writing end of the book: transfers, the balances that they move, and what pays off debt."""

from dataclasses import dataclass

from penstock.kit.database import Transaction
from penstock.ledger import queries


@dataclass(frozen=True)
class BookEntry:
    """What the transfers of one change have in common; `key` names the change, so that it can't be written twice."""

    account_id: str
    kind: str
    key: str
    reason: str
    job_id: str | None = None

    def write(self, tx: Transaction, debit: str, credit: str, amount: int, lot_id: str | None) -> None:
        """Write one transfer of the change."""
        tx.run(
            queries.INSERT_TRANSFER,
            account_id=self.account_id,
            kind=self.kind,
            debit=debit,
            credit=credit,
            amount=amount,
            lot_id=lot_id,
            job_id=self.job_id,
            reason=self.reason,
            key=f"{self.key}:{lot_id or 'wallet'}:{credit}",
            now=tx.now,
        )


def move(tx: Transaction, account_id: str, *, available: int = 0, held: int = 0, debt: int = 0) -> None:
    """Move a wallet's balances by so many credits."""
    tx.run(queries.MOVE_WALLET, account_id=account_id, available=available, held=held, debt=debt)


def repay(tx: Transaction, account_id: str, key: str, owed: int) -> None:
    """Pay off what is owed with what is available, in burn order; `key` names what made it available."""
    entry = BookEntry(account_id, "repay", f"repay:{key}", "Paid off what was owed after a refund")
    left = owed
    for lot in tx.all(queries.SPENDABLE_LOTS, account_id=account_id):
        if left and (lot["expires_at"] is None or lot["expires_at"] > tx.now):
            part = min(left, lot["remaining"])
            entry.write(tx, "available", "debt", part, lot["id"])
            tx.run(queries.TAKE_FROM_LOT, lot_id=lot["id"], amount=part)
            left -= part
    move(tx, account_id, available=left - owed, debt=left - owed)
