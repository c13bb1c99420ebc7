"""What may happen to credits. Submit holds, settle captures or releases, billing grants and forfeits.

Every function works in the caller's open transaction and starts from a locked wallet (`lock`), so two changes of one
customer never interleave. Every change is written as transfers between the accounts of the book:

    grant    issued    -> available        capture  held      -> spent
    hold     available -> held             forfeit  available -> forfeited (a release into such a lot too)
    release  held      -> available        expire   available -> expired   (a release into such a lot too)
    repay    available -> debt             (what is owed after a refund is paid off by whatever comes in; `claw`)

Each resolves once; a repeat is answered with what was answered the first time. The shape is that of two-phase
transfers (TigerBeetle's pending and post): what can't be covered fails at the hold, so capture and release can't.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from penstock.kit.database import Row, Transaction
from penstock.kit.ids import new_id
from penstock.ledger import queries
from penstock.ledger.book import BookEntry, move, repay
from penstock.ledger.errors import ForfeitConflictError, HoldConflictError, InsufficientCreditsError, UnknownWalletError

LotKind = Literal["plan", "top_up", "gift", "deposit"]
Ending = Literal["forfeited", "expired"]

# Lower is spent first: what is lost soonest goes first.
PRIORITIES: dict[LotKind, int] = {"gift": 10, "plan": 20, "top_up": 30, "deposit": 40}
_ALWAYS = 1e18  # later than every lot
EXPIRE_BATCH_LOTS = 200  # lots that one maintenance transaction closes at most


@dataclass(frozen=True)
class Wallet:
    """A locked wallet, in credits: proof that this transaction holds the customer's lock."""

    account_id: str
    available: int
    held: int
    debt: int


@dataclass(frozen=True)
class Grant:
    """Credits to be granted.

    Args:
        source_key: what they are for, such as `plan/acc_1/3`; the same key is granted once, ever.
        expires_at: seconds since 1970 UTC; None when they stay.
        acquired_at: when they were paid for; None: now. It decides the order in which lots are spent and what the end
            of a subscription takes along, so that news which comes late changes nothing.
        origin: the account of the book that gives: `clawed_back` for credits that had been taken back wrongly.
    """

    amount: int
    kind: LotKind
    source_key: str
    reason: str
    expires_at: float | None = None
    acquired_at: float | None = None
    origin: Literal["issued", "clawed_back"] = "issued"

    def __post_init__(self) -> None:
        """Refuse what is no grant. Errors: ValueError."""
        if self.amount < 1:
            raise ValueError(f"a grant is at least 1 credit, not {self.amount}")


def open_wallet(tx: Transaction, account_id: str) -> None:
    """Make sure that the account has a wallet."""
    tx.run(queries.OPEN_WALLET, account_id=account_id)


def lock(tx: Transaction, account_id: str) -> Wallet:
    """Lock the wallet for the rest of the transaction. Errors: UnknownWalletError."""
    row = tx.one(queries.LOCK_WALLET[tx.dialect], account_id=account_id)
    if row is None:
        raise UnknownWalletError(account_id)
    return Wallet(row["account_id"], row["available"], row["held"], row["debt"])


def grant(tx: Transaction, account_id: str, given: Grant) -> bool:
    """Grant credits; False if this source was granted before. What is owed is paid off with them first."""
    open_wallet(tx, account_id)
    wallet = lock(tx, account_id)
    lot_id = new_id("lot")
    inserted = tx.run(
        queries.INSERT_LOT,
        id=lot_id,
        account_id=account_id,
        kind=given.kind,
        priority=PRIORITIES[given.kind],
        granted=given.amount,
        expires_at=given.expires_at,
        source_key=given.source_key,
        now=tx.now if given.acquired_at is None else given.acquired_at,
    )
    if not inserted:
        return False
    entry = BookEntry(wallet.account_id, "grant", f"grant:{given.source_key}", given.reason)
    entry.write(tx, given.origin, "available", given.amount, lot_id)
    move(tx, account_id, available=given.amount)
    if wallet.debt:
        repay(tx, account_id, f"grant:{given.source_key}", wallet.debt)
    return True


