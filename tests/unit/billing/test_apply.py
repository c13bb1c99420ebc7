"""What follows from payments: credits once, a plan while it is paid, and the way back when the money goes back."""

from decimal import Decimal
from typing import Any

import pytest

from penstock.billing import prices, queries
from penstock.billing.payments import ReversalFact
from penstock.ledger import service as ledger
from tests.support.sandbox import Sandbox
from tests.support.shop import DAY_S, Shop, moment, selling
from tests.support.stripe_server import Values

FREE = 3  # what registration brought


def intent(shop: Shop, invoice: str) -> str:
    """Return by which name an invoice's money moved."""
    payments = shop.stripe.things["invoice_payments"].values()
    return next(str(each["payment"]["payment_intent"]) for each in payments if each["invoice"] == invoice)


def test_a_paid_invoice_brings_a_months_credits_and_the_plan(shop: Shop) -> None:
    shop.buy_plan()
    shop.deliver()

    assert shop.credits == FREE + 25
    assert (shop.plan, shop.renews_at) == ("small", moment(2027, 4, 1))
    assert shop.box.do(ledger.violations) == []


def test_nothing_comes_before_it_is_paid(shop: Shop) -> None:
    shop.open(prices.plan_purchase(shop.product, "small", "month"))
    shop.deliver()

    assert (shop.credits, shop.plan) == (FREE, "free")


def test_the_checkout_of_a_plan_grants_nothing_beside_its_invoice(shop: Shop) -> None:
    shop.buy_plan()
    completed = [event for event in shop.heard() if event["type"] == "checkout.session.completed"]
    shop.deliver(completed)
    assert shop.credits == FREE

    shop.deliver(shop.stripe.events)
    assert shop.credits == FREE + 25


def test_every_webhook_twice_and_backwards_changes_nothing(shop: Shop) -> None:
    shop.buy_plan()
    shop.buy_top_up()
    happened = shop.heard()
    shop.deliver([*reversed(happened), *happened])

    assert shop.credits == FREE + 25 + 10
    assert shop.plan == "small"


def test_the_same_invoice_under_another_event_grants_once(shop: Shop) -> None:
    shop.buy_plan()
    shop.deliver()
    invoice = next(iter(shop.stripe.things["invoices"].values()))
    shop.deliver([shop.stripe.event("invoice.paid", invoice)])

    assert shop.credits == FREE + 25


def test_each_renewal_brings_credits_and_they_carry_over(shop: Shop) -> None:
    shop.buy_plan()
    shop.wait_until(moment(2027, 5, 2))
    shop.deliver()

    assert shop.credits == FREE + 3 * 25
    assert shop.renews_at == moment(2027, 6, 1)


def test_credits_that_do_not_carry_over_end_with_their_month(box: Sandbox) -> None:
    product = selling()
    small = product.plans["small"].model_copy(update={"carry_over": False})
    shop = Shop(box, product.model_copy(update={"plans": {**product.plans, "small": small}}))
    shop.buy_plan()
    shop.wait_until(moment(2027, 4, 2))
    shop.deliver()
    box.do(ledger.expire_lots)

    assert shop.credits == FREE + 25
    shop.close()


def test_a_year_is_paid_once_and_brings_its_credits_month_by_month(shop: Shop) -> None:
    shop.buy_plan("small", "year")
    shop.deliver()
    assert shop.credits == FREE + 25

    shop.box.clock.advance(moment(2027, 4, 1) - 1 - shop.box.clock.now())
    shop.look_again()
    assert shop.credits == FREE + 25

    shop.box.clock.advance(1)
    shop.look_again()
    shop.look_again()
    assert shop.credits == FREE + 50

    shop.box.clock.advance(moment(2028, 2, 28) - shop.box.clock.now())
    shop.look_again()
    assert shop.credits == FREE + 12 * 25
    assert [row["next_at"] for row in shop.payments()] == [None]


def test_a_dearer_plan_brings_the_difference_for_the_time_that_is_left(shop: Shop) -> None:
    subscription = shop.buy_plan()
    shop.deliver()
    shop.box.clock.advance((moment(2027, 4, 1) - shop.box.clock.now()) / 2)
    change(shop, subscription, "large", at_once=True)

    assert shop.plan == "large"
    assert shop.credits == FREE + 25 + (60 - 25) // 2


