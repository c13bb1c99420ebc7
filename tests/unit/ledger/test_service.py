"""Credits: granted once, held at most once, resolved at most once, and back where they came from."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.kit.database import Transaction
from penstock.kit.sqlite import SqliteDatabase
from penstock.ledger import service as ledger
from penstock.ledger.errors import (
    ForfeitConflictError,
    HoldConflictError,
    InsufficientCreditsError,
    LedgerError,
    UnknownWalletError,
)
from penstock.ledger.service import Grant, LotKind
from tests.support.flows import make_schema
from tests.support.sandbox import Sandbox

ANN, BOB = "acc_ann", "acc_bob"


def give(box: Sandbox, amount: int, kind: LotKind = "gift", *, ends: float | None = None, source: str = "") -> bool:
    key = source or f"{kind}/{amount}/{ends}"
    expires = None if ends is None else box.clock.now() + ends
    return box.do(ledger.grant, ANN, Grant(amount, kind, key, "For testing", expires))


def locked(change: Callable[..., Any]) -> Callable[..., Any]:
    """Return `change` as a unit of work that locks Ann's wallet first."""
    return lambda tx, *args: change(tx, ledger.lock(tx, ANN), *args)


def hold(box: Sandbox, job: str, amount: int) -> None:
    box.do(locked(ledger.hold), job, amount, "A job")


def capture(box: Sandbox, job: str, amount: int) -> None:
    box.do(locked(ledger.capture), job, amount, "Done")


def release(box: Sandbox, job: str) -> None:
    box.do(locked(ledger.release), job, "Failed")


def forfeit(box: Sandbox, source: str = "sub_1/end") -> int:
    return int(box.do(locked(ledger.forfeit), source, "Cancelled"))


def balance(box: Sandbox) -> tuple[int, int]:
    wallet = box.do(ledger.lock, ANN)
    assert box.do(ledger.violations) == []
    return wallet.available, wallet.held


def left(box: Sandbox) -> dict[str, int]:
    return {row["source_key"]: row["remaining"] for row in box.rows("SELECT source_key, remaining FROM lots")}


# ---- grants -------------------------------------------------------------------------------------------------------


def test_a_source_is_granted_once(box: Sandbox) -> None:
    assert give(box, 5, source="invoice/1") is True
    assert give(box, 5, source="invoice/1") is False
    assert balance(box) == (5, 0)


def test_a_source_is_not_granted_again_to_somebody_else(box: Sandbox) -> None:
    give(box, 5, source="invoice/1")
    assert box.do(ledger.grant, BOB, Grant(5, "gift", "invoice/1", "Again")) is False
    assert box.do(ledger.lock, BOB).available == 0


@pytest.mark.parametrize("amount", [0, -3])
def test_a_grant_of_nothing_is_a_mistake(amount: int) -> None:
    with pytest.raises(ValueError, match="at least 1 credit"):
        Grant(amount, "gift", "x", "x")


def test_there_is_no_wallet_without_a_grant_or_an_opening(box: Sandbox) -> None:
    with pytest.raises(UnknownWalletError):
        box.do(ledger.lock, ANN)
    box.do(ledger.open_wallet, ANN)
    box.do(ledger.open_wallet, ANN)
    assert balance(box) == (0, 0)


# ---- holds --------------------------------------------------------------------------------------------------------


def test_what_is_lost_soonest_is_spent_first(box: Sandbox) -> None:
    give(box, 2, "deposit")
    give(box, 2, "top_up")
    give(box, 2, "plan", ends=100)
    give(box, 2, "plan", ends=50)
    give(box, 2, "plan")
    give(box, 2, "gift")
    order = []
    for nth in range(6):
        before = left(box)
        hold(box, f"job_{nth}", 2)
        order += [key for key, remaining in left(box).items() if remaining < before[key]]
    assert order == ["gift/2/None", "plan/2/50", "plan/2/100", "plan/2/None", "top_up/2/None", "deposit/2/None"]


def test_a_hold_takes_from_several_lots_and_gives_back_to_the_same(box: Sandbox) -> None:
    give(box, 3, "gift")
    give(box, 4, "top_up")
    hold(box, "job_1", 5)
    assert left(box) == {"gift/3/None": 0, "top_up/4/None": 2}
    assert balance(box) == (2, 5)
    release(box, "job_1")
    assert left(box) == {"gift/3/None": 3, "top_up/4/None": 4}
    assert balance(box) == (7, 0)


