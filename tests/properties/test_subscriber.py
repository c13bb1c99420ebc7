"""Fourteen months of a subscriber: whatever comes late, twice or in disorder, the ledger ends up the same.

Ann lives through everything that payments do: she subscribes, upgrades, buys credits, is refunded and disputes, does
not pay for a while, cancels and subscribes anew, at Stripe and at Polar. The webhooks are recorded once. Each shuffle
delivers every one of them twice, each copy up to three days late, in the order in which they then come; a last one
throws all of it together. Time's own work (the months of a year, the end of a grace) is done as maintenance does it.

PENSTOCK_SHUFFLES says how many shuffles there are of each provider's life.
"""

import os
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from penstock.billing import prices, queries
from tests.support.polar_shop import PolarShop
from tests.support.sandbox import PostgresSandbox, Sandbox
from tests.support.shop import DAY_S, Shop, moment
from tests.support.stripe_server import Values

LONG = os.environ.get("PENSTOCK_HYPOTHESIS") == "long"
SHUFFLES = int(os.environ.get("PENSTOCK_SHUFFLES", "1000" if LONG else "24"))
SHOPS: dict[str, type[Shop]] = {"stripe": Shop, "polar": PolarShop}
LATEST_S = 3 * DAY_S
FULL = {
    "stripe": {
        "invoice.paid",
        "invoice.payment_failed",
        "invoice_payment.paid",
        "checkout.session.completed",
        "checkout.session.async_payment_succeeded",
        "customer.subscription.deleted",
        "charge.dispute.created",
        "charge.dispute.closed",
        "refund.created",
    },
    "polar": {
        *(f"subscription.{what}" for what in ("created", "active", "cycled", "past_due", "canceled", "revoked")),
        *(f"order.{what}" for what in ("created", "updated", "paid", "refunded")),
        "refund.created",
        "refund.updated",
    },
}
END = moment(2028, 5, 20)


@dataclass(frozen=True)
class Life:
    """What happened at a provider, and when Ann spent credits: where she surely had them."""

    provider: str
    events: tuple[Values, ...]
    spends: tuple[tuple[float, int, str], ...]


def live(shop: Any) -> Life:
    """Play fourteen months at a provider. Polar tells of disputes in its lists only, so there it is a refund."""
    stripe = shop.provider == "stripe"
    money = "payment_intent" if stripe else "id"
    spends = []
    small = shop.buy_plan("small")
    buyer = small["customer" if stripe else "customer_id"]
    spends += [(moment(2027, month, 20), 10, f"job_{month}") for month in (3, 4, 5)]
    shop.wait_until(moment(2027, 4, 15))
    change(shop, small, "large", at_once=True)
    shop.wait_until(moment(2027, 5, 10))
    first = shop.buy_top_up()
    shop.wait_until(moment(2027, 6, 3))
    shop.server.refund(first[money], 200)
    shop.wait_until(moment(2027, 6, 20))
    change(shop, small, "small", at_once=False)
    shop.wait_until(moment(2027, 7, 12))
    gone = (shop.server.dispute if stripe else shop.server.refund)(shop.buy_top_up()[money])
    spends.append((moment(2027, 7, 20), 30, "job_7"))
    shop.wait_until(moment(2027, 8, 12))
    if stripe:
        shop.server.close_dispute(gone, "won")
    else:
        shop.server.refund_fails(gone)
    shop.server.without_money.add(buyer)
    shop.wait_until(moment(2027, 9, 3))
    shop.server.without_money.clear()
    shop.server.pay_late(list(shop.server.things["invoices" if stripe else "orders"].values())[-1])
    shop.wait_until(moment(2027, 10, 10))
    shop.run(shop.adapter.cancel(shop.adapter_facts(small)[0], "cancel"))
    shop.wait_until(moment(2027, 11, 8))
    shop.server.refund(shop.buy_top_up(later=False)[money])
    shop.wait_until(moment(2027, 11, 20))
    year = shop.buy_plan("small", "year")
    spends.append((moment(2027, 12, 28), 20, "job_12"))
    shop.wait_until(moment(2028, 2, 14))
    shop.server.refund(paid_by(shop, year), 4_000)
    shop.wait_until(moment(2028, 4, 2))
    shop.server.end(year)
    shop.wait_until(moment(2028, 4, 20))
    shop.buy_top_up(later=True)
    later = shop.buy_top_up(later=True)
    shop.server.money_came(later if stripe else shop.polar.things["checkouts"][later["checkout_id"]])
    shop.wait_until(moment(2028, 5, 1))
    return Life(shop.provider, tuple(shop.heard()), tuple(spends))


def change(shop: Shop, subscription: Values, plan: str, *, at_once: bool) -> None:
    purchase = prices.plan_purchase(shop.product, plan, "month")
    shop.run(shop.adapter.change(shop.adapter_facts(subscription)[0], purchase, at_once=at_once, key=plan))