def test_a_dearer_plan_that_is_not_paid_for_changes_nothing(shop: Shop) -> None:
    subscription = shop.buy_plan()
    shop.deliver()
    shop.stripe.without_money.add(subscription["customer"])
    change(shop, subscription, "large", at_once=True)

    assert (shop.plan, shop.credits) == ("small", FREE + 25)


def test_a_cheaper_plan_holds_from_the_next_period_on(shop: Shop) -> None:
    subscription = shop.buy_plan("large")
    shop.deliver()
    change(shop, subscription, "small", at_once=False)
    assert (shop.plan, shop.credits) == ("large", FREE + 60)

    shop.wait_until(moment(2027, 4, 2))
    shop.deliver()
    assert (shop.plan, shop.credits) == ("small", FREE + 60 + 25)


def test_a_month_may_become_a_year(shop: Shop) -> None:
    subscription = shop.buy_plan()
    shop.deliver()
    shop.box.clock.advance((moment(2027, 4, 1) - shop.box.clock.now()) / 2)
    change(shop, subscription, "small", at_once=True, interval="year")

    assert shop.plan == "small"
    assert shop.credits == FREE + 25 + 25 // 2  # a new month begins, and half of the old one was given back


def change(shop: Shop, subscription: Values, plan: str, *, at_once: bool, interval: Any = "month") -> None:
    fact = next(iter(shop.adapter_facts(subscription)))
    purchase = prices.plan_purchase(shop.product, plan, interval)
    answer = shop.run(shop.adapter.change(fact, purchase, at_once=at_once, key=f"{plan}{at_once}"))
    shop.take(answer)
    shop.deliver()


def test_a_cancelled_plan_stays_until_its_period_ends_and_then_takes_everything(shop: Shop) -> None:
    subscription = shop.buy_plan()
    shop.buy_top_up()
    shop.deliver()
    shop.take(shop.run(shop.adapter.cancel(next(iter(shop.adapter_facts(subscription))), "cancel")))
    assert (shop.plan, shop.credits) == ("small", FREE + 35)

    shop.wait_until(moment(2027, 4, 2))
    shop.deliver()
    assert (shop.plan, shop.credits) == ("free", 0)
    assert shop.renews_at == moment(2027, 5, 1)  # the free plan's next month, counted from the registration


def test_what_is_bought_after_the_end_stays_however_late_the_end_becomes_known(shop: Shop) -> None:
    subscription = shop.buy_plan()
    shop.deliver()
    shop.stripe.end(subscription)
    ended = shop.heard()
    shop.box.clock.advance(60)
    shop.buy_top_up()
    shop.deliver()
    shop.deliver(ended)

    assert shop.credits == 10


def test_what_was_paid_before_the_end_is_lost_however_late_it_becomes_known(shop: Shop) -> None:
    subscription = shop.buy_plan()
    paid = shop.heard()
    shop.box.clock.advance(60)
    shop.stripe.end(subscription)
    shop.deliver()
    shop.deliver(paid)

    assert (shop.credits, shop.plan) == (0, "free")


def test_a_held_credit_that_comes_back_after_the_end_is_lost(shop: Shop) -> None:
    subscription = shop.buy_plan()
    shop.deliver()
    shop.box.do(lambda tx: ledger.hold(tx, ledger.lock(tx, shop.ann), "job", 5, "A job"))
    shop.stripe.end(subscription)
    shop.deliver()
    shop.box.do(lambda tx: ledger.release(tx, ledger.lock(tx, shop.ann), "job", "Failed"))

    assert shop.credits == 0
    assert shop.box.do(ledger.violations) == []


def test_a_product_may_let_customers_keep_their_credits(box: Sandbox) -> None:
    shop = Shop(box, selling(when_cancelled="keep"))
    subscription = shop.buy_plan()
    shop.stripe.end(subscription)
    shop.deliver()

    assert (shop.credits, shop.plan) == (FREE + 25, "free")
    shop.close()


def test_a_subscription_that_never_began_takes_nothing(shop: Shop) -> None:
    subscription = shop.buy_plan()
    events = shop.heard()
    subscription["status"] = "incomplete_expired"
    shop.deliver([event for event in events if event["type"] == "customer.subscription.created"])
    shop.deliver([shop.stripe.event("customer.subscription.updated", subscription)])

    assert (shop.credits, shop.plan) == (FREE, "free")


def test_the_end_of_one_of_two_plans_takes_nothing(shop: Shop) -> None:
    first = shop.buy_plan("small")
    shop.box.clock.advance(10)
    shop.buy_plan("large")
    shop.box.clock.advance(10)
    shop.stripe.end(first)
    shop.deliver()

    assert (shop.credits, shop.plan) == (FREE + 85, "large")