def hold(tx: Transaction, wallet: Wallet, job_id: str, amount: int, reason: str) -> None:
    """Hold `amount` credits for a job, from the lots in burn order; 0 holds nothing.

    Errors: InsufficientCreditsError; HoldConflictError if this job was held for another amount.
    """
    if amount < 0:
        raise ValueError(f"a hold is at least 0 credits, not {amount}")
    if amount == 0:
        return
    if not tx.run(queries.INSERT_HOLD, job_id=job_id, account_id=wallet.account_id, amount=amount, now=tx.now):
        _same_hold(tx, wallet, job_id, amount)
        return
    taken = _take(tx, wallet, amount)
    entry = BookEntry(wallet.account_id, "hold", f"hold:{job_id}", reason, job_id)
    for lot_id, part in taken:
        tx.run(queries.TAKE_FROM_LOT, lot_id=lot_id, amount=part)
        tx.run(queries.INSERT_HOLD_LOT, job_id=job_id, lot_id=lot_id, amount=part)
        entry.write(tx, "available", "held", part, lot_id)
    move(tx, wallet.account_id, available=-amount, held=amount)


def capture(tx: Transaction, wallet: Wallet, job_id: str, amount: int, reason: str) -> None:
    """Spend `amount` of what is held for a job and give back the rest. A job without a hold spends nothing.

    Errors: HoldConflictError if more is asked than is held, or the hold was resolved in another way before.
    """
    if amount < 0:
        raise ValueError(f"a capture is at least 0 credits, not {amount}")
    _resolve(tx, wallet, job_id, amount, "captured", reason)


def release(tx: Transaction, wallet: Wallet, job_id: str, reason: str) -> None:
    """Give back all that is held for a job. Errors: HoldConflictError if it was captured before."""
    _resolve(tx, wallet, job_id, 0, "released", reason)


def forfeit(tx: Transaction, wallet: Wallet, source_key: str, reason: str, acquired_until: float | None = None) -> int:
    """Take every available credit away (a cancelled subscription); what is held is forfeited when released.

    Returns the number of credits lost. A repeat changes nothing, not even what was granted since, and returns what
    was lost the first time.

    Args:
        source_key: what takes them away, such as `subscription/sub_1/end`.
        acquired_until: in seconds since 1970 UTC; lots acquired later stay, and a repeat also takes lots acquired
            before that came in late. None: everything that is there now.

    Errors: ForfeitConflictError if the same source took another customer's credits before.
    """
    known = tx.one(queries.FORFEIT, source_key=source_key)
    if known is not None:
        if known["account_id"] != wallet.account_id:
            raise ForfeitConflictError(f"{source_key} ended another customer's credits before")
        if acquired_until is None:
            return int(known["lost"])
    else:
        tx.run(queries.START_EPOCH, account_id=wallet.account_id)
        tx.run(queries.INSERT_FORFEIT, source_key=source_key, account_id=wallet.account_id, lost=0, now=tx.now)
    until = _ALWAYS if acquired_until is None else acquired_until
    lost = 0
    for lot in tx.all(queries.UNCLOSED_LOTS, account_id=wallet.account_id, until=until):
        lost += _close(tx, wallet, lot, "forfeited", source_key, reason)
    if lost:
        tx.run(queries.ADD_TO_FORFEIT, source_key=source_key, lost=lost)
    return lost + (0 if known is None else int(known["lost"]))


def expire_lots(tx: Transaction) -> int:
    """Close lots whose time is over, a batch at a time; returns how many. For maintenance."""
    expired = tx.all(queries.EXPIRED_LOTS, now=tx.now, limit=EXPIRE_BATCH_LOTS)
    for found in sorted(expired, key=lambda row: str(row["account_id"])):  # one lock order: no deadlocks
        wallet = lock(tx, found["account_id"])
        _close_expired(tx, wallet)
    return len(expired)


def violations(tx: Transaction) -> list[str]:
    """Return what must never be, one sentence each; empty when every credit is explained."""
    return [f"{row['violation']}: {row['subject']}" for row in tx.all(queries.VIOLATIONS)]


def _same_hold(tx: Transaction, wallet: Wallet, job_id: str, amount: int) -> None:
    known = tx.one(queries.HOLD, job_id=job_id)
    if known is None or known["account_id"] != wallet.account_id or known["amount"] != amount:
        raise HoldConflictError(f"{job_id} was held for another amount or customer before")


