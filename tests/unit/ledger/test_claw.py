"""Credits whose money went back: taken from where they are, counted where they were lost, owed where neither helps."""

import pytest

from penstock.kit.database import Transaction
from penstock.ledger import service as ledger
from penstock.ledger import statement
from penstock.ledger.claw import Clawed, claw_back
from penstock.ledger.service import Grant, LotKind
from tests.support.sandbox import Sandbox

ANN = "acc_ann"


def grant(box: Sandbox, source: str, amount: int, kind: LotKind = "top_up", ends: float | None = None) -> None:
    box.do(ledger.grant, ANN, Grant(amount, kind, source, "For testing", ends))
    box.clock.advance(1)


def claw(box: Sandbox, amount: int, *sources: str, key: str = "re_1") -> Clawed:
    def unit(tx: Transaction) -> Clawed:
        return claw_back(tx, ledger.lock(tx, ANN), sources, amount, key, "A refund")

    clawed = box.do(unit)
    assert box.do(ledger.violations) == []
    return clawed


def spend(box: Sandbox, amount: int, job: str = "job") -> None:
    box.do(lambda tx: ledger.hold(tx, ledger.lock(tx, ANN), job, amount, "A job"))
    box.do(lambda tx: ledger.capture(tx, ledger.lock(tx, ANN), job, amount, "A job"))


def owned(box: Sandbox) -> tuple[int, int, int]:
    balance = box.do(statement.balance, ANN)
    assert box.do(ledger.violations) == []
    return balance.available, balance.held, balance.debt


def remaining(box: Sandbox) -> dict[str, int]:
    return {row["source_key"]: row["remaining"] for row in box.rows("SELECT source_key, remaining FROM lots")}


def test_they_are_taken_from_their_own_lot_first(box: Sandbox) -> None:
    grant(box, "old", 5)
    grant(box, "paid", 10)

    assert claw(box, 10, "paid") == Clawed(10, 0, 0)
    assert remaining(box) == {"old": 5, "paid": 0}


def test_then_from_others_in_burn_order_and_the_rest_is_owed(box: Sandbox) -> None:
    grant(box, "paid", 10, "plan")
    grant(box, "deposit", 2, "deposit")
    grant(box, "gift", 3, "gift")
    spend(box, 13)  # all but the deposit

    assert claw(box, 10, "paid") == Clawed(2, 0, 8)
    assert owned(box) == (0, 0, 8)


def test_what_is_owed_is_paid_off_by_the_next_grant(box: Sandbox) -> None:
    grant(box, "paid", 10)
    spend(box, 10)
    claw(box, 10, "paid")
    grant(box, "next", 4)
    assert owned(box) == (0, 0, 6)

    grant(box, "more", 10)
    assert owned(box) == (4, 0, 0)


def test_and_by_what_a_job_gives_back(box: Sandbox) -> None:
    grant(box, "paid", 10)
    box.do(lambda tx: ledger.hold(tx, ledger.lock(tx, ANN), "job", 6, "A job"))
    claw(box, 10, "paid")
    assert owned(box) == (0, 6, 6)

    box.do(lambda tx: ledger.capture(tx, ledger.lock(tx, ANN), "job", 1, "A job"))
    assert owned(box) == (0, 0, 1)


def test_by_what_a_job_gives_back_to_a_lot_that_has_ended(box: Sandbox) -> None:
    grant(box, "paid", 10)
    box.do(lambda tx: ledger.hold(tx, ledger.lock(tx, ANN), "job", 6, "A job"))
    claw(box, 10, "paid")
    box.do(lambda tx: ledger.forfeit(tx, ledger.lock(tx, ANN), "end", "Cancelled"))
    box.do(lambda tx: ledger.release(tx, ledger.lock(tx, ANN), "job", "Failed"))

    assert owned(box) == (0, 0, 0)
    forfeited = box.rows("SELECT COALESCE(SUM(amount), 0) AS lost FROM transfers WHERE credit = 'forfeited'")
    assert int(forfeited[0]["lost"]) == 0


def test_what_an_end_took_from_them_counts_as_taken_back(box: Sandbox) -> None:
    grant(box, "paid", 10)
    grant(box, "other", 10)
    spend(box, 8)  # of `paid`
    box.do(lambda tx: ledger.forfeit(tx, ledger.lock(tx, ANN), "end", "Cancelled"))

    assert claw(box, 10, "paid") == Clawed(0, 10, 0)
    assert claw(box, 5, "other", key="re_2") == Clawed(0, 2, 3)