def paid_by(shop: Shop, subscription: Values) -> str:
    """Return how the money of a subscription's first invoice moved."""
    if shop.provider == "polar":
        orders = shop.server.things["orders"].values()
        return next(str(each["id"]) for each in orders if each["subscription_id"] == subscription["id"])
    invoices = shop.stripe.things["invoices"].values()
    details = (each["parent"]["subscription_details"]["subscription"] for each in invoices)
    own = [invoice["id"] for invoice, name in zip(invoices, details, strict=True) if name == subscription["id"]]
    payments = shop.stripe.things["invoice_payments"].values()
    return next(str(each["payment"]["payment_intent"]) for each in payments if each["invoice"] == own[0])


@pytest.fixture(scope="module", params=SHOPS)
def recorded(request: pytest.FixtureRequest) -> Life:
    with Sandbox() as box:
        shop = SHOPS[request.param](box)
        life = live(shop)
        shop.close()
    return life


def played(box: Sandbox, life: Life, order: list[tuple[float, Values]]) -> dict[str, Any]:
    """Deliver events at their times, with everything else that happens meanwhile; returns what came of it."""
    shop = SHOPS[life.provider](box)
    try:
        customers(shop, life)
        for at, what in sorted([*order, *hers(life), *looks()], key=lambda entry: entry[0]):
            box.clock.advance(max(0.0, at - box.clock.now()))
            if what is None:
                shop.look_again()
            elif isinstance(what, tuple):
                shop.spend(*what)
            else:
                shop.deliver_one(what)
        return normal(shop)
    finally:
        shop.close()


def hers(life: Life) -> Iterator[tuple[float, Any]]:
    for at, amount, job in life.spends:
        yield at, (amount, job)


def looks() -> Iterator[tuple[float, Any]]:
    at = moment(2027, 3, 1)
    while at < END:
        yield at, None
        at += 5 * DAY_S
    yield END, None


def customers(shop: Shop, life: Life) -> None:
    """What was written down when the checkout pages were opened, and what Polar would tell of its products."""
    objects = [event["data"] for event in life.events]
    if life.provider == "polar":
        sold = [each["product"] for each in objects if "current_period_start" in each]
        shop.server.things["products"] = {product["id"]: product for product in sold}
        names = {each["customer_id"] for each in objects if each.get("customer_id")}
    else:
        names = {"cus_1"}
    for name in names:
        values = {"provider": life.provider, "id": name, "account_id": shop.ann, "now": shop.box.clock.now()}
        shop.box.run(queries.INSERT_CUSTOMER, **values)


def normal(shop: Shop) -> dict[str, Any]:
    """Return the outcome without Ann's own id, which is another one in each database."""
    text = repr(shop.outcome()).replace(shop.ann, "acc_ann")
    return {"all": text, "ann": {key: shop.outcome()[key] for key in ("wallet", "subscriptions", "account")}}


def unnamed(outcome: dict[str, Any]) -> str:
    """Return where Ann is, without her id."""
    return re.sub(r"acc_\w+", "acc_ann", repr(outcome["ann"]))


def delayed(life: Life, seed: int) -> list[tuple[float, Values]]:
    """Return every event twice, each copy late by its own time."""
    chance = random.Random(seed)
    return [(event["created"] + chance.uniform(0.0, LATEST_S), event) for event in life.events for _ in range(2)]


@pytest.fixture(scope="module")
def expected(recorded: Life) -> dict[str, Any]:
    with Sandbox() as box:
        return played(box, recorded, [(float(event["created"]), event) for event in recorded.events])


def test_the_life_is_a_full_one(recorded: Life, expected: dict[str, Any]) -> None:
    assert {event["type"] for event in recorded.events} >= FULL[recorded.provider]
    assert "'plan': 'free'" in expected["all"]
    for account in ("issued", "spent", "forfeited", "clawed_back"):
        assert f"('{account}'," in expected["all"]


@pytest.mark.parametrize("seed", range(SHUFFLES))
def test_twice_late_and_in_any_order_it_comes_out_the_same(recorded: Life, expected: dict[str, Any], seed: int) -> None:
    with Sandbox() as box:
        assert played(box, recorded, delayed(recorded, seed))["all"] == expected["all"]


@pytest.mark.parametrize("seed", range(SHUFFLES // 4))
def test_all_of_it_thrown_together_at_the_end_comes_out_the_same(recorded: Life, seed: int) -> None:
    """The provider was cut off for fourteen months. Ann, who had nothing to spend, is where she would be anyway.

    The book may tell more: months of the year were granted before its end became known, and lost with it.
    """
    idle = replace(recorded, spends=())
    twice = [*recorded.events, *recorded.events]
    random.Random(seed).shuffle(twice)
    with Sandbox() as box:
        in_time = played(box, idle, [(float(event["created"]), event) for event in recorded.events])
    with Sandbox() as box:
        assert unnamed(played(box, idle, [(END - 1, event) for event in twice])) == unnamed(in_time)


def test_it_comes_out_the_same_on_postgresql(recorded: Life, expected: dict[str, Any], postgres_url: str) -> None:
    with PostgresSandbox(postgres_url) as box:
        assert played(box, recorded, delayed(recorded, 7))["all"] == expected["all"]
