"""What a credit brought in, by the payment that it came from."""

import pytest

from penstock.billing.worth import Spent, brought_in
from penstock.jobs.operator_queries import SPENT_CREDITS
from penstock.kit.database import Transaction
from penstock.ledger import service as ledger
from penstock.ledger.service import Grant
from tests.support.shop import Shop


def _spend(tx: Transaction, account_id: str, amount: int) -> list[Spent]:
    """Hold and capture credits, and return where they came from."""
    ledger.hold(tx, ledger.lock(tx, account_id), "job_1", amount, "work")
    ledger.capture(tx, ledger.lock(tx, account_id), "job_1", amount, "work")
    return [Spent(**row) for row in tx.all(SPENT_CREDITS, job_id="job_1")]


def _worth(tx: Transaction, account_id: str, amount: int) -> int | None:
    return brought_in(tx, _spend(tx, account_id, amount))


@pytest.mark.parametrize(
    ("interval", "cents", "brings"),
    [("month", 800, 25), ("year", 8_000, 12 * 25)],  # a year's payment is shared among all its months
)
def test_credits_of_a_plan_are_worth_their_share_of_the_payment(
    shop: Shop, interval: str, cents: int, brings: int
) -> None:
    shop.buy_plan("small", interval)
    shop.deliver()
    before = shop.box.do(lambda tx: tx.one("SELECT available FROM wallets WHERE account_id = :id", id=shop.ann))
    assert before is not None
    worth = shop.box.do(_worth, shop.ann, before["available"])
    assert worth == round(25 * cents * 10_000 / brings), "the free plan's own credits brought nothing"


def test_a_top_up_and_a_gift_together(shop: Shop) -> None:
    shop.buy_top_up()
    shop.deliver()
    shop.box.do(ledger.grant, shop.ann, Grant(5, "gift", "test/gift", "For testing"))
    available = shop.box.do(lambda tx: tx.value("SELECT available FROM wallets WHERE account_id = :id", id=shop.ann))
    assert shop.box.do(_worth, shop.ann, available) == 4_990_000


def test_a_payment_that_nobody_knows_makes_the_whole_unknown(shop: Shop) -> None:
    known, lost = Spent("gift", "operator/x", 2), Spent("top_up", "stripe/gone", 1)
    assert shop.box.do(brought_in, [known]) == 0
    assert shop.box.do(brought_in, [known, lost]) is None