def test_a_hold_that_is_not_covered_takes_nothing(box: Sandbox) -> None:
    give(box, 3)
    with pytest.raises(InsufficientCreditsError) as caught:
        hold(box, "job_1", 4)
    assert (caught.value.available, caught.value.needed) == (3, 4)
    assert balance(box) == (3, 0)
    hold(box, "job_1", 3)
    assert balance(box) == (0, 3)


def test_a_repeated_hold_is_one_hold(box: Sandbox) -> None:
    give(box, 9)
    hold(box, "job_1", 4)
    hold(box, "job_1", 4)
    assert balance(box) == (5, 4)
    with pytest.raises(HoldConflictError):
        hold(box, "job_1", 3)
    assert balance(box) == (5, 4)


def test_a_hold_for_nothing_holds_nothing(box: Sandbox) -> None:
    box.do(ledger.open_wallet, ANN)
    hold(box, "job_1", 0)
    capture(box, "job_1", 0)
    release(box, "job_1")
    assert balance(box) == (0, 0)
    assert box.rows("SELECT * FROM transfers") == []


@pytest.mark.parametrize("change", [hold, capture])
def test_a_negative_amount_never_mints_credit(box: Sandbox, change: Callable[[Sandbox, str, int], None]) -> None:
    give(box, 5)
    if change is capture:
        hold(box, "job_1", 2)
    with pytest.raises(ValueError, match="at least 0"):
        change(box, "job_1", -1)
    assert sum(balance(box)) == 5


# ---- capture and release ------------------------------------------------------------------------------------------


def test_a_capture_of_a_part_gives_the_rest_back_to_the_lot_that_was_taken_last(box: Sandbox) -> None:
    give(box, 3, "gift")
    give(box, 4, "top_up")
    hold(box, "job_1", 6)
    capture(box, "job_1", 4)
    assert left(box) == {"gift/3/None": 0, "top_up/4/None": 3}
    assert balance(box) == (3, 0)


def test_a_capture_takes_no_more_than_is_held(box: Sandbox) -> None:
    give(box, 9)
    hold(box, "job_1", 4)
    with pytest.raises(HoldConflictError, match="5 credits asked of 4"):
        capture(box, "job_1", 5)
    assert balance(box) == (5, 4)


def test_nothing_is_captured_without_a_hold(box: Sandbox) -> None:
    give(box, 9)
    with pytest.raises(HoldConflictError, match="nothing is held"):
        capture(box, "job_1", 1)
    release(box, "job_1")
    assert balance(box) == (9, 0)


@pytest.mark.parametrize("amount", [0, 2, 4])
def test_a_repeated_capture_changes_nothing(box: Sandbox, amount: int) -> None:
    give(box, 9)
    hold(box, "job_1", 4)
    capture(box, "job_1", amount)
    after = balance(box)
    capture(box, "job_1", amount)
    assert balance(box) == after == (9 - amount, 0)
    with pytest.raises(HoldConflictError):
        capture(box, "job_1", amount + 1)
    with pytest.raises(HoldConflictError):
        release(box, "job_1")
    assert balance(box) == after


def test_a_repeated_release_changes_nothing(box: Sandbox) -> None:
    give(box, 9)
    hold(box, "job_1", 4)
    release(box, "job_1")
    release(box, "job_1")
    with pytest.raises(HoldConflictError):
        capture(box, "job_1", 4)
    hold(box, "job_1", 4)
    assert balance(box) == (9, 0), "a resolved hold is not opened again"


def test_one_customers_hold_is_not_resolved_with_anothers_wallet(box: Sandbox) -> None:
    give(box, 5)
    box.do(ledger.grant, BOB, Grant(5, "gift", "bob", "For testing"))
    hold(box, "job_1", 3)
    with pytest.raises(HoldConflictError):
        box.do(lambda tx: ledger.release(tx, ledger.lock(tx, BOB), "job_1", "Mistake"))
    with pytest.raises(HoldConflictError):
        box.do(lambda tx: ledger.hold(tx, ledger.lock(tx, BOB), "job_1", 3, "Mistake"))
    assert balance(box) == (2, 3)


# ---- lots that end ------------------------------------------------------------------------------------------------


def test_an_expired_lot_is_not_spent_though_nobody_closed_it_yet(box: Sandbox) -> None:
    give(box, 5, "plan", ends=10)
    box.clock.advance(9.999)
    hold(box, "job_1", 1)
    box.clock.advance(0.001)
    with pytest.raises(InsufficientCreditsError):
        hold(box, "job_2", 1)


