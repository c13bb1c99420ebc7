"""The test checkout: stands in for a payment provider in development, where none is set up. No money moves.

Its page is our own and says so in large letters. What is `paid` there goes the way of every payment: facts, then what
follows from them. It is never on in production (`Settings.development`); what it leaves in a database keeps its name.
"""

# ruff: noqa: ARG002 - the seam gives its methods more than this one needs
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from penstock.billing.calendar import month_after
from penstock.billing.payments import (
    Buyer,
    Event,
    Fact,
    Line,
    PaymentFact,
    PaymentRefusedError,
    PlanPurchase,
    Purchase,
    Returns,
    SubscriptionFact,
)
from penstock.billing.prices import price_of
from penstock.kit.clock import Clock
from penstock.kit.ids import new_id
from penstock.kit.signed_webhooks import WebhookRefusedError
from penstock.product.schema import Product

NAME = "test"
MAX_OPEN = 1_000  # pages that were opened and not used; the oldest goes first
PAGE = "/test-checkout/"


@dataclass(frozen=True)
class OpenCheckout:
    """A page that somebody may pay on."""

    id: str
    customer_id: str
    buyer: Buyer
    purchase: Purchase
    back: Returns


class TestPayments:
    """See `Payments`. In one process; what was opened and not paid is gone with it."""

    __test__ = False  # no test: pytest would collect it by its name
    name = NAME

    def __init__(self, clock: Clock, product: Callable[[], Product]) -> None:
        self._clock, self._product = clock, product
        self._open: dict[str, OpenCheckout] = {}
        self._by_key: dict[str, str] = {}

    async def customer(self, buyer: Buyer) -> str:
        """See `Payments.customer`."""
        return f"test_customer_{buyer.account_id}"

    async def checkout(self, customer_id: str, buyer: Buyer, purchase: Purchase, back: Returns, key: str) -> str:
        """See `Payments.checkout`."""
        known = self._by_key.get(key)
        if known is None or known not in self._open:
            made = OpenCheckout(new_id("chk"), customer_id, buyer, purchase, back)
            known = self._by_key[key] = made.id
            self._open[made.id] = made
            while len(self._open) > MAX_OPEN:
                self._open.pop(next(iter(self._open)))
            self._by_key = {name: page for name, page in self._by_key.items() if page in self._open}
        return f"{PAGE}{known}"

    async def portal(self, customer_id: str, back: Returns) -> str:
        """See `Payments.portal`. Errors: PaymentRefusedError, since there is nothing to manage."""
        raise PaymentRefusedError("The test checkout has no payment methods to manage.")

    def page(self, checkout_id: str, account_id: str) -> OpenCheckout | None:
        """Return an open page of somebody's own."""
        found = self._open.get(checkout_id)
        return found if found is not None and found.buyer.account_id == account_id else None

    def pay(self, opened: OpenCheckout) -> tuple[Fact, ...]:
        """Use a page; returns what has happened. Used twice, it happens once: the facts carry the page's id."""
        self._open.pop(opened.id, None)
        now = self._clock.now()
        purchase = opened.purchase
        if isinstance(purchase, PlanPurchase):
            months = 12 if purchase.interval == "year" else 1
            subscription = SubscriptionFact(
                id=f"test_sub_{opened.id}",
                at=now,
                customer_id=opened.customer_id,
                account_id=opened.buyer.account_id,
                plan=purchase.plan,
                interval=purchase.interval,
                status="active",
                started_at=now,
                period_start=now,
                period_end=month_after(now, months),
            )
            return subscription, self._payment(subscription, f"test_pay_{opened.id}", purchase.cents, now)
        paid = PaymentFact(
            id=f"test_pay_{opened.id}",
            at=now,
            customer_id=opened.customer_id,
            account_id=opened.buyer.account_id,
            kind=purchase.kind,
            status="paid",
            cents=purchase.cents,
            currency="usd",
            title=purchase.title,
            paid_at=now,
            credits=purchase.credits,
        )
        return (paid,)

    async def change(
        self, subscription: SubscriptionFact, purchase: PlanPurchase, *, at_once: bool, key: str
    ) -> Sequence[Fact]:
        """See `Payments.change`: at once, the rest of the period is paid by its length."""
        now = self._clock.now()
        changed = replace(subscription, at=now, plan=purchase.plan, interval=purchase.interval)
        if not at_once or subscription.plan is None:
            return (changed,)
        name = f"test_pay_{new_id('chg')}"
        paid = self._payment(replace(changed, period_start=now), name, 0, now)
        given_back = replace(self._line(subscription, f"{name}_back"), start=now, sign=-1, prorated=True)
        lines = (given_back, *(replace(line, prorated=True) for line in paid.lines))
        return changed, replace(paid, lines=lines, title=f"{purchase.title} plan: change of plan")

    async def cancel(self, subscription: SubscriptionFact, key: str) -> Sequence[Fact]:
        """See `Payments.cancel`."""
        return (replace(subscription, at=self._clock.now(), cancel_at=subscription.period_end),)

    async def resume(self, subscription: SubscriptionFact, key: str) -> Sequence[Fact]:
        """See `Payments.resume`."""
        return (replace(subscription, at=self._clock.now(), cancel_at=None),)

    def renew(self, subscription: SubscriptionFact) -> tuple[Fact, ...]:
        """Return what happens at the end of a period: the next one is paid, or the subscription ends."""
        now = self._clock.now()
        if now < subscription.period_end or subscription.status != "active":
            return ()
        if subscription.cancel_at is not None:
            return (replace(subscription, at=now, status="ended", ended_at=subscription.period_end),)
        start = subscription.period_end
        end = month_after(start, 12 if subscription.interval == "year" else 1)
        renewed = replace(subscription, at=now, period_start=start, period_end=end)
        return renewed, self._payment(renewed, f"test_pay_{subscription.id}_{start:.0f}", self._price(renewed), now)

    async def read_webhook(self, headers: Mapping[str, str], body: bytes, now: float) -> Event:
        """See `Payments.read_webhook`. Errors: WebhookRefusedError: nobody sends any."""
        raise WebhookRefusedError("the test checkout sends no webhooks")

    async def history(self, since: float) -> AsyncIterator[Fact]:
        """Yield nothing: there is no other side to compare with."""
        nothing: tuple[Fact, ...] = ()
        for fact in nothing:
            yield fact

    async def close(self) -> None:
        """Do nothing."""

    def _price(self, subscription: SubscriptionFact) -> int:
        plan = self._product().plans.get(subscription.plan or "")
        return 0 if plan is None else price_of(plan, subscription.interval) or 0

    def _payment(self, subscription: SubscriptionFact, name: str, cents: int, now: float) -> PaymentFact:
        plan = self._product().plans.get(subscription.plan or "")
        return PaymentFact(
            id=name,
            at=now,
            customer_id=subscription.customer_id,
            account_id=subscription.account_id,
            kind="plan",
            status="paid",
            cents=cents,
            currency="usd",
            title="A plan" if plan is None else f"{plan.title} plan",
            paid_at=now,
            lines=(self._line(subscription, name),),
            subscription_id=subscription.id,
        )

    def _line(self, subscription: SubscriptionFact, name: str) -> Line:
        plan = self._product().plans.get(subscription.plan or "")
        credits_month = 0 if plan is None else plan.credits_month
        return Line(name, subscription.plan or "", credits_month, subscription.period_start, subscription.period_end)
