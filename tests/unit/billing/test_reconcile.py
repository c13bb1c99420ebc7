"""Reconciliation: what never came is made up for, what can't be explained is told."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from penstock.accounts import people
from penstock.billing.payments import PaymentFact, PaymentUnavailableError
from penstock.billing.reconcile import Report, reconcile
from penstock.billing.webhooks import Intake
from penstock.ledger import service as ledger
from tests.support.sandbox import PostgresSandbox
from tests.support.shop import DAY_S, Shop, moment

FREE = 3


class Boxed:
    """A sandbox as a database."""

    def __init__(self, shop: Shop) -> None:
        self._box = shop.box

    async def write(self, unit: Any, /, *args: Any, **kwargs: Any) -> Any:
        return _outside(self._box.do, unit, *args, **kwargs)

    read = write

    async def close(self) -> None:
        return None


def _outside(do: Any, unit: Any, *args: Any, **kwargs: Any) -> Any:
    """Call the sandbox; on PostgreSQL, where it has an event loop to itself, from a thread of its own."""
    if not isinstance(do.__self__, PostgresSandbox):
        return do(unit, *args, **kwargs)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(do, unit, *args, **kwargs).result()


def compared(shop: Shop, days: float = 10) -> Report:
    database: Any = Boxed(shop)
    intake = Intake(database, shop.box.clock, lambda: shop.product, people.set_plan)
    since = shop.box.clock.now() - days * DAY_S
    return shop.run(reconcile(database, intake, shop.adapter, since))


def test_what_was_delivered_needs_no_mending(shop: Shop) -> None:
    shop.buy_plan()
    shop.buy_top_up()
    shop.deliver()
    report = compared(shop)

    assert (report.mended, report.flagged) == ([], [])
    assert report.looked_at > 0
    assert shop.credits == FREE + 35


def test_payments_whose_webhooks_never_came_are_granted(shop: Shop) -> None:
    shop.buy_plan()
    session = shop.buy_top_up()
    shop.stripe.refund(session["payment_intent"], 250)
    report = compared(shop)

    assert (shop.credits, shop.plan) == (FREE + 25 + 5, "small")
    assert report.flagged == []
    assert any(told.startswith("in_1: was not known; now status is paid, granted is 25") for told in report.mended)
    assert compared(shop).mended == []
    shop.deliver()
    assert shop.credits == FREE + 25 + 5


def test_an_end_that_never_came_is_made_up_for(shop: Shop) -> None:
    subscription = shop.buy_plan()
    shop.deliver()
    shop.box.clock.advance(60)
    shop.stripe.end(subscription)
    report = compared(shop)

    assert (shop.credits, shop.plan) == (0, "free")
    assert report.mended == ["sub_1: status was active; now status is ended"]


def test_a_refund_of_an_invoice_that_never_came_is_found_by_its_payment(shop: Shop) -> None:
    shop.buy_plan()
    shop.deliver()
    shop.stripe.refund("pi_1")
    compared(shop)

    assert shop.credits == FREE


def test_credits_that_nobody_paid_for_are_flagged_and_left(shop: Shop) -> None:
    now = shop.box.clock.now()
    forged = PaymentFact("in_made_up", now, "cus_1", shop.ann, "top_up", "paid", 499, "usd", "Top-up", now, (), 10)
    shop.take([forged])
    report = compared(shop)

    assert report.flagged == ["in_made_up: credits were granted, and the provider does not say that it was paid"]
    assert shop.credits == FREE + 10


def test_an_invoice_made_before_the_time_looked_at_and_paid_in_it_is_no_riddle(shop: Shop) -> None:
    subscription = shop.buy_plan()
    shop.stripe.without_money.add(subscription["customer"])
    shop.wait_until(moment(2027, 4, 20))
    shop.stripe.without_money.clear()
    shop.stripe.pay_late(list(shop.stripe.things["invoices"].values())[-1])
    shop.deliver()

    assert compared(shop, days=2).flagged == []


def test_a_payment_for_something_unknown_is_flagged(shop: Shop) -> None:
    shop.buy_plan()
    price = shop.stripe.things["invoices"]["in_1"]["lines"]["data"][0]["pricing"]["price_details"]
    price["product"] = "prod_other"

    assert compared(shop).flagged == ["in_1: paid, but it is not known for what"]


def test_two_plans_at_once_are_flagged(shop: Shop) -> None:
    shop.buy_plan("small")
    shop.buy_plan("large")

    assert compared(shop).flagged == [f"{shop.ann}: pays for 2 plans at the same time"]


def test_a_provider_that_does_not_answer_is_no_riddle_either(shop: Shop) -> None:
    shop.buy_plan()
    shop.stripe.broken_answers = 2
    with pytest.raises(PaymentUnavailableError):
        compared(shop)
    assert shop.box.do(ledger.violations) == []
