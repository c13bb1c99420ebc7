"""Polar's own client library against our stand-in: what we built our tests on is what Polar's programs expect.

It reads every object that the stand-in makes, over a real connection, with the version of the interface that we pin;
its dataclasses insist on every field and on every word. And it verifies the webhooks that we verify ourselves.
"""

import asyncio
import base64
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import nullcontext
from typing import Any

import pytest
import uvicorn
from polar.base import PolarNetworkError, PolarServerError, deserialize
from polar.v2026_10 import PolarAsync
from polar.v2026_10.errors import ResourceNotFound, SubscriptionsUpdate402Error, SubscriptionsUpdate403Error
from polar.v2026_10.outputs import Dispute, Order, Refund, Subscription
from polar.v2026_10.webhooks import PolarWebhookUnknownTypeError, PolarWebhookVerificationError, validate_event
from tests.support.polar_server import KEY, SECRET, PolarServer
from tests.support.shop import selling

from penstock.billing.payments import Buyer, PlanPurchase, Returns
from penstock.billing.polar import Polar
from penstock.billing.polar_wire import VERSION, verified
from penstock.kit.clock import ManualClock

PLAN = {"penstock_product": "testing", "penstock_plan": "small", "penstock_interval": "month", "penstock_cents": "800"}
DAY_S = 86_400.0


@pytest.fixture
def server() -> PolarServer:
    return PolarServer(ManualClock(time.time()))  # the library verifies webhooks by the real time


@pytest.fixture
async def url(server: PolarServer) -> AsyncIterator[str]:
    listening = socket.create_server(("127.0.0.1", 0))
    serving = uvicorn.Server(uvicorn.Config(server, lifespan="off", log_config=None, access_log=False))
    serving.capture_signals = nullcontext  # type: ignore[method-assign,assignment]
    task = asyncio.create_task(serving.serve(sockets=[listening]))
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    serving.should_exit = True
    await task
    listening.close()


@pytest.fixture
async def peer(url: str) -> AsyncIterator[PolarAsync]:
    async with PolarAsync(KEY, base_url=url) as client:
        yield client


async def page_of(peer: PolarAsync, cents: int = 800, **product: Any) -> tuple[str, str]:
    """Open a checkout page with Polar's library; returns its address and the customer's id."""
    price: Any = {"amount_type": "fixed", "price_amount": cents, "price_currency": "usd"}
    sold = await peer.products.create(name="Small", prices=[price], metadata=dict(PLAN), **product)
    buyer = await peer.customers.create(email="ann@example.org", external_id="acc_ann", metadata={"a": "b"})
    opened = await peer.checkouts.create(
        products=[sold.id],
        customer_id=buyer.id,
        success_url="https://example.org/paid",
        metadata={"penstock_product": "testing"},
        allow_discount_codes=False,
    )
    listed = await peer.checkouts.list(customer_id=buyer.id, status="open", limit=100)
    assert [(page.id, page.metadata) for page in listed.items] == [(opened.id, opened.metadata)]
    return opened.url, buyer.id


def test_we_pin_the_version_that_the_library_speaks() -> None:
    assert PolarAsync.version == VERSION


async def test_the_life_of_a_subscription_as_the_library_reads_it(server: PolarServer, peer: PolarAsync) -> None:
    url, customer = await page_of(peer, recurring_interval="month")
    name = server.pay(url)["subscription_id"]
    found = await peer.subscriptions.list(sorting=["started_at"])
    assert [(held.id, held.status, held.customer_id) for held in found.items] == [(name, "active", customer)]
    assert found.items[0].product.metadata == PLAN

    server.live_until(server.clock.now() + 40 * DAY_S)
    orders = [each async for each in peer.orders.iter_list(sorting=["created_at"], limit=1)]
    assert [order.billing_reason for order in orders] == ["subscription_create", "subscription_cycle"]
    assert {(order.status, order.total_amount, order.customer.external_id) for order in orders} == {
        ("paid", 800, "acc_ann")
    }
    assert orders[1].product is not None
    assert orders[1].product.metadata == PLAN
    assert orders[1].items[0].start_timestamp == found.items[0].current_period_end
    later = await peer.orders.list(created_after=orders[0].created_at)
    assert [order.id for order in later.items] == [orders[1].id]

    price: Any = {"amount_type": "fixed", "price_amount": 1_600}
    large = await peer.products.create(name="Large", prices=[price], recurring_interval="month")
    pending = await peer.subscriptions.update(name, product_id=large.id, proration_behavior="next_period")
    assert pending.pending_update is not None
    assert (pending.product.name, pending.pending_update.product_id) == ("Small", large.id)
    cleared = await peer.subscriptions.update(name, pending_update=None)
    assert cleared.pending_update is None
    changed = await peer.subscriptions.update(name, product_id=large.id, proration_behavior="invoice")
    assert changed.product.name == "Large"
    newest = (await peer.orders.list(limit=1)).items[0]
    assert newest.billing_reason == "subscription_update"
    assert [item.proration for item in newest.items] == [True, True]
    assert newest.items[0].amount < 0 < newest.items[1].amount

    server.without_money.add(customer)
    with pytest.raises(SubscriptionsUpdate402Error):
        await peer.subscriptions.update(name, product_id=changed.product.id, proration_behavior="invoice")
    ended = await peer.subscriptions.update(name, cancel_at_period_end=True)
    assert (ended.cancel_at_period_end, ended.ends_at) == (True, ended.current_period_end)
    with pytest.raises(SubscriptionsUpdate403Error):
        await peer.subscriptions.update(name, cancel_at_period_end=True)


