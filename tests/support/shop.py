"""A product that sells through the stand-in for Stripe, on a sandbox: no HTTP of our own, every unit of work real."""

import asyncio
from collections.abc import Coroutine, Iterable
from datetime import UTC, datetime
from typing import Any, TypeVar

import httpx2

from penstock.accounts import people
from penstock.billing import apply, plans, prices, queries, stripe_facts
from penstock.billing.payments import Buyer, Fact, Purchase, Returns, SubscriptionFact
from penstock.billing.record import record
from penstock.billing.stripe import Stripe
from penstock.kit.database import Row, Transaction
from penstock.ledger import service as ledger
from penstock.ledger import statement
from penstock.product.schema import Product
from tests.support.flows import PRODUCT, make_product
from tests.support.sandbox import Sandbox
from tests.support.stripe_server import KEY, SECRET, StripeServer, Values

T = TypeVar("T")
DAY_S = 86_400.0
BACK = Returns("http://localhost/account?paid=1", "http://localhost/pricing", "http://localhost/account")
MONTH = {"title": "Small", "description": "For some", "price_usd_month": "8.00", "credits_month": 25}
LARGE = {"title": "Large", "description": "For many", "price_usd_month": "16.00", "credits_month": 60}
PLANS = {
    "free": PRODUCT["plans"]["free"],
    "small": {**MONTH, "price_usd_year": "80.00"},
    "large": {**LARGE, "price_usd_year": "160.00"},
}


def selling(**changes: Any) -> Product:
    """Return a product with two plans, a top-up and free amounts for sale; `changes` to `[payments]`."""
    payments = {
        "provider": "stripe",
        "key_env": "STRIPE_SECRET_KEY",
        "webhook_secret_env": "STRIPE_WEBHOOK_SECRET",
        "amount": {"min_usd": "5.00", "max_usd": "200.00", "credits_per_usd": 2},
    }
    topups = {"ten": {"credits": 10, "price_usd": "4.99"}}
    return make_product(plans=PLANS, topups=topups, payments=payments | changes)


def moment(*date: int) -> float:
    """Return noon of a day in seconds since 1970 UTC."""
    return datetime(*date, 12, tzinfo=UTC).timestamp()  # type: ignore[arg-type,misc]


