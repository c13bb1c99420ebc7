"""Polar behind the seam: the same credits and plans as with Stripe, and nothing twice though it remembers nothing."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from penstock.billing import prices
from penstock.billing.payments import (
    Buyer,
    PaymentDeclinedError,
    PaymentRefusedError,
    PaymentUnavailableError,
)
from penstock.billing.polar import Polar
from penstock.billing.polar_facts import EVENTS
from penstock.kit.signed_webhooks import WebhookRefusedError
from penstock.ledger import service as ledger
from tests.support.polar_objects import Values
from tests.support.polar_server import KEY, SECRET
from tests.support.polar_shop import PolarShop
from tests.support.sandbox import Sandbox
from tests.support.shop import BACK, DAY_S, moment
from tests.unit.billing.test_reconcile import compared

FREE = 3  # what registration brought


@pytest.fixture
def shop(box: Sandbox) -> Iterator[PolarShop]:
    """A shop that sells through Polar, on each database."""
    made = PolarShop(box)
    yield made
    made.close()


def change(shop: PolarShop, held: Values, plan: str, *, at_once: bool, interval: Any = "month") -> None:
    purchase = prices.plan_purchase(shop.product, plan, interval)
    shop.take(shop.run(shop.adapter.change(shop.adapter_facts(held)[0], purchase, at_once=at_once, key="k")))
    shop.deliver()


def patches(shop: PolarShop) -> int:
    return sum(method == "PATCH" for method, _ in shop.polar.calls)


def half_a_month(shop: PolarShop) -> None:
    shop.box.clock.advance((moment(2027, 4, 1) - shop.box.clock.now()) / 2)


@pytest.mark.parametrize("tells_periods", [True, False])
def test_a_plan_is_paid_renewed_and_ended(shop: PolarShop, tells_periods: bool) -> None:
    shop.polar.tells_periods = tells_periods
    held = shop.buy_plan()
    shop.deliver()
    assert (shop.plan, shop.renews_at, shop.credits) == ("small", moment(2027, 4, 1), FREE + 25)

    shop.wait_until(moment(2027, 5, 2))
    shop.deliver()
    assert (shop.renews_at, shop.credits) == (moment(2027, 6, 1), FREE + 75)

    shop.take(shop.run(shop.adapter.cancel(shop.adapter_facts(held)[0], "cancel")))
    shop.deliver()
    assert (shop.plan, shop.credits) == ("small", FREE + 75)
    shop.wait_until(moment(2027, 6, 2))
    shop.deliver()
    assert (shop.plan, shop.credits) == ("free", 0)
    assert shop.box.do(ledger.violations) == []


def test_nothing_comes_before_order_paid(shop: PolarShop) -> None:
    shop.buy_plan()
    shop.buy_top_up()
    happened = shop.heard()
    shop.deliver(event for event in happened if event["type"] != "order.paid")
    assert (shop.credits, shop.plan) == (FREE, "free")

    shop.deliver(happened)
    assert (shop.credits, shop.plan) == (FREE + 35, "small")


def test_every_webhook_twice_and_backwards_changes_nothing(shop: PolarShop) -> None:
    shop.buy_plan()
    shop.buy_top_up()
    happened = shop.heard()
    shop.deliver([*reversed(happened), *happened])

    assert (shop.credits, shop.plan) == (FREE + 35, "small")


@pytest.mark.parametrize("tells_periods", [True, False])
def test_a_dearer_plan_brings_the_difference_for_the_time_that_is_left(shop: PolarShop, tells_periods: bool) -> None:
    shop.polar.tells_periods = tells_periods
    held = shop.buy_plan()
    shop.deliver()
    half_a_month(shop)
    change(shop, held, "large", at_once=True)

    assert (shop.plan, shop.credits) == ("large", FREE + 25 + (60 - 25) // 2)


def test_a_month_may_become_a_year_and_its_credits_come_month_by_month(shop: PolarShop) -> None:
    held = shop.buy_plan()
    shop.deliver()
    half_a_month(shop)
    change(shop, held, "small", at_once=True, interval="year")
    assert shop.credits == FREE + 25 + 25 // 2  # a new month begins, and half of the old one was given back

    shop.box.clock.advance(320 * DAY_S)
    shop.look_again()
    assert shop.credits == FREE + 25 + 25 // 2 + 10 * 25


def test_a_declined_card_changes_nothing(shop: PolarShop) -> None:
    held = shop.buy_plan()
    shop.deliver()
    shop.polar.without_money.add(held["customer_id"])
    with pytest.raises(PaymentDeclinedError):
        change(shop, held, "large", at_once=True)

    assert (shop.plan, shop.credits) == ("small", FREE + 25)


def test_a_cheaper_plan_follows_and_may_be_taken_back(shop: PolarShop) -> None:
    held = shop.buy_plan("large")
    shop.deliver()
    change(shop, held, "small", at_once=False)
    assert (shop.plan, shop.adapter_facts(held)[0].plan) == ("large", "small")

    change(shop, held, "large", at_once=False)
    assert shop.adapter_facts(held)[0].plan == "large"
    change(shop, held, "small", at_once=False)
    change(shop, held, "large", at_once=True)
    assert (held["pending_update"], len(shop.polar.things["orders"])) == (None, 1)

    change(shop, held, "small", at_once=False)
    shop.wait_until(moment(2027, 4, 2))
    shop.deliver()
    assert (shop.plan, shop.credits) == ("small", FREE + 60 + 25)


def test_another_cheaper_plan_replaces_the_one_that_was_to_follow(shop: PolarShop) -> None:
    held = shop.buy_plan("large")
    change(shop, held, "small", at_once=False)
    kept = patches(shop)
    change(shop, held, "small", at_once=False)
    assert patches(shop) == kept

    change(shop, held, "small", at_once=False, interval="year")
    assert patches(shop) == kept + 2  # the first is taken back before


def test_a_renewal_that_is_not_paid_is_graced_and_may_be_paid_late(shop: PolarShop) -> None:
    held = shop.buy_plan()
    shop.polar.without_money.add(held["customer_id"])
    shop.wait_until(moment(2027, 4, 2))
    shop.deliver()
    assert (shop.plan, shop.credits) == ("small", FREE + 25)
    assert [row["status"] for row in shop.payments()] == ["paid", "failed"]

    shop.wait_until(moment(2027, 4, 9))
    shop.look_again()
    assert (shop.plan, shop.credits) == ("free", FREE + 25)

    shop.polar.pay_late(list(shop.polar.things["orders"].values())[-1])
    shop.deliver()
    assert (shop.plan, shop.credits) == ("small", FREE + 50)


def test_when_all_retries_fail_the_plan_and_its_credits_are_lost(shop: PolarShop) -> None:
    held = shop.buy_plan()
    shop.polar.without_money.add(held["customer_id"])
    shop.wait_until(moment(2027, 5, 2))
    shop.deliver()

    assert (held["status"], shop.plan, shop.credits) == ("unpaid", "free", 0)


def test_a_pause_rests_the_plan_and_takes_nothing(shop: PolarShop) -> None:
    held = shop.buy_plan()
    shop.polar.pause(held)
    shop.deliver()
    shop.wait_until(moment(2027, 4, 20))
    shop.deliver()
    assert (shop.plan, shop.credits) == ("free", FREE + 25)

    shop.polar.unpause(held)
    shop.deliver()
    assert (shop.plan, shop.credits, shop.renews_at) == ("small", FREE + 50, moment(2027, 5, 20))


def test_a_refund_takes_its_share_and_a_failed_one_gives_it_back(shop: PolarShop) -> None:
    order = shop.buy_top_up()
    refund = shop.polar.refund(order["id"], 250)
    shop.deliver(reversed(shop.heard()))
    assert shop.credits == FREE + 5

    shop.polar.refund_fails(refund)
    shop.deliver()
    assert shop.credits == FREE + 10


def test_a_payment_that_takes_days_brings_credits_when_it_comes(shop: PolarShop) -> None:
    page = shop.polar.pay(shop.open_top_up(), later=True)
    other = shop.polar.pay(shop.open_top_up(), later=True)
    shop.deliver()
    assert shop.credits == FREE

    shop.polar.money_came(page)
    shop.polar.money_did_not_come(other)
    shop.deliver()
    assert shop.credits == FREE + 10
    assert sorted(row["status"] for row in shop.payments()) == ["failed", "paid"]


def test_what_never_came_is_made_up_for(shop: PolarShop) -> None:
    held = shop.buy_plan()
    order = shop.buy_top_up()
    shop.polar.refund(order["id"], 250)
    assert (len(compared(shop).mended), shop.credits, shop.plan) == (4, FREE + 25 + 5, "small")
    assert compared(shop).mended == []
    shop.deliver()
    assert shop.credits == FREE + 25 + 5

    dispute = shop.polar.dispute(next(iter(shop.polar.things["orders"])))
    assert (len(compared(shop).mended), shop.credits) == (2, FREE + 5)
    shop.polar.close_dispute(dispute, "won")
    compared(shop)
    assert shop.credits == FREE + 30
    shop.box.clock.advance(60)
    shop.polar.end(held)
    compared(shop)
    assert (shop.credits, shop.plan) == (0, "free")


def test_a_product_that_is_not_ours_says_nothing(shop: PolarShop) -> None:
    shop.buy_top_up()
    for event in shop.heard():
        data = event["data"]
        for part in (data, data.get("product") or {}):
            part["metadata"] = {**part.get("metadata", {}), "penstock_product": "another"}
        shop.deliver([event])

    assert shop.credits == FREE
    assert shop.payments() == []


def test_an_order_that_can_not_be_read_is_left_to_a_person(shop: PolarShop) -> None:
    held = shop.buy_plan()
    shop.deliver()
    half_a_month(shop)
    price = {"amount_type": "fixed", "price_amount": 900}
    foreign = shop.polar._make_product({"name": "By hand", "prices": [price], "recurring_interval": "month"})
    shop.polar._change_product(held, foreign, "invoice")
    shop.deliver()

    assert shop.credits == FREE + 25
    assert [told.partition(": ")[2] for told in compared(shop).flagged] == ["paid, but it is not known for what"]


# Nothing twice


def test_the_same_request_opens_one_page(shop: PolarShop) -> None:
    customer = shop.run(shop.adapter.customer(shop.buyer))
    purchase = prices.top_up_purchase(shop.product, "ten")
    pages = [shop.run(shop.adapter.checkout(customer, shop.buyer, purchase, BACK, "mine")) for _ in range(2)]
    other = shop.run(shop.adapter.checkout(customer, shop.buyer, purchase, BACK, "other"))

    assert pages[0] == pages[1] != other
    assert len(shop.polar.things["checkouts"]) == 2


def test_a_lost_answer_opens_no_second_page(shop: PolarShop) -> None:
    shop.open_top_up()
    customer = shop.run(shop.adapter.customer(shop.buyer))
    shop.polar.lose_answers = 1
    shop.run(shop.adapter.checkout(customer, shop.buyer, prices.top_up_purchase(shop.product, "ten"), BACK, "lost"))

    assert len(shop.polar.things["checkouts"]) == 2


def test_a_lost_answer_makes_no_second_customer(shop: PolarShop) -> None:
    shop.polar.lose_answers = 1
    first = shop.run(shop.adapter.customer(shop.buyer))

    assert shop.run(shop.adapter.customer(shop.buyer)) == first
    assert len(shop.polar.things["customers"]) == 1


def test_a_mail_address_makes_nobody_another_customer(shop: PolarShop) -> None:
    shop.run(shop.adapter.customer(Buyer("acc_other", shop.buyer.email)))
    with pytest.raises(PaymentRefusedError):
        shop.run(shop.adapter.customer(shop.buyer))
    with pytest.raises(PaymentRefusedError):
        shop.run(shop.adapter.customer(Buyer(shop.ann, None)))


def test_an_upgrade_whose_answer_was_lost_is_not_paid_twice(shop: PolarShop) -> None:
    held = shop.buy_plan()
    shop.deliver()
    half_a_month(shop)
    shop.run(shop.adapter.customer(shop.buyer))
    shop.open_plan("large", "month")
    shop.polar.lose_answers = 1
    change(shop, held, "large", at_once=True)
    change(shop, held, "large", at_once=True)

    assert (shop.plan, len(shop.polar.things["orders"])) == ("large", 2)


def test_a_cancellation_is_made_once_and_undone_once(shop: PolarShop) -> None:
    held = shop.buy_plan()
    for method in (shop.adapter.cancel, shop.adapter.resume):
        before = patches(shop)
        shop.polar.lose_answers = 1
        for _ in range(2):
            fact = shop.run(method(shop.adapter_facts(held)[0], "k"))[0]
        assert patches(shop) == before + 1
    assert fact.cancel_at is None


def test_an_outage_is_told_and_nothing_is_half_done(shop: PolarShop) -> None:
    shop.polar.broken_answers = 2
    with pytest.raises(PaymentUnavailableError):
        shop.open_top_up()
    shop.polar.broken_answers = 1  # reading is tried again
    assert shop.open_top_up()


def test_a_change_that_did_not_happen_is_told(shop: PolarShop) -> None:
    held = shop.buy_plan()
    fact = shop.adapter_facts(held)[0]
    answers = shop.polar.answer

    def broken(method: str, *others: Any) -> tuple[int, Values]:
        return answers(method, *others) if method == "GET" else (503, {})

    shop.polar.answer = broken  # type: ignore[assignment,method-assign]
    with pytest.raises(PaymentUnavailableError):
        shop.run(shop.adapter.cancel(fact, "k"))


def test_a_plan_needs_one_product_and_a_new_price_another(shop: PolarShop) -> None:
    first, second = shop.open_plan("small", "month"), shop.open_plan("small", "month")
    assert first != second
    assert len(shop.polar.things["products"]) == 1

    dearer = shop.product.plans["small"].model_copy(update={"price_usd_month": "9.00"})
    shop.product = shop.product.model_copy(update={"plans": {**shop.product.plans, "small": dearer}})
    shop.open_plan("small", "month")
    assert len(shop.polar.things["products"]) == 2


def test_a_new_process_finds_the_products_that_are_there(shop: PolarShop) -> None:
    shop.buy_plan()
    shop.buy_top_up()
    transport = httpx2.ASGITransport(shop.polar)
    shop.adapter = Polar(KEY, SECRET, lambda: shop.product, "http://polar.test", transport)
    shop.deliver()
    shop.open_plan("small", "month")
    shop.open_top_up()

    assert (shop.credits, len(shop.polar.things["products"])) == (FREE + 35, 2)


def test_the_portal_is_polars(shop: PolarShop) -> None:
    customer = shop.run(shop.adapter.customer(shop.buyer))

    assert shop.run(shop.adapter.portal(customer, BACK)).startswith("https://polar.sh/")


# Webhooks that must not be believed


def refused(shop: PolarShop, sent: Any, **changed: str) -> str:
    headers = {**sent.headers, **changed}
    with pytest.raises(WebhookRefusedError) as error:
        shop.run(shop.adapter.read_webhook(headers, sent.body, shop.box.clock.now()))
    return str(error.value)


def test_webhooks_that_must_not_be_believed_are_refused(shop: PolarShop) -> None:
    shop.buy_top_up()
    event, now = shop.heard()[-1], shop.box.clock.now()
    sent = shop.polar.delivery(event)

    assert refused(shop, shop.polar.delivery(event, secret="guessed")) == "the signature is not Polar's"
    assert refused(shop, sent, **{"webhook-id": "another"}) == "the signature is not Polar's"
    assert refused(shop, sent, **{"webhook-timestamp": str(int(now) - 1)}) == "the signature is not Polar's"
    assert refused(shop, sent, **{"webhook-signature": ""}) == "the signature is not Polar's"
    assert refused(shop, sent, **{"webhook-timestamp": "soon"}) == "there is no signature of Polar's"
    assert refused(shop, shop.polar.delivery(event, signed_at=now - 301)) == "the signature is too old"
    assert refused(shop, shop.polar.delivery(event, signed_at=now + 60)) == "the signature is from the future"
    assert shop.deliver_one(event)
    assert not shop.deliver_one(event)


def test_a_signed_body_that_is_no_event_is_refused(shop: PolarShop) -> None:
    nothing = {"id": "x", "type": "order.paid"}
    assert refused(shop, shop.polar.delivery(nothing)) == "the body is no event"


def test_an_unknown_type_is_taken_and_says_nothing(shop: PolarShop) -> None:
    sent = shop.polar.delivery(shop.polar.event("order.teleported", {"id": "x"}))
    event = shop.run(shop.adapter.read_webhook(sent.headers, sent.body, shop.box.clock.now()))

    assert (event.type, event.facts) == ("order.teleported", ())
    assert "order.refunded" not in EVENTS  # refunds are told by themselves
