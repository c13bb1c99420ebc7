"""Polar behind the seam: its pages, its subscriptions, its lists.

Plans need no set-up at Polar: each becomes a product of the organisation, with our words for it in its metadata, made
when somebody first wants it. A new amount in the product file makes a new product, and whoever subscribed before keeps
the old one. Credits are one product with a price of its own on each page, and donations are another.

Polar has no idempotency keys. So every change looks first whether it has been made, and again when its answer was lost:
a page is found by our key in its metadata, a customer by the account's id, a subscription by how it stands.
"""

# ruff: noqa: ARG002 - the seam gives its methods keys that Polar has no use for
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx2

from penstock.billing import polar_facts
from penstock.billing.payments import (
    Buyer,
    Event,
    Fact,
    PaymentRefusedError,
    PaymentUnavailableError,
    PlanPurchase,
    Purchase,
    Returns,
    SubscriptionFact,
)
from penstock.billing.polar_catalogue import Catalogue
from penstock.billing.polar_wire import MissingError, PolarWire, verified
from penstock.billing.wire import Answer, Values, reading
from penstock.product.schema import Product

HALF_S = 0.5
PAGES_LOOKED_AT = 100  # open checkout pages of one customer
NO_UPDATE: Values = {"pending_update": None}


class Polar:
    """One organisation at Polar, for one product.

    Args:
        key: an organisation access token.
        webhook_secret: signs webhooks.
        product: gives the product that holds now.
        base_url: another server that speaks the same.
    """

    name = "polar"

    def __init__(
        self,
        key: str,
        webhook_secret: str,
        product: Callable[[], Product],
        base_url: str | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._wire = PolarWire(key, base_url, transport)
        self._secret, self._product = webhook_secret, product
        self._catalogue = Catalogue(self._wire, product)

    async def customer(self, buyer: Buyer) -> str:
        """See `Payments.customer`.

        Nobody is taken for another by a mail address: one that is a customer of the organisation already is refused.
        """
        if buyer.email is None:
            raise PaymentRefusedError(f"Polar sells to mail addresses, and {buyer.account_id} has none")
        known = await self._customer(buyer.account_id)
        if known is not None:
            return known
        values = {"external_id": buyer.account_id, "email": buyer.email, "metadata": self._metadata(buyer.account_id)}
        try:
            return str((await self._wire.send("POST", "/v1/customers/", values)).values["id"])
        except (PaymentRefusedError, PaymentUnavailableError):
            known = await self._customer(buyer.account_id)
            if known is None:
                raise
            return known

    async def checkout(self, customer_id: str, buyer: Buyer, purchase: Purchase, back: Returns, key: str) -> str:
        """See `Payments.checkout`."""
        opened = await self._page(customer_id, key)
        if opened is not None:
            return opened
        sold = await self._catalogue.sold_as(purchase)
        metadata: Values = {**self._metadata(buyer.account_id), polar_facts.KEY: key}
        values: Values = {
            "products": [sold],
            "customer_id": customer_id,
            "success_url": back.paid,
            "return_url": back.left,
            "allow_discount_codes": False,  # what is paid says how much of a plan it pays for
        }
        if not isinstance(purchase, PlanPurchase):
            metadata |= {
                polar_facts.KIND: purchase.kind,
                polar_facts.CREDITS: str(purchase.credits),
                polar_facts.TITLE: purchase.title,
            }
            price = {"amount_type": "fixed", "price_currency": "usd", "price_amount": purchase.cents}
            values["prices"] = {sold: [price]}
        try:
            made = await self._wire.send("POST", "/v1/checkouts/", {**values, "metadata": metadata})
            return str(made.values["url"])
        except PaymentUnavailableError:
            opened = await self._page(customer_id, key)
            if opened is None:
                raise
            return opened

    async def portal(self, customer_id: str, back: Returns) -> str:
        """See `Payments.portal`."""
        values = {"customer_id": customer_id, "return_url": back.account}
        return str((await self._wire.send("POST", "/v1/customer-sessions/", values)).values["customer_portal_url"])

    async def change(
        self, subscription: SubscriptionFact, purchase: PlanPurchase, *, at_once: bool, key: str
    ) -> Sequence[Fact]:
        """See `Payments.change`. A dearer plan holds once its difference is paid, a cheaper one is billed next time."""
        wanted = await self._catalogue.sold_as(purchase)
        standing = await self._get(subscription.id)
        if standing.values["product_id"] == wanted:
            return await self._put(standing, NO_UPDATE, lambda now: now["pending_update"] is None)
        if standing.values["pending_update"] is not None and not _comes_to(standing.values, wanted, at_once=at_once):
            standing = await self._wire.send("PATCH", f"/v1/subscriptions/{subscription.id}", NO_UPDATE)
        values = {"product_id": wanted, "proration_behavior": "invoice" if at_once else "next_period"}
        return await self._put(standing, values, lambda now: _comes_to(now, wanted, at_once=at_once))

    async def cancel(self, subscription: SubscriptionFact, key: str) -> Sequence[Fact]:
        """See `Payments.cancel`."""
        return await self._cancel_at_end(subscription, wanted=True)

    async def resume(self, subscription: SubscriptionFact, key: str) -> Sequence[Fact]:
        """See `Payments.resume`."""
        return await self._cancel_at_end(subscription, wanted=False)

    async def read_webhook(self, headers: Mapping[str, str], body: bytes, now: float) -> Event:
        """See `Payments.read_webhook`. Polar is asked for its products where a new one is named."""
        signed = verified(headers, body, self._secret, now)
        event = Event(signed.id, signed.values["type"], signed.at)
        with reading(event):
            found = await self._read(event.type, signed.values["data"], event.at)
        return replace(event, facts=found)

    async def history(self, since: float) -> AsyncIterator[Fact]:
        """See `Payments.history`. Subscriptions are listed whatever their age: an old one may have ended just now."""
        made_after = datetime.fromtimestamp(since, UTC).isoformat()
        await self._catalogue.load()
        lists: tuple[tuple[str, Values, Callable[..., Any]], ...] = (
            ("/v1/subscriptions/", {"sorting": "started_at"}, polar_facts.of_subscription),
            ("/v1/orders/", {"sorting": "created_at", "created_after": made_after}, polar_facts.of_order),
            ("/v1/refunds/", {"sorting": "-created_at"}, polar_facts.of_refund),
            ("/v1/disputes/", {"sorting": "-created_at"}, polar_facts.of_dispute),
        )
        for path, query, read in lists:
            newest_first = query["sorting"] == "-created_at"
            async for entry, at in self._wire.pages(path, query):
                if newest_first and datetime.fromisoformat(entry["created_at"]).timestamp() < since:
                    break
                for fact in read(entry, at, self._product(), self._catalogue.offers):
                    yield fact

    async def close(self) -> None:
        """See `Payments.close`."""
        await self._wire.close()

    async def _customer(self, account_id: str) -> str | None:
        try:
            return str((await self._wire.get(f"/v1/customers/external/{account_id}")).values["id"])
        except MissingError:
            return None

    async def _page(self, customer_id: str, key: str) -> str | None:
        """Return the open page that was made under a key."""
        query = {"customer_id": customer_id, "status": "open", "limit": PAGES_LOOKED_AT}
        found = await self._wire.get("/v1/checkouts/", query)
        same = (each for each in found.values["items"] if each["metadata"].get(polar_facts.KEY) == key)
        return next((str(each["url"]) for each in same), None)

    async def _cancel_at_end(self, subscription: SubscriptionFact, *, wanted: bool) -> Sequence[Fact]:
        values = {"cancel_at_period_end": wanted}
        standing = await self._get(subscription.id)
        return await self._put(standing, values, lambda now: bool(now["cancel_at_period_end"]) is wanted)

    async def _get(self, subscription_id: str) -> Answer:
        return await self._wire.get(f"/v1/subscriptions/{subscription_id}")

    async def _put(self, standing: Answer, values: Values, done: Callable[[Values], bool]) -> Sequence[Fact]:
        """Change a subscription unless it stands as wanted; when the answer is lost, look whether it does now."""
        if not done(standing.values):
            name = standing.values["id"]
            try:
                standing = await self._wire.send("PATCH", f"/v1/subscriptions/{name}", values)
            except PaymentUnavailableError:
                standing = await self._get(name)
                if not done(standing.values):
                    raise
        # The answer's time is told in whole seconds. It knows of everything that happened earlier in its second.
        return await self._read("subscription.updated", standing.values, standing.at + HALF_S)

    async def _read(self, kind: str, values: Values, at: float) -> tuple[Fact, ...]:
        await self._catalogue.know(polar_facts.named(kind, values, self._product()))
        return polar_facts.facts(kind, values, at, self._product(), self._catalogue.offers)

    def _metadata(self, account_id: str) -> dict[str, str]:
        return {polar_facts.PRODUCT: self._product().name, polar_facts.ACCOUNT: account_id}


def _comes_to(now: Values, wanted: str, *, at_once: bool) -> bool:
    return (now if at_once else now["pending_update"] or {}).get("product_id") == wanted
