"""A shop that sells through the stand-in for Polar."""

from typing import Any

import httpx2

from penstock.billing.payments import SubscriptionFact
from penstock.billing.polar import Polar
from penstock.product.schema import Product
from tests.support.polar_objects import Values
from tests.support.polar_server import KEY, SECRET, PolarServer
from tests.support.sandbox import Sandbox
from tests.support.shop import Shop, selling


class PolarShop(Shop):
    """See `Shop`. What happens at Polar is `polar`."""

    provider = "polar"

    def __init__(self, box: Sandbox, product: Product | None = None) -> None:
        super().__init__(box, product or selling(provider="polar"))

    def open_provider(self, box: Sandbox) -> None:
        """Set up who takes the money."""
        self.polar = self.server = PolarServer(box.clock)
        transport = httpx2.ASGITransport(self.polar)
        self.adapter = Polar(KEY, SECRET, lambda: self.product, "http://polar.test", transport)

    def buy_plan(self, plan: str = "small", interval: Any = "month") -> Values:
        """Buy a plan and return Polar's subscription; nothing is delivered yet."""
        page = self.polar.pay(self.open_plan(plan, interval))
        return self.polar.things["subscriptions"][page["subscription_id"]]

    def buy_top_up(self, **how: Any) -> Values:
        """Buy ten credits and return Polar's order; nothing is delivered yet."""
        return self.polar.order_of(self.polar.pay(self.open_top_up(), **how))

    def adapter_facts(self, subscription: Values) -> list[SubscriptionFact]:
        """Return a subscription as it stands at Polar, as our own words have it."""
        sent = self.polar.delivery(self.polar.event("subscription.updated", subscription))
        found = self.run(self.adapter.read_webhook(sent.headers, sent.body, self.box.clock.now())).facts
        return [fact for fact in found if isinstance(fact, SubscriptionFact)]