async def test_money_that_goes_back_as_the_library_reads_it(server: PolarServer, peer: PolarAsync) -> None:
    url, _ = await page_of(peer)
    paid = server.order_of(server.pay(url))
    refund = await peer.refunds.create(order_id=paid["id"], amount=250, reason="customer_request")
    server.dispute(paid["id"])

    assert (refund.amount, refund.order_id, refund.status) == (250, paid["id"], "succeeded")
    assert [each.id for each in (await peer.refunds.list()).items] == [refund.id]
    disputes = await peer.disputes.list()
    assert [(each.order_id, each.status) for each in disputes.items] == [(paid["id"], "needs_response")]
    assert (await peer.orders.get(paid["id"])).status == "partially_refunded"


async def test_customers_and_their_portal_as_the_library_reads_them(server: PolarServer, peer: PolarAsync) -> None:
    with pytest.raises(ResourceNotFound):
        await peer.customers.get_external("acc_ann")
    _, customer = await page_of(peer)
    assert (await peer.customers.get_external("acc_ann")).id == customer
    opened = await peer.customer_sessions.create(customer_id=customer, return_url="https://example.org/account")

    assert opened.customer_portal_url.startswith("https://polar.sh/")
    server.broken_answers = 1
    with pytest.raises(PolarServerError):
        await peer.customers.get_external("acc_ann")
    server.lose_answers = 1
    with pytest.raises((PolarNetworkError, PolarServerError)):
        await peer.customer_sessions.create(customer_id=customer)


async def lived(server: PolarServer, peer: PolarAsync) -> None:
    """Let everything happen of which Polar sends an event."""
    url, _ = await page_of(peer, recurring_interval="month")
    name = server.pay(url)["subscription_id"]
    held = server.things["subscriptions"][name]
    server.refund(next(iter(server.things["orders"])), 100)
    await peer.subscriptions.update(held["id"], cancel_at_period_end=True)
    await peer.subscriptions.update(held["id"], cancel_at_period_end=False)
    server.pause(held)
    server.unpause(held)
    server.without_money.add(held["customer_id"])
    server.live_until(server.clock.now() + 70 * DAY_S)


async def test_every_event_of_a_life_is_one_that_the_library_verifies(server: PolarServer, peer: PolarAsync) -> None:
    await lived(server, peer)
    assert held_kinds(server) >= {"subscription.revoked", "subscription.past_due", "subscription.paused", "order.paid"}
    for event in server.events:
        sent = server.delivery(event, signed_at=time.time())
        read = validate_event(sent.body, dict(sent.headers), SECRET)
        signed = verified(sent.headers, sent.body, SECRET, time.time())
        assert (read.type, read.timestamp, signed.id) == (event["type"], event["timestamp"], event["id"])
        assert signed.values["data"]["id"] == read.data.id


def held_kinds(server: PolarServer) -> set[str]:
    return {event["type"] for event in server.events}


@pytest.mark.parametrize("secret", [SECRET, "an_older_secret_of_polars", "whsec_not base64 at all"])
async def test_both_verify_both_kinds_of_key(server: PolarServer, secret: str) -> None:
    """Polar signs with what a newer secret says in base64, and with the characters of an older one."""
    event = server.event("product.created_in_some_other_year", {"id": "x"})
    by_characters = "whsec_" + base64.b64encode(secret.encode()).decode()
    for signing in {by_characters, SECRET} if secret == SECRET else {by_characters}:
        sent = server.delivery(event, secret=signing)
        assert verified(sent.headers, sent.body, secret, server.clock.now()).id == event["id"]
        with pytest.raises(PolarWebhookUnknownTypeError):
            validate_event(sent.body, dict(sent.headers), secret)
        with pytest.raises(PolarWebhookVerificationError):
            validate_event(sent.body, dict(sent.headers), "whsec_" + base64.b64encode(b"another").decode())


async def test_our_own_client_makes_what_the_library_reads(server: PolarServer, url: str, peer: PolarAsync) -> None:
    product = selling(provider="polar")
    ours = Polar(KEY, SECRET, lambda: product, url)
    buyer = Buyer("acc_ann", "ann@example.org")
    customer = await ours.customer(buyer)
    back = Returns("https://example.org/paid", "https://example.org/left", "https://example.org/account")
    page = await ours.checkout(customer, buyer, PlanPurchase("small", "Testing Small", "month", 800), back, "key")
    opened = (await peer.checkouts.list(customer_id=customer)).items[0]
    sold = (await peer.products.list(metadata={"penstock_product": product.name})).items[0]
    await ours.close()

    assert (opened.url, opened.metadata["penstock_key"], opened.success_url) == (page, "key", back.paid)
    assert (sold.recurring_interval, sold.visibility) == ("month", "private")
    assert sold.metadata == {**PLAN, "penstock_product": product.name}


def test_the_library_refuses_objects_with_a_missing_field(server: PolarServer) -> None:
    """The check of the checks: it does insist."""
    page = server.answer("POST", "/v1/customers/", headers(), {"email": "a@example.org", "external_id": "a"})[1]
    assert page["email"] == "a@example.org"
    for kind in (Subscription, Order, Refund, Dispute):
        with pytest.raises(Exception, match="deserialize"):
            deserialize(json.loads("{}"), kind)


def headers() -> dict[str, str]:
    return {"authorization": f"Bearer {KEY}", "polar-version": VERSION}