def test_an_unpaid_renewal_leaves_the_plan_for_some_days_and_credits_for_good(shop: Shop) -> None:
    subscription = shop.buy_plan()
    shop.stripe.without_money.add(subscription["customer"])
    shop.wait_until(moment(2027, 4, 1))
    shop.deliver()
    assert (shop.plan, shop.credits) == ("small", FREE + 25)

    shop.box.clock.advance(7 * DAY_S - 1)
    shop.look_again()
    assert shop.plan == "small"

    shop.box.clock.advance(1)
    assert [row["account_id"] for row in due(shop)] == [shop.ann]
    shop.look_again()
    assert (shop.plan, shop.credits) == ("free", FREE + 25)
    assert due(shop) == []


def due(shop: Shop) -> list[Any]:
    return shop.box.rows(queries.DUE_ACCOUNTS, now=shop.box.clock.now(), after="", limit=10)


def test_a_renewal_that_is_paid_late_brings_plan_and_credits_back(shop: Shop) -> None:
    subscription = shop.buy_plan()
    shop.stripe.without_money.add(subscription["customer"])
    shop.wait_until(moment(2027, 4, 10))
    shop.deliver()
    shop.look_again()
    assert shop.plan == "free"

    shop.stripe.pay_late(list(shop.stripe.things["invoices"].values())[-1])
    shop.deliver()
    assert (shop.plan, shop.credits) == ("small", FREE + 50)


def test_a_pause_puts_the_plan_aside_and_takes_nothing(shop: Shop) -> None:
    subscription = shop.buy_plan()
    shop.deliver()
    shop.box.clock.advance(60)
    shop.stripe.pause(subscription)
    shop.deliver()
    assert (shop.plan, shop.credits) == ("free", FREE + 25)

    shop.box.clock.advance(60)
    shop.stripe.unpause(subscription)
    shop.deliver()
    assert (shop.plan, shop.credits) == ("small", FREE + 25)


def test_a_top_up_comes_when_its_money_does(shop: Shop) -> None:
    session = shop.buy_top_up(later=True)
    shop.deliver()
    assert shop.credits == FREE

    shop.box.clock.advance(3 * DAY_S)
    shop.stripe.money_came(session)
    shop.deliver()
    assert shop.credits == FREE + 10


def test_a_top_up_whose_money_never_comes_brings_nothing(shop: Shop) -> None:
    session = shop.buy_top_up(later=True)
    shop.stripe.money_did_not_come(session)
    shop.deliver()

    assert shop.credits == FREE
    assert [row["status"] for row in shop.payments()] == ["open"]


def test_a_deposit_brings_what_its_amount_is_worth(shop: Shop) -> None:
    shop.stripe.pay(shop.open(prices.deposit_purchase(shop.product, Decimal("12.50"))))
    shop.deliver()

    assert shop.credits == FREE + 25
    assert [row["kind"] for row in shop.payments()] == ["deposit"]


def test_a_refund_takes_back_what_it_paid_for(shop: Shop) -> None:
    session = shop.buy_top_up()
    shop.deliver()
    shop.stripe.refund(session["payment_intent"])
    shop.deliver()

    assert (shop.credits, shop.debt) == (FREE, 0)


def test_a_part_refunded_takes_that_part(shop: Shop) -> None:
    session = shop.buy_top_up()
    shop.deliver()
    shop.stripe.refund(session["payment_intent"], 250)
    shop.deliver()
    assert shop.credits == FREE + 5

    shop.stripe.refund(session["payment_intent"], 249)
    shop.deliver()
    assert shop.credits == FREE


def test_a_refund_that_is_known_before_its_payment_counts(shop: Shop) -> None:
    session = shop.buy_top_up()
    shop.stripe.refund(session["payment_intent"])
    shop.deliver(reversed(shop.heard()))

    assert shop.credits == FREE


def test_a_refund_of_an_invoice_finds_it_by_the_way_its_money_went(shop: Shop) -> None:
    shop.buy_plan()
    shop.deliver()
    shop.stripe.refund(intent(shop, "in_1"))
    shop.deliver()

    assert (shop.credits, shop.plan) == (FREE, "small")