def test_also_where_their_own_were_all_held_when_it_came(box: Sandbox) -> None:
    grant(box, "paid", 4, "gift")
    grant(box, "other", 6)
    box.do(lambda tx: ledger.hold(tx, ledger.lock(tx, ANN), "job", 4, "A job"))  # all of "paid"
    box.do(lambda tx: ledger.forfeit(tx, ledger.lock(tx, ANN), "end", "Cancelled"))

    assert claw(box, 4, "paid") == Clawed(0, 4, 0)  # as if the refund had come first: from "other", nothing is owed
    assert owned(box) == (0, 4, 0)


def test_but_not_what_an_earlier_end_took(box: Sandbox) -> None:
    grant(box, "old", 10)
    box.do(lambda tx: ledger.forfeit(tx, ledger.lock(tx, ANN), "end", "Cancelled"))
    grant(box, "paid", 10)
    spend(box, 10)

    assert claw(box, 10, "paid") == Clawed(0, 0, 10)


def test_credits_that_expired_unspent_are_not_asked_for_again(box: Sandbox) -> None:
    grant(box, "paid", 10, ends=box.clock.now() + 10)
    spend(box, 4)
    box.clock.advance(20)
    box.do(ledger.expire_lots)

    assert claw(box, 10, "paid") == Clawed(0, 6, 4)


def test_a_lot_that_is_over_but_not_closed_gives_nothing_to_others(box: Sandbox) -> None:
    grant(box, "over", 10, ends=box.clock.now() + 10)
    grant(box, "paid", 10)
    spend(box, 10, "first")  # of `over`, which ends first
    spend(box, 10, "second")
    grant(box, "over2", 5, ends=box.clock.now() + 10)
    box.clock.advance(20)

    assert claw(box, 10, "paid") == Clawed(0, 0, 10)


def test_another_customers_lot_is_never_touched(box: Sandbox) -> None:
    box.do(ledger.grant, "acc_bob", Grant(10, "top_up", "bobs", "For testing"))
    grant(box, "paid", 5)
    spend(box, 5)

    assert claw(box, 5, "bobs", "paid") == Clawed(0, 0, 5)
    assert box.do(statement.balance, "acc_bob").available == 10


def test_nothing_is_no_claw(box: Sandbox) -> None:
    box.do(ledger.open_wallet, ANN)
    with pytest.raises(ValueError, match="at least 1"):
        claw(box, 0, "paid")


def test_the_same_step_can_not_be_written_twice(box: Sandbox) -> None:
    grant(box, "paid", 10)
    claw(box, 4, "paid")
    with pytest.raises(Exception, match=r"(?i)unique"):
        claw(box, 4, "paid")
    assert owned(box) == (6, 0, 0)


def test_an_end_takes_what_was_acquired_until_then_whenever_it_comes(box: Sandbox) -> None:
    grant(box, "before", 10)
    end = box.clock.now()
    box.clock.advance(10)
    grant(box, "after", 3)

    def unit(tx: Transaction) -> int:
        return ledger.forfeit(tx, ledger.lock(tx, ANN), "end", "Cancelled", acquired_until=end)

    assert box.do(unit) == 10
    box.do(ledger.grant, ANN, Grant(7, "plan", "late", "For testing", acquired_at=end - 1))
    assert owned(box) == (10, 0, 0)
    assert box.do(unit) == 17
    assert box.do(unit) == 17
    assert owned(box) == (3, 0, 0)


def test_lots_are_spent_in_the_order_in_which_they_were_paid_for(box: Sandbox) -> None:
    grant(box, "second", 5)
    box.do(ledger.grant, ANN, Grant(5, "top_up", "first", "Came late", acquired_at=1.0))
    spend(box, 5)

    assert remaining(box) == {"first": 0, "second": 5}


@pytest.mark.parametrize("closes", ["nobody", "maintenance", "an end"])
def test_what_came_back_too_late_counts_as_taken_back_whoever_closes_its_lot(box: Sandbox, closes: str) -> None:
    """A lot whose time is over swallows what a hold gives back, also before anything has closed it."""
    grant(box, "order", 5, ends=box.clock.now() + 10)
    box.do(lambda tx: ledger.hold(tx, ledger.lock(tx, ANN), "job", 3, "A job"))
    box.clock.advance(20)
    box.do(lambda tx: ledger.release(tx, ledger.lock(tx, ANN), "job", "Failed"))
    if closes == "maintenance":
        box.do(ledger.expire_lots)
    elif closes == "an end":
        box.do(lambda tx: ledger.forfeit(tx, ledger.lock(tx, ANN), "end", "Cancelled"))
    claw(box, 5, "order")

    assert owned(box) == (0, 0, 0)
