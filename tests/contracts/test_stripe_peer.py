"""Stripe's own client library against our stand-in: what we built our tests on is what Stripe's programs expect.

It reads every object that the stand-in makes, over a real connection, with the version of the interface that we pin;
and it verifies the webhooks that we verify ourselves.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import nullcontext
from typing import Any

import pytest
import stripe
import uvicorn
from tests.support.stripe_server import KEY, SECRET, StripeServer

from penstock.billing.stripe_wire import VERSION, StripeWire, form
from penstock.kit.clock import ManualClock


@pytest.fixture
def server() -> StripeServer:
    return StripeServer(ManualClock())


@pytest.fixture
async def url(server: StripeServer) -> AsyncIterator[str]:
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(server, lifespan="off", log_config=None, access_log=False)
    serving = uvicorn.Server(config)
    serving.capture_signals = _no_signals  # type: ignore[method-assign]  # the test's own process keeps its own
    task = asyncio.create_task(serving.serve(sockets=[listening]))
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    serving.should_exit = True
    await task
    listening.close()


def _no_signals() -> Any:

    return nullcontext()


@pytest.fixture
def peer(url: str) -> stripe.StripeClient:
    client = stripe.RequestsClient()
    return stripe.StripeClient(KEY, base_addresses={"api": url}, http_client=client, max_network_retries=0)


async def session_of(peer: stripe.StripeClient, mode: str) -> tuple[str, str]:
    """Open a checkout page with Stripe's library; returns its id and the customer's."""
    customer = await asyncio.to_thread(peer.v1.customers.create, {"email": "ann@example.org", "metadata": {"a": "b"}})
    if mode == "payment":
        data: Any = {"currency": "usd", "unit_amount": 499, "product_data": {"name": "Ten credits"}}
        items: Any = [{"price_data": data, "quantity": 1}]
    else:
        await asyncio.to_thread(peer.v1.products.create, {"id": "penstock_testing_small", "name": "Small"})
        made = await asyncio.to_thread(
            peer.v1.prices.create,
            {
                "product": "penstock_testing_small",
                "currency": "usd",
                "unit_amount": 800,
                "recurring": {"interval": "month"},
                "lookup_key": "small_800",
            },
        )
        items = [{"price": made.id, "quantity": 1}]
    values: Any = {
        "customer": customer.id,
        "mode": mode,
        "line_items": items,
        "success_url": "https://example.org/paid",
        "metadata": {"penstock_product": "testing"},
    }
    opened = await asyncio.to_thread(peer.v1.checkout.sessions.create, values, {"idempotency_key": f"open {mode}"})
    again = await asyncio.to_thread(peer.v1.checkout.sessions.create, values, {"idempotency_key": f"open {mode}"})
    assert opened.id == again.id
    assert opened.url is not None
    return opened.id, customer.id


def test_we_pin_the_version_that_the_library_speaks() -> None:
    assert stripe.api_version == VERSION


async def test_the_life_of_a_subscription_as_the_library_reads_it(
    server: StripeServer, peer: stripe.StripeClient
) -> None:
    session, customer = await session_of(peer, "subscription")
    name = server.pay(session)["subscription"]
    held = await asyncio.to_thread(peer.v1.subscriptions.retrieve, name)
    item = held["items"].data[0]
    assert (held.status, held.customer, item.price.unit_amount) == ("active", customer, 800)
    assert item.current_period_end > item.current_period_start

    server.live_until(server.clock.now() + 40 * 86_400)
    invoices = await asyncio.to_thread(peer.v1.invoices.list, {"limit": 10, "expand": ["data.payments"]})
    newest = invoices.data[0]
    assert newest.parent is not None
    assert newest.parent.subscription_details is not None
    assert newest.parent.subscription_details.subscription == name
    assert newest.payments is not None
    assert newest.payments.data[0].payment.payment_intent == "pi_2"
    line = newest.lines.data[0]
    assert line.pricing is not None
    assert line.pricing.price_details is not None
    assert line.pricing.price_details.product == "penstock_testing_small"
    assert line.parent is not None
    assert line.parent.subscription_item_details is not None
    assert line.parent.subscription_item_details.proration is False

    ended = await asyncio.to_thread(peer.v1.subscriptions.update, name, {"cancel_at_period_end": True})
    assert ended.cancel_at_period_end is True
    found = await asyncio.to_thread(peer.v1.prices.list, {"lookup_keys": ["small_800"], "limit": 1})
    assert [price.lookup_key for price in found.data] == ["small_800"]


async def test_money_that_goes_back_as_the_library_reads_it(server: StripeServer, peer: stripe.StripeClient) -> None:
    session, _ = await session_of(peer, "payment")
    paid = server.pay(session)["payment_intent"]
    refund = await asyncio.to_thread(peer.v1.refunds.create, {"payment_intent": paid, "amount": 250})
    server.dispute(paid)
    disputes = await asyncio.to_thread(peer.v1.disputes.list)

    assert (refund.amount, refund.payment_intent, refund.status) == (250, paid, "succeeded")
    assert [(each.amount, each.payment_intent) for each in disputes.data] == [(499, paid)]
    refunds = await asyncio.to_thread(peer.v1.refunds.list, {"created": {"gte": int(server.clock.now())}})
    assert [each.id for each in refunds.data] == [refund.id]


async def test_a_refusal_as_the_library_reads_it(peer: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="No such customer"):
        await asyncio.to_thread(peer.v1.customers.retrieve, "cus_9")


async def test_a_portal_page_as_the_library_reads_it(peer: stripe.StripeClient) -> None:
    _, customer = await session_of(peer, "payment")
    opened = await asyncio.to_thread(
        peer.v1.billing_portal.sessions.create, {"customer": customer, "return_url": "https://example.org/account"}
    )

    assert opened.url.startswith("https://billing.stripe.com/")


async def test_every_event_of_a_life_is_one_that_the_library_verifies(
    server: StripeServer, peer: stripe.StripeClient
) -> None:
    for mode in ("payment", "subscription"):
        session, _ = await session_of(peer, mode)
        server.pay(session)
    for event in server.events:
        sent = server.delivery(event)
        body, signature = sent.body.decode(), sent.headers["stripe-signature"]
        read = stripe.Webhook.construct_event(body, signature, SECRET, tolerance=10**9)
        assert (read.id, read.type) == (event["id"], event["type"])
        signed_at = int(server.clock.now())
        assert signature == stripe.WebhookSignature.generate_signature_header(body, SECRET, signed_at)


async def test_both_clients_send_the_same_words(server: StripeServer, url: str, peer: stripe.StripeClient) -> None:
    """What our own encoding makes of nested values is what the library's makes of them."""
    values: Any = {"email": "ann+x@example.org", "metadata": {"ä": "ö & =", "penstock_account": "acc_1"}}
    ours = StripeWire(KEY, url)
    await ours.post("/v1/customers", values, "ours")
    await asyncio.to_thread(peer.v1.customers.create, values)
    await ours.close()
    first, second = (
        {key: value for key, value in made.items() if key != "id"} for made in server.things["customers"].values()
    )

    assert first == second
    assert dict(form({"a": [{"b": True}]})) == {"a[0][b]": "true"}
