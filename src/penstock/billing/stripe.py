"""Stripe behind the seam: its pages, its subscriptions, its lists.

Plans need no set-up at Stripe: each becomes a product with an id of our choice and a price found by a lookup key that
holds the amount, made when somebody first wants it. A new amount in the product file makes a new price, and whoever
subscribed before keeps the old one.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import httpx2

from penstock.billing import stripe_facts
from penstock.billing.payments import (
    Buyer,
    Event,
    Fact,
    PaymentRefusedError,
    PlanPurchase,
    Purchase,
    Returns,
    SubscriptionFact,
)
from penstock.billing.stripe_wire import StripeWire, verified
from penstock.billing.wire import Answer, reading
from penstock.kit.ids import new_id
from penstock.product.schema import Product

CURRENCY = "usd"
HALF_S = 0.5

Values = dict[str, Any]


class Stripe:
    """One account at Stripe, for one product.

    Args:
        key: the secret key.
        webhook_secret: signs webhooks.
        product: gives the product that holds now.
        base_url: another server that speaks the same.
    """

    name = "stripe"

    def __init__(
        self,
        key: str,
        webhook_secret: str,
        product: Callable[[], Product],
        base_url: str | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._wire = StripeWire(key, base_url, transport)
        self._secret, self._product = webhook_secret, product
        self._prices: dict[str, str] = {}

    async def customer(self, buyer: Buyer) -> str:
        """See `Payments.customer`."""
        values = {"email": buyer.email, "metadata": self._metadata(buyer.account_id)}
        made = await self._wire.post("/v1/customers", values, f"{self._product().name}-customer-{buyer.account_id}")
        return str(made.values["id"])

    async def checkout(self, customer_id: str, buyer: Buyer, purchase: Purchase, back: Returns, key: str) -> str:
        """See `Payments.checkout`."""
        metadata = self._metadata(buyer.account_id)
        values: Values = {
            "customer": customer_id,
            "client_reference_id": buyer.account_id,
            "success_url": back.paid,
            "cancel_url": back.left,
        }
        if isinstance(purchase, PlanPurchase):
            price = await self._price(purchase)
            values |= {"mode": "subscription", "line_items": [{"price": price, "quantity": 1}], "metadata": metadata}
            values["subscription_data"] = {"metadata": metadata}
        else:
            metadata |= {
                stripe_facts.KIND: purchase.kind,
                stripe_facts.CREDITS: str(purchase.credits),
                stripe_facts.TITLE: purchase.title,
            }
            price_data = {
                "currency": CURRENCY,
                "unit_amount": purchase.cents,
                "product_data": {"name": purchase.title},
            }
            values |= {"mode": "payment", "line_items": [{"price_data": price_data, "quantity": 1}]}
            values |= {"metadata": metadata, "payment_intent_data": {"metadata": metadata}}
        opened = await self._wire.post("/v1/checkout/sessions", values, key)
        return str(opened.values["url"])

    async def portal(self, customer_id: str, back: Returns) -> str:
        """See `Payments.portal`."""
        values = {"customer": customer_id, "return_url": back.account}
        # A page of its own each time: it is valid for minutes only, while a key is remembered for a day.
        opened = await self._wire.post("/v1/billing_portal/sessions", values, new_id("portal"))
        return str(opened.values["url"])

    async def change(
        self, subscription: SubscriptionFact, purchase: PlanPurchase, *, at_once: bool, key: str
    ) -> Sequence[Fact]:
        """See `Payments.change`. A dearer plan holds once its difference is paid, a cheaper one is billed next time."""
        price = await self._price(purchase)
        values: Values = {"items": [{"id": subscription.item_id, "price": price}]}
        if at_once:
            values |= {"proration_behavior": "always_invoice", "payment_behavior": "pending_if_incomplete"}
        else:
            values |= {"proration_behavior": "none"}
        return self._subscription(await self._wire.post(f"/v1/subscriptions/{subscription.id}", values, key))

    async def cancel(self, subscription: SubscriptionFact, key: str) -> Sequence[Fact]:
        """See `Payments.cancel`."""
        return await self._cancel_at_end(subscription, key, wanted=True)

    async def resume(self, subscription: SubscriptionFact, key: str) -> Sequence[Fact]:
        """See `Payments.resume`."""
        return await self._cancel_at_end(subscription, key, wanted=False)

    async def read_webhook(self, headers: Mapping[str, str], body: bytes, now: float) -> Event:
        """See `Payments.read_webhook`."""
        signed = verified(headers, body, self._secret, now)
        event = Event(signed["id"], signed["type"], float(signed["created"]))
        with reading(event):
            found = stripe_facts.facts(event.type, signed["data"]["object"], event.at, self._product())
        return replace(event, facts=found)

    async def history(self, since: float) -> AsyncIterator[Fact]:
        """See `Payments.history`. Subscriptions are listed whatever their age: an old one may have ended just now."""
        made = {"created": {"gte": int(since)}}
        lists: tuple[tuple[str, Values, Callable[..., Any]], ...] = (
            ("/v1/subscriptions", {"status": "all"}, stripe_facts.of_subscription),
            ("/v1/invoices", {**made, "expand": ["data.payments"]}, stripe_facts.of_invoice),
            ("/v1/checkout/sessions", made, stripe_facts.of_session),
            ("/v1/refunds", made, stripe_facts.of_refund),
            ("/v1/disputes", made, stripe_facts.of_dispute),
        )
        for path, values, read in lists:
            async for entry, at in self._wire.pages(path, values):
                for fact in read(entry, at, self._product()):
                    yield fact

    async def close(self) -> None:
        """See `Payments.close`."""
        await self._wire.close()

    async def _cancel_at_end(self, subscription: SubscriptionFact, key: str, *, wanted: bool) -> Sequence[Fact]:
        path = f"/v1/subscriptions/{subscription.id}"
        return self._subscription(await self._wire.post(path, {"cancel_at_period_end": wanted}, key))

    def _subscription(self, answer: Answer) -> Sequence[Fact]:
        # Stripe tells time in whole seconds. An answer knows of everything that happened earlier in its second.
        return tuple(stripe_facts.of_subscription(answer.values, answer.at + HALF_S, self._product()))

    def _metadata(self, account_id: str) -> dict[str, str]:
        return {stripe_facts.PRODUCT: self._product().name, stripe_facts.ACCOUNT: account_id}

    async def _price(self, purchase: PlanPurchase) -> str:
        """Return the id of the price of a plan, made if it is not there."""
        product = stripe_facts.product_id(self._product(), purchase.plan)
        lookup = f"{product}_{purchase.interval}_{purchase.cents}"
        if lookup not in self._prices:
            found = await self._wire.get("/v1/prices", {"lookup_keys": [lookup], "active": True, "limit": 1})
            known = found.values["data"]
            self._prices[lookup] = known[0]["id"] if known else await self._make_price(product, lookup, purchase)
        return self._prices[lookup]

    async def _make_price(self, product: str, lookup: str, purchase: PlanPurchase) -> str:
        with suppress(PaymentRefusedError):  # it is there: of another price of the plan
            await self._wire.post("/v1/products", {"id": product, "name": purchase.title}, f"product-{product}")
        values = {
            "product": product,
            "currency": CURRENCY,
            "unit_amount": purchase.cents,
            "recurring": {"interval": purchase.interval},
            "lookup_key": lookup,
        }
        made = await self._wire.post("/v1/prices", values, f"price-{lookup}")
        return str(made.values["id"])
