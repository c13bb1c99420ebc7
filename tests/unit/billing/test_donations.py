"""Donations make donors, for as long as they say, and not longer than the money stays."""

from decimal import Decimal

import pytest

from penstock.billing import donations, record
from penstock.billing.donations import Conversion, donation_purchase
from penstock.billing.payments import Fact, PaymentFact, ReversalFact
from penstock.kit.database import Transaction
from penstock.kit.errors import Problem
from penstock.ledger import service as ledger
from penstock.product.schema import Product
from tests.support.flows import PRODUCT, make_product
from tests.support.sandbox import Sandbox
from tests.support.shop import DAY_S, Shop

TERMS = {"min_usd": "3.00", "max_usd": "100.00", "plan": "donor", "days": 31}
FREE = {"title": "Free", "description": "For all"}


def product_of(**terms: object) -> Product:
    plans = {"free": FREE, "donor": {"title": "Donor", "description": "Thanks"}, "paid": PRODUCT["plans"]["paid"]}
    return make_product(plans=plans, donations=TERMS | terms)


@pytest.fixture
def shop(box: Sandbox) -> Shop:
    return Shop(box, product_of())


def given(shop: Shop, name: str = "pay_1", cents: int = 500) -> PaymentFact:
    now = shop.box.clock.now()
    return PaymentFact(name, now, "cus", shop.ann, "donation", "paid", cents, "usd", "Donation", paid_at=now)


def gone(shop: Shop, cents: int, *, counts: bool = True, name: str = "pay_1") -> ReversalFact:
    return ReversalFact(f"re_{name}", shop.box.clock.now(), name, "refund", cents, counts)


def hear(shop: Shop, *facts: Fact) -> str:
    """Take facts in, in one go; returns the plan afterwards."""

    def unit(tx: Transaction) -> None:
        for account in record.record(tx, "test", facts):
            donations.follow(tx, account, shop.product, _set_plan)

    shop.box.do(unit)
    return shop.plan


def _set_plan(tx: Transaction, account: str, plan: str, renews_at: float | None) -> None:
    tx.run("UPDATE accounts SET plan = :plan, plan_renews_at = :at WHERE id = :id", id=account, plan=plan, at=renews_at)


def look_again(shop: Shop) -> str:
    shop.box.do(lambda tx: donations.follow(tx, shop.ann, shop.product, _set_plan))
    return shop.plan


def test_a_donation_makes_a_donor_and_brings_no_credits(shop: Shop) -> None:
    before = shop.credits
    assert hear(shop, given(shop)) == "donor"
    assert hear(shop, given(shop)) == "donor"  # told twice
    assert shop.credits == before
    assert shop.box.do(ledger.violations) == []


def test_it_ends_with_its_days_and_maintenance_knows_when(shop: Shop) -> None:
    hear(shop, given(shop))
    (due,) = shop.box.do(lambda tx: tx.all("SELECT next_at, flag FROM payments"))
    assert due == {"next_at": shop.box.clock.now() + 31 * DAY_S, "flag": None}
    shop.box.clock.advance(31 * DAY_S - 1)
    assert look_again(shop) == "donor"
    shop.box.clock.advance(1)
    assert look_again(shop) == "free"
    (due,) = shop.box.do(lambda tx: tx.all("SELECT next_at, flag FROM payments"))
    assert due == {"next_at": None, "flag": None}


def test_two_donations_last_one_after_the_other(shop: Shop) -> None:
    hear(shop, given(shop))
    shop.box.clock.advance(DAY_S)
    hear(shop, given(shop, "pay_2"))
    shop.box.clock.advance(60 * DAY_S)
    assert look_again(shop) == "donor"
    shop.box.clock.advance(DAY_S)
    assert look_again(shop) == "free"


def test_a_donation_for_good_never_ends(shop: Shop) -> None:
    shop.product = product_of(days=None)
    hear(shop, given(shop))
    shop.box.clock.advance(10_000 * DAY_S)
    assert look_again(shop) == "donor"


@pytest.mark.parametrize(("cents", "plan"), [(500, "free"), (201, "free"), (200, "donor")])
def test_a_refund_ends_it_unless_enough_is_left(shop: Shop, cents: int, plan: str) -> None:
    hear(shop, given(shop))
    assert hear(shop, gone(shop, cents)) == plan


def test_a_refund_that_came_to_nothing_changes_nothing_and_order_does_not_matter(shop: Shop) -> None:
    assert hear(shop, given(shop), gone(shop, 500)) == "free"
    shop.box.clock.advance(1)
    assert hear(shop, gone(shop, 500, counts=False)) == "donor"


def test_who_was_made_a_donor_by_hand_stays_one(shop: Shop) -> None:
    shop.box.do(lambda tx: _set_plan(tx, shop.ann, "donor", None))
    assert look_again(shop) == "donor"


def test_amounts_out_of_bounds_are_refused(shop: Shop) -> None:
    assert donation_purchase(shop.product, Decimal("3.00")).cents == 300
    for amount in ("2.99", "100.01", "5.005"):
        with pytest.raises(Problem, match=r"from \$3.00 to \$100.00"):
            donation_purchase(shop.product, Decimal(amount))
    with pytest.raises(Problem, match="No donations"):
        donation_purchase(make_product(), Decimal(5))


def test_the_conversion_counts_people_and_what_stayed(shop: Shop) -> None:
    since = shop.box.clock.now() - DAY_S
    for _ in range(3):
        shop.box.do(donations.note_click, shop.ann, "result")
    shop.box.do(donations.note_click, "acc_other", "limit")
    hear(shop, given(shop), given(shop, "pay_2", 700), given(shop, "pay_3", 900), gone(shop, 900, name="pay_3"))
    assert shop.box.do(donations.conversion, since) == Conversion(looked=2, gave=1, donations=2, cents=1_200)
    shop.box.clock.advance(500 * DAY_S)
    assert shop.box.do(donations.forget_clicks) == 2