def test_expired_lots_are_closed_once(box: Sandbox) -> None:
    give(box, 5, "plan", ends=10)
    give(box, 2, "top_up")
    assert box.do(ledger.expire_lots) == 0
    box.clock.advance(10)
    assert box.do(ledger.expire_lots) == 1
    assert box.do(ledger.expire_lots) == 0
    assert balance(box) == (2, 0)


def test_expiring_goes_in_batches_over_all_customers(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "EXPIRE_BATCH_LOTS", 2)
    for nth in range(5):
        box.do(ledger.grant, f"acc_{nth % 2}", Grant(1, "plan", f"lot/{nth}", "For testing", box.clock.now() + 1))
    box.clock.advance(1)
    while box.do(ledger.expire_lots):
        pass
    assert [row["available"] for row in box.rows("SELECT available FROM wallets")] == [0, 0]
    assert box.do(ledger.violations) == []


@pytest.mark.parametrize("closed", [True, False])
def test_what_comes_back_to_an_expired_lot_expires(box: Sandbox, closed: bool) -> None:
    give(box, 5, "plan", ends=10)
    hold(box, "job_1", 5)
    box.clock.advance(10)
    if closed:
        box.do(ledger.expire_lots)
    release(box, "job_1")
    assert balance(box) == (0, 0)
    box.do(ledger.expire_lots)
    assert balance(box) == (0, 0)
    assert [(row["debit"], row["credit"]) for row in box.rows("SELECT * FROM transfers WHERE kind = 'release'")] == [
        ("held", "expired")
    ]


def test_a_job_that_was_held_in_time_is_paid_from_a_lot_that_expired_meanwhile(box: Sandbox) -> None:
    give(box, 5, "plan", ends=10)
    hold(box, "job_1", 5)
    box.clock.advance(100)
    box.do(ledger.expire_lots)
    capture(box, "job_1", 3)
    assert balance(box) == (0, 0)
    assert box.rows("SELECT captured FROM holds") == [{"captured": 3}]


# ---- forfeits -----------------------------------------------------------------------------------------------------


def test_forfeiting_takes_what_is_there_and_what_comes_back(box: Sandbox) -> None:
    give(box, 5)
    give(box, 4, "top_up")
    hold(box, "job_1", 2)
    hold(box, "job_2", 2)
    assert forfeit(box) == 5
    assert balance(box) == (0, 4)
    release(box, "job_1")
    capture(box, "job_2", 1)
    assert balance(box) == (0, 0)


def test_a_repeated_forfeit_spares_what_was_granted_since(box: Sandbox) -> None:
    """A webhook that comes twice must not take the credits of the customer's next subscription."""
    give(box, 5)
    assert forfeit(box, "sub_1/end") == 5
    give(box, 7, "plan")
    assert forfeit(box, "sub_1/end") == 5
    assert balance(box) == (7, 0)
    assert forfeit(box, "sub_2/end") == 7
    assert balance(box) == (0, 0)


def test_a_forfeit_of_nothing_is_remembered_too(box: Sandbox) -> None:
    box.do(ledger.open_wallet, ANN)
    assert forfeit(box) == 0
    give(box, 3)
    assert forfeit(box) == 0
    assert balance(box) == (3, 0)


def test_a_source_takes_one_customers_credits_only(box: Sandbox) -> None:
    give(box, 5)
    box.do(ledger.grant, BOB, Grant(5, "gift", "bob", "For testing"))
    forfeit(box, "sub_1/end")
    with pytest.raises(ForfeitConflictError):
        box.do(lambda tx: ledger.forfeit(tx, ledger.lock(tx, BOB), "sub_1/end", "Mistake"))


# ---- several at one time ------------------------------------------------------------------------------------------


async def test_many_spenders_of_one_wallet_never_spend_more_than_there_is(tmp_path: Path) -> None:
    """Two processes' worth of databases on one file, each with many spenders at one time."""
    path = tmp_path / "test.sqlite3"
    make_schema(path)
    databases = [SqliteDatabase(path, durability="normal") for _ in range(2)]
    await databases[0].write(ledger.grant, ANN, Grant(100, "gift", "start", "For testing"))

    def spend(tx: Transaction, job: str) -> None:
        ledger.hold(tx, ledger.lock(tx, ANN), job, 3, "A job")

    async def one(nth: int) -> bool:
        try:
            await databases[nth % 2].write(spend, f"job_{nth}")
        except LedgerError:
            return False
        return True

    held = await asyncio.gather(*(one(nth) for nth in range(60)))
    assert sum(held) == 33
    wallet = await databases[0].write(ledger.lock, ANN)
    assert (wallet.available, wallet.held) == (1, 99)
    assert await databases[0].read(ledger.violations) == []
    for database in databases:
        await database.close()
