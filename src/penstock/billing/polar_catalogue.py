"""What we sell at Polar: which of its products is which plan, made where one is missing.

A product is found by our words in its metadata, never by its name. Two processes that make one at the same moment leave
two that say the same; either is understood, and the older one is sold from then on.
"""

from collections.abc import Callable, Iterable

from penstock.billing import polar_facts
from penstock.billing.payments import PlanPurchase, Purchase
from penstock.billing.polar_facts import Offer
from penstock.billing.polar_wire import PolarWire
from penstock.billing.wire import Values
from penstock.product.schema import Product

CREDITS = "credits"  # the kind of the one product that stands for top-ups and deposits
DONATION = "donation"  # the kind of the one that stands for donations


class Catalogue:
    """The products of one organisation at Polar that are ours."""

    def __init__(self, wire: PolarWire, product: Callable[[], Product]) -> None:
        self._wire, self._product = wire, product
        self.offers: dict[str, Offer] = {}
        """Plans, by the ids of products and prices, also those that are not sold any more."""
        self._for_sale: dict[tuple[str, ...], str] = {}

    async def load(self) -> None:
        """Read all of it. Errors: PaymentRefusedError, PaymentUnavailableError."""
        query = {"sorting": "-created_at", f"metadata[{polar_facts.PRODUCT}]": self._product().name}
        self._for_sale.clear()
        async for values, _ in self._wire.pages("/v1/products/", query):
            self._keep(values)

    async def know(self, names: Iterable[str]) -> None:
        """Read all of it if one of the ids is new. Errors as `load`."""
        if any(name not in self.offers for name in names):
            await self.load()

    async def sold_as(self, purchase: Purchase) -> str:
        """Return the id of the product at Polar that stands for a purchase, made if it is not there."""
        words = self._words(purchase)
        if tuple(words.values()) not in self._for_sale:
            await self.load()
        if tuple(words.values()) not in self._for_sale:
            self._keep((await self._wire.send("POST", "/v1/products/", self._new(purchase, words))).values)
        return self._for_sale[tuple(words.values())]

    def _keep(self, values: Values) -> None:
        self.offers.update(polar_facts.offers_of(values, self._product()))
        metadata = values["metadata"]
        words = (polar_facts.PRODUCT, polar_facts.KIND, polar_facts.PLAN, polar_facts.INTERVAL, polar_facts.CENTS)
        if not values["is_archived"]:
            self._for_sale[tuple(str(metadata[word]) for word in words if word in metadata)] = values["id"]

    def _words(self, purchase: Purchase) -> dict[str, str]:
        words = {polar_facts.PRODUCT: self._product().name}
        if not isinstance(purchase, PlanPurchase):
            return {**words, polar_facts.KIND: DONATION if purchase.kind == "donation" else CREDITS}
        plan = {polar_facts.PLAN: purchase.plan, polar_facts.INTERVAL: purchase.interval}
        return {**words, **plan, polar_facts.CENTS: str(purchase.cents)}

    def _new(self, purchase: Purchase, words: dict[str, str]) -> Values:
        if isinstance(purchase, PlanPurchase):
            price = {"amount_type": "fixed", "price_currency": "usd", "price_amount": purchase.cents}
            made: Values = {"name": purchase.title, "recurring_interval": purchase.interval, "prices": [price]}
        else:  # each page brings a price of its own
            title = self._product().brand.title
            name = purchase.title if purchase.kind == "donation" else f"{title} credits"
            made = {"name": name, "prices": [{"amount_type": "custom", "price_currency": "usd"}]}
        return {**made, "visibility": "private", "metadata": words}