class Shop:
    """One customer, Ann, and everything that she can buy.

    Args:
        box: the database; its clock is moved to 1 March 2027.
    """

    provider = "stripe"
    adapter: Any
    server: Any

    def __init__(self, box: Sandbox, product: Product | None = None) -> None:
        self.box, self.product = box, product or selling()
        box.clock.advance(moment(2027, 3, 1) - box.clock.now())
        self.open_provider(box)
        self._loop = asyncio.Runner()
        self.ann = box.do(_sign_up, self.product)
        self.buyer = Buyer(self.ann, "ann@example.org")
        self._heard = 0

    def open_provider(self, box: Sandbox) -> None:
        """Set up who takes the money."""
        self.stripe = self.server = StripeServer(box.clock)
        transport = httpx2.ASGITransport(self.stripe)
        self.adapter = Stripe(KEY, SECRET, lambda: self.product, "http://stripe.test", transport)

    def close(self) -> None:
        """Let go of what it holds, but for the box."""
        self.run(self.adapter.close())
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something asynchronous."""
        return self._loop.run(work)

    # Buying, as our server and then the customer do it

    def open(self, purchase: Purchase) -> str:
        """Open a checkout page and return its address."""
        customer = self.run(self.adapter.customer(self.buyer))
        values = {"provider": self.provider, "id": customer, "account_id": self.ann, "now": self.box.clock.now()}
        self.box.run(queries.INSERT_CUSTOMER, **values)
        key = f"checkout-{len(self.server.calls)}"
        return str(self.run(self.adapter.checkout(customer, self.buyer, purchase, BACK, key)))

    def open_plan(self, plan: str, interval: Any) -> str:
        """Open a page where a plan is paid."""
        return self.open(prices.plan_purchase(self.product, plan, interval))

    def open_top_up(self) -> str:
        """Open a page where ten credits are paid."""
        return self.open(prices.top_up_purchase(self.product, "ten"))

    def buy_plan(self, plan: str = "small", interval: Any = "month") -> Values:
        """Buy a plan and return Stripe's subscription; nothing is delivered yet."""
        session = self.stripe.pay(self.open_plan(plan, interval))
        return self.stripe.things["subscriptions"][session["subscription"]]

    def buy_top_up(self, **how: Any) -> Values:
        """Buy ten credits and return Stripe's session; nothing is delivered yet."""
        return self.stripe.pay(self.open_top_up(), **how)

    # Webhooks

    def heard(self) -> list[Values]:
        """Return what has happened at the provider since the last call."""
        new: list[Values] = self.server.events[self._heard :]
        self._heard = len(self.server.events)
        return new

    def deliver(self, events: Iterable[Values] | None = None) -> int:
        """Deliver events (what has happened since, if none are given); returns how many were new."""
        return sum(self.deliver_one(event) for event in (self.heard() if events is None else events))

    def deliver_one(self, event: Values) -> bool:
        """Deliver one event as it comes over the wire."""
        sent = self.server.delivery(event)
        read = self.run(self.adapter.read_webhook(sent.headers, sent.body, self.box.clock.now()))
        return self.box.do(self._apply_event, read, sent.body.decode())

    def take(self, facts: Iterable[Fact]) -> None:
        """Take facts that came in another way."""
        self.box.do(self._apply, tuple(facts))

    def _apply_event(self, tx: Transaction, event: Any, text: str) -> bool:
        values = {"provider": self.provider, "id": event.id, "type": event.type, "happened_at": event.at, "now": tx.now}
        taken = tx.run(queries.TAKE_EVENT, **values, outcome="applied", body=text)
        if taken:
            self._apply(tx, event.facts)
        return bool(taken)

    def _apply(self, tx: Transaction, facts: tuple[Fact, ...]) -> None:
        for account in record(tx, self.provider, facts):
            apply.bring_in_line(tx, account, self.product, people.set_plan)

    def adapter_facts(self, subscription: Values) -> list[SubscriptionFact]:
        """Return a subscription as it stands at Stripe, as our own words have it."""
        found = stripe_facts.of_subscription(subscription, self.box.clock.now(), self.product)
        return [fact for fact in found if isinstance(fact, SubscriptionFact)]

    def look_again(self) -> None:
        """Do what time alone has made due."""
        self.box.do(apply.bring_in_line, self.ann, self.product, people.set_plan)

    def wait_until(self, at: float) -> None:
        """Let time pass at the provider, with its renewals, and here."""
        self.server.live_until(at)

    # What Ann has

    @property
    def credits(self) -> int:
        return self.box.do(statement.balance, self.ann).available

    @property
    def debt(self) -> int:
        return self.box.do(statement.balance, self.ann).debt

    @property
    def plan(self) -> str:
        return self.box.do(people.get, self.ann).plan

    @property
    def renews_at(self) -> float | None:
        return self.box.do(people.get, self.ann).plan_renews_at

    def spend(self, amount: int, job: str) -> None:
        """Spend credits on a job."""

        def unit(tx: Transaction) -> None:
            wallet = ledger.lock(tx, self.ann)
            ledger.hold(tx, wallet, job, amount, "A job")
            ledger.capture(tx, wallet, job, amount, "A job")

        self.box.do(unit)

    def payments(self) -> list[Row]:
        """Return what is known of payments, the oldest first."""
        return self.box.rows("SELECT * FROM payments ORDER BY made_at, id")

    def outcome(self) -> dict[str, Any]:
        """Return everything that the order of webhooks must not change, once no credit is unexplained."""
        assert self.box.do(ledger.violations) == []
        wallet = self.box.rows("SELECT available, held, debt FROM wallets WHERE account_id = :id", id=self.ann)
        account = self.box.rows("SELECT plan, plan_renews_at FROM accounts WHERE id = :id", id=self.ann)
        book = self.box.rows(
            "SELECT account, SUM(amount) AS amount FROM ("
            "SELECT credit AS account, amount FROM transfers UNION ALL SELECT debit, -amount FROM transfers"
            ") AS sides GROUP BY account ORDER BY account"
        )
        lots = self.box.rows("SELECT source_key, granted, created_at FROM lots ORDER BY source_key")
        payments = self.box.rows("SELECT id, status, cents, fact, granted, portions, clawed FROM payments ORDER BY id")
        subscriptions = self.box.rows("SELECT id, status, fact FROM subscriptions ORDER BY id")
        return {
            "wallet": wallet,
            "account": account,
            "book": [(row["account"], int(row["amount"])) for row in book],
            "lots": lots,
            "payments": payments,
            "subscriptions": subscriptions,
        }


def _sign_up(tx: Transaction, product: Product) -> str:
    account = people.register(tx, "ann@example.org", "hash", "free")
    assert account is not None
    plans.begin(tx, product, account.id, "free")
    return account.id
