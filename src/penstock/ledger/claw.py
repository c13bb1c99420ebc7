"""Taking credits back whose payment went back: a refund or a dispute.

    claw    available -> clawed_back    from the payment's own lots first
            forfeited -> clawed_back    what an end had taken along with them counts as taken back
            available -> clawed_back    from the customer's other lots
            debt      -> clawed_back    what can't be covered is owed, never a negative balance

The order makes the outcome the same whether a refund or the end of the subscription becomes known first. Whoever calls
holds the wallet's lock and keeps count of what was taken back for a payment; `key` is one such step.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from penstock.kit.database import Row, Transaction
from penstock.ledger import queries
from penstock.ledger.book import BookEntry, move
from penstock.ledger.service import Wallet


@dataclass(frozen=True)
class Clawed:
    """How many credits were taken from what is available, from what was lost before, and how many are owed now."""

    available: int
    lost_before: int
    debt: int


def claw_back(
    tx: Transaction, wallet: Wallet, source_keys: Sequence[str], amount: int, key: str, reason: str
) -> Clawed:
    """Take `amount` credits back that were granted for `source_keys`.

    Args:
        wallet: locked in this transaction; its balances may have moved since.
    Errors: ValueError for an amount below 1.
    """
    if amount < 1:
        raise ValueError(f"at least 1 credit is clawed back, not {amount}")
    entry = BookEntry(wallet.account_id, "claw_back", f"claw:{key}", reason)
    own = [lot for source in source_keys for lot in tx.all(queries.LOTS_BY_SOURCE, source_key=source)]
    own = [lot for lot in own if lot["account_id"] == wallet.account_id]
    left = amount
    from_own, left = _take(tx, entry, [(lot["id"], lot["remaining"]) for lot in own], left)
    lost, left = _count_lost(tx, entry, wallet, own, left)
    others = tx.all(queries.SPENDABLE_LOTS, account_id=wallet.account_id)
    usable = [
        (lot["id"], lot["remaining"]) for lot in others if lot["expires_at"] is None or lot["expires_at"] > tx.now
    ]
    from_others, left = _take(tx, entry, usable, left)
    if left:
        entry.write(tx, "debt", "clawed_back", left, None)
    move(tx, wallet.account_id, available=-(from_own + from_others), debt=left)
    return Clawed(from_own + from_others, lost, left)


def _take(tx: Transaction, entry: BookEntry, lots: Sequence[tuple[str, int]], wanted: int) -> tuple[int, int]:
    """Take up to `wanted` from lots (id, remaining); returns what was taken and what is still wanted."""
    taken = 0
    for lot_id, remaining in lots:
        if part := min(wanted - taken, remaining):
            entry.write(tx, "available", "clawed_back", part, lot_id)
            tx.run(queries.TAKE_FROM_LOT, lot_id=lot_id, amount=part)
            taken += part
    return taken, wanted - taken


def _count_lost(tx: Transaction, entry: BookEntry, wallet: Wallet, own: Sequence[Row], wanted: int) -> tuple[int, int]:
    """Count as taken back what these lots lost to an end, and what others lost together with them."""
    counted = 0
    for lot_id, account, lost in _lost(tx, wallet, own):
        if part := min(wanted - counted, lost):
            # Its own key: the same lot may give from both sides.
            tagged = BookEntry(entry.account_id, entry.kind, f"{entry.key}:{account}", entry.reason)
            tagged.write(tx, account, "clawed_back", part, lot_id)
            counted += part
    return counted, wanted - counted


def _lost(tx: Transaction, wallet: Wallet, own: Sequence[Row]) -> Iterator[tuple[str, str, int]]:
    """Yield (lot, account of the book, credits) of what was lost and not yet counted, the own lots first.

    A lot whose credits were all held or spent lost nothing; what its end took from others counts all the same.
    """
    rows = tx.all(queries.LOST_LOTS, account_id=wallet.account_id)
    own_ids = {lot["id"] for lot in own}
    ends = {lot["closed_by"] for lot in own if lot["closed_as"] == "forfeited"}
    mine = [row for row in rows if row["id"] in own_ids]
    for row in (*mine, *(row for row in rows if row["id"] not in own_ids and row["closed_by"] in ends)):
        for account in ("forfeited", "expired"):
            yield row["id"], account, int(row[account])
