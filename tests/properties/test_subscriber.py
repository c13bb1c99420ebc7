"""Fourteen months of a subscriber: whatever comes late, twice or in disorder, the ledger ends up the same.

Ann lives through everything that payments do: she subscribes, upgrades, buys credits, is refunded and disputes, does
not pay for a while, cancels and subscribes anew. Stripe's webhooks are recorded once. Each shuffle delivers every one
of them twice, each copy up to three days late, in the order in which they then come; a last one throws all of it
together. Time's own work (the months of a year, the end of a grace) is done as maintenance does it.
"""

import os
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from penstock.billing import prices, queries
from tests.support.sandbox import PostgresSandbox, Sandbox
from tests.support.shop import DAY_S, Shop, moment
from tests.support.stripe_server import Values

SHUFFLES = 1_000 if os.environ.get("PENSTOCK_HYPOTHESIS") == "long" else 40
LATEST_S = 3 * DAY_S
END = moment(2028, 5, 20)


@dataclass(frozen=True)
class Life:
    """What happened at Stripe, and when Ann spent credits: where she surely had them."""

    events: tuple[Values, ...]
    spends: tuple[tuple[float, int, str], ...]


def live(shop: Shop) -> Life:
    """Play fourteen months at Stripe."""
    spends = []
    small = shop.buy_plan("small")
    spends += [(moment(2027, month, 20), 10, f"job_{month}") for month in (3, 4, 5)]
    shop.wait_until(moment(2027, 4, 15))
    change(shop, small, "large", at_once=True)
    shop.wait_until(moment(2027, 5, 10))
    first = shop.buy_top_up()
    shop.wait_until(moment(2027, 6, 3))
    shop.stripe.refund(first["payment_intent"], 200)
    shop.wait_until(moment(2027, 6, 20))
    change(shop, small, "small", at_once=False)
    shop.wait_until(moment(2027, 7, 12))
    dispute = shop.stripe.dispute(shop.buy_top_up()["payment_intent"])
    spends.append((moment(2027, 7, 20), 30, "job_7"))
    shop.wait_until(moment(2027, 8, 12))
    shop.stripe.close_dispute(dispute, "won")
    shop.stripe.without_money.add(small["customer"])
    shop.wait_until(moment(2027, 9, 3))
    shop.stripe.without_money.clear()
    shop.stripe.pay_late(list(shop.stripe.things["invoices"].values())[-1])
    shop.wait_until(moment(2027, 10, 10))
    shop.run(shop.adapter.cancel(shop.adapter_facts(small)[0], "cancel"))
    shop.wait_until(moment(2027, 11, 8))
    shop.stripe.refund(shop.buy_top_up(later=False)["payment_intent"])
    shop.wait_until(moment(2027, 11, 20))
    year = shop.buy_plan("small", "year")
    spends.append((moment(2027, 12, 28), 20, "job_12"))
    shop.wait_until(moment(2028, 2, 14))
    shop.stripe.refund(paid_by(shop, year), 4_000)
    shop.wait_until(moment(2028, 4, 2))
    shop.stripe.end(year)
    shop.wait_until(moment(2028, 4, 20))
    shop.buy_top_up(later=True)
    shop.stripe.money_came(shop.buy_top_up(later=True))
    shop.wait_until(moment(2028, 5, 1))
    return Life(tuple(shop.heard()), tuple(spends))


def change(shop: Shop, subscription: Values, plan: str, *, at_once: bool) -> None:
    purchase = prices.plan_purchase(shop.product, plan, "month")
    shop.run(shop.adapter.change(shop.adapter_facts(subscription)[0], purchase, at_once=at_once, key=plan))


def paid_by(shop: Shop, subscription: Values) -> str:
    """Return how the money of a subscription's first invoice moved."""
    invoices = shop.stripe.things["invoices"].values()
    details = (each["parent"]["subscription_details"]["subscription"] for each in invoices)
    own = [invoice["id"] for invoice, name in zip(invoices, details, strict=True) if name == subscription["id"]]
    payments = shop.stripe.things["invoice_payments"].values()
    return next(str(each["payment"]["payment_intent"]) for each in payments if each["invoice"] == own[0])


@pytest.fixture(scope="module")
def recorded() -> Life:
    with Sandbox() as box:
        shop = Shop(box)
        life = live(shop)
        shop.close()
    return life


def played(box: Sandbox, life: Life, order: list[tuple[float, Values]]) -> dict[str, Any]:
    """Deliver events at their times, with everything else that happens meanwhile; returns what came of it."""
    shop = Shop(box)
    try:
        customers(shop)
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


def customers(shop: Shop) -> None:
    """What was written down when the checkout pages were opened."""
    values = {"provider": "stripe", "id": "cus_1", "account_id": shop.ann, "now": shop.box.clock.now()}
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
    kinds = {event["type"] for event in recorded.events}
    assert kinds >= {
        "invoice.paid",
        "invoice.payment_failed",
        "invoice_payment.paid",
        "checkout.session.completed",
        "checkout.session.async_payment_succeeded",
        "customer.subscription.deleted",
        "charge.dispute.created",
        "charge.dispute.closed",
        "refund.created",
    }
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