def _take(tx: Transaction, wallet: Wallet, amount: int) -> list[tuple[str, int]]:
    """Choose (lot, part) in burn order. An expired lot that was not yet closed counts for nothing."""
    taken, needed = [], amount
    for lot in tx.all(queries.SPENDABLE_LOTS, account_id=wallet.account_id):
        if needed == 0:
            break
        if _over(lot, tx.now):
            continue
        part = min(needed, lot["remaining"])
        taken.append((lot["id"], part))
        needed -= part
    if needed:
        raise InsufficientCreditsError(amount - needed, amount)
    return taken


def _over(lot: Row, now: float) -> bool:
    return lot["expires_at"] is not None and lot["expires_at"] <= now


def _resolve(
    tx: Transaction, wallet: Wallet, job_id: str, spent: int, state: Literal["captured", "released"], reason: str
) -> None:
    lots = tx.all(queries.HOLD_WITH_LOTS, job_id=job_id)
    if not lots:
        if spent:
            raise HoldConflictError(f"nothing is held for {job_id}")
        return
    held = lots[0]
    if held["state"] != "open":
        if held["state"] != state or held["captured"] != spent:
            raise HoldConflictError(f"{job_id} was {held['state']} before")
        return
    if spent > held["held"] or held["account_id"] != wallet.account_id:
        raise HoldConflictError(f"{spent} credits asked of {held['held']} held for {job_id}")
    tx.run(queries.RESOLVE_HOLD, job_id=job_id, state=state, captured=spent)
    back = _return_to_lots(tx, wallet, job_id, lots, spent, reason)
    move(tx, wallet.account_id, available=back.available, held=-held["held"], debt=-back.repaid)
    if wallet.debt - back.repaid and back.available:
        repay(tx, wallet.account_id, f"release:{job_id}", wallet.debt - back.repaid)


@dataclass
class _Back:
    """What came back of a hold: credits that are available again, and such as paid off debt on their way."""

    available: int = 0
    repaid: int = 0


def _return_to_lots(
    tx: Transaction, wallet: Wallet, job_id: str, lots: Sequence[Row], spent: int, reason: str
) -> _Back:
    """Spend from the lots of a hold in the order in which they were taken; returns what came back of the rest."""
    capturing = BookEntry(wallet.account_id, "capture", f"capture:{job_id}", reason, job_id)
    releasing = BookEntry(wallet.account_id, "release", f"release:{job_id}", reason, job_id)
    left, back = spent, _Back()
    for lot in lots:
        used = min(left, lot["amount"])
        left -= used
        if used:
            capturing.write(tx, "held", "spent", used, lot["lot_id"])
        if rest := lot["amount"] - used:
            _give_back(tx, wallet, releasing, lot, rest, back)
    return back


def _give_back(tx: Transaction, wallet: Wallet, releasing: BookEntry, lot: Row, amount: int, back: _Back) -> None:
    target = _where_back(lot, tx.now)
    if target == "available":
        releasing.write(tx, "held", target, amount, lot["lot_id"])
        tx.run(queries.GIVE_TO_LOT, lot_id=lot["lot_id"], amount=amount)
        back.available += amount
        return
    # Its lot has ended and would swallow it. Whoever owes credits pays with them instead of losing them.
    repaid = min(amount, wallet.debt - back.repaid)
    if repaid:
        releasing.write(tx, "held", "debt", repaid, lot["lot_id"])
        back.repaid += repaid
    if amount > repaid:
        releasing.write(tx, "held", target, amount - repaid, lot["lot_id"])


def _where_back(lot: Row, now: float) -> str:
    """A lot that ended while its credits were held swallows what comes back."""
    if lot["closed_as"] is not None:
        return str(lot["closed_as"])
    return "expired" if _over(lot, now) else "available"


def _close(tx: Transaction, wallet: Wallet, lot: Row, ending: Ending, key: str, reason: str) -> int:
    remaining: int = lot["remaining"]
    tx.run(queries.CLOSE_LOT, lot_id=lot["id"], now=tx.now, closed_as=ending, closed_by=key)
    if remaining:
        kind = "forfeit" if ending == "forfeited" else "expire"
        BookEntry(wallet.account_id, kind, f"{kind}:{key}", reason).write(tx, "available", ending, remaining, lot["id"])
        move(tx, wallet.account_id, available=-remaining)
    return remaining


def _close_expired(tx: Transaction, wallet: Wallet) -> None:
    for lot in tx.all(queries.EXPIRED_LOTS_OF, account_id=wallet.account_id, now=tx.now):
        _close(tx, wallet, lot, "expired", "due", "Credits reached their end")