def test_what_cannot_be_taken_back_is_owed_and_paid_off_by_what_comes(shop: Shop) -> None:
    session = shop.buy_top_up()
    shop.deliver()
    shop.spend(11, "job")
    shop.stripe.refund(session["payment_intent"])
    shop.deliver()
    assert (shop.credits, shop.debt) == (0, 8)

    shop.buy_top_up()
    shop.deliver()
    assert (shop.credits, shop.debt) == (2, 0)
    assert shop.box.do(ledger.violations) == []


def test_a_refund_that_fails_gives_the_credits_back(shop: Shop) -> None:
    session = shop.buy_top_up()
    shop.spend(2, "job")
    refund = shop.stripe.refund(session["payment_intent"])
    shop.deliver()
    assert shop.credits == FREE - 2

    shop.box.clock.advance(60)
    shop.stripe.refund_fails(refund)
    shop.deliver()
    assert shop.credits == FREE - 2 + 10


def test_a_dispute_takes_credits_until_it_is_won(shop: Shop) -> None:
    session = shop.buy_top_up()
    dispute = shop.stripe.dispute(session["payment_intent"])
    shop.deliver()
    assert shop.credits == FREE

    shop.box.clock.advance(60)
    shop.stripe.close_dispute(dispute, "won")
    shop.deliver()
    assert shop.credits == FREE + 10
    assert shop.box.do(ledger.violations) == []


def test_a_dispute_that_is_lost_after_a_refund_takes_the_money_once(shop: Shop) -> None:
    session = shop.buy_top_up()
    shop.stripe.refund(session["payment_intent"])
    dispute = shop.stripe.dispute(session["payment_intent"])
    shop.box.clock.advance(60)
    shop.stripe.close_dispute(dispute, "lost")
    shop.deliver()

    assert (shop.credits, shop.debt) == (FREE, 0)


def test_taken_returned_and_taken_again_is_taken_once(shop: Shop) -> None:
    session = shop.buy_top_up()
    shop.deliver()
    for nth, counts in enumerate((True, False, True)):
        at = shop.box.clock.now() + nth
        shop.take([ReversalFact("re_x", at, session["payment_intent"], "refund", 499, counts)])

    assert (shop.credits, shop.debt) == (FREE, 0)
    assert shop.box.do(ledger.violations) == []


@pytest.mark.parametrize("end_first", [True, False])
def test_credits_lost_with_a_plan_are_not_owed_again_after_a_refund(shop: Shop, *, end_first: bool) -> None:
    subscription = shop.buy_plan()
    session = shop.buy_top_up()
    shop.deliver()
    shop.spend(9, "job")
    shop.box.clock.advance(60)
    shop.stripe.refund(session["payment_intent"])
    shop.box.clock.advance(60)
    shop.stripe.end(subscription)
    happened = shop.heard()
    shop.deliver(reversed(happened) if end_first else happened)

    assert (shop.credits, shop.debt) == (0, 0)
    assert dict(shop.outcome()["book"])["clawed_back"] == 10
    assert dict(shop.outcome()["book"])["forfeited"] == FREE + 25 + 10 - 9 - 10


def test_a_plan_that_is_not_in_the_product_is_flagged_not_guessed(shop: Shop) -> None:
    shop.buy_plan()
    paid = next(event for event in shop.heard() if event["type"] == "invoice.paid")
    paid["data"]["object"]["lines"]["data"][0]["pricing"]["price_details"]["product"] = "prod_other"
    shop.deliver([paid])

    assert shop.credits == FREE
    assert [row["flag"] for row in shop.payments()] == ["paid, but it is not known for what"]


def test_somebody_elses_customer_changes_nothing(shop: Shop) -> None:
    session = shop.buy_top_up()
    session["customer"] = "cus_other"
    session["metadata"]["penstock_account"] = "acc_other"
    shop.deliver([shop.stripe.event("checkout.session.completed", session)])

    assert shop.credits == FREE
    assert [row["account_id"] for row in shop.payments()] == [None]


def test_another_products_purchase_on_the_same_account_changes_nothing(shop: Shop) -> None:
    session = shop.buy_top_up()
    session["metadata"]["penstock_product"] = "another"
    shop.deliver([shop.stripe.event("checkout.session.completed", session)])

    assert (shop.credits, shop.payments()) == (FREE, [])


def test_the_plans_months_come_from_payments_and_not_from_the_calendar(shop: Shop) -> None:
    shop.buy_plan()
    shop.deliver()
    assert shop.box.rows(queries.SUBSCRIBED, account_id=shop.ann)
