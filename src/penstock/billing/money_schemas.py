"""The JSON of buying, subscriptions and payments."""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from penstock.billing import prices
from penstock.billing.payments import Interval
from penstock.billing.service import Entry, Standing
from penstock.kit.clock import optional_rfc3339, rfc3339
from penstock.product.schema import Product

MAX_NAME_CHARACTERS = 40

Name = Annotated[str, Field(max_length=MAX_NAME_CHARACTERS)]
Amount = Annotated[Decimal, Field(gt=0, le=1_000_000, max_digits=9, decimal_places=2)]

_SUBSCRIPTION_EXAMPLE: dict[str, Any] = {
    "plan": "remember",
    "title": "Remember",
    "status": "active",
    "interval": "month",
    "price_usd": "7.99",
    "renews_at": "2026-12-20T09:30:00.000Z",
    "ends_at": None,
    "next_plan": None,
}


class CheckoutRequest(BaseModel):
    """What to pay for: one of `plan`, `topup`, `amount`, `donation`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"plan": "remember", "interval": "month"},
                {"topup": "small"},
                {"amount": "25.00"},
                {"donation": "10.00"},
            ]
        }
    )

    plan: Name | None = None
    interval: Interval = Field(default="month", description="for a plan")
    topup: Name | None = None
    amount: Amount | None = Field(
        default=None, description="US dollars, where the product sells credits for any amount"
    )
    donation: Amount | None = Field(default=None, description="US dollars, where the product takes donations")


class CheckoutPage(BaseModel):
    """Where to go on."""

    url: str = Field(examples=["https://checkout.stripe.com/c/pay/cs_test_a1b2"])


class PlanChange(BaseModel):
    """Another plan."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"plan": "cherish"}, {"plan": "remember", "preview": True}]}
    )

    plan: Name
    interval: Interval | None = Field(default=None, description="absent: as now")
    preview: bool = Field(default=False, description="only say what it would mean")


class SubscriptionView(BaseModel):
    """A subscription as it stands."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SUBSCRIPTION_EXAMPLE]})

    plan: str = Field(description="the plan that is paid for")
    title: str
    status: Literal["active", "past_due", "paused"] = Field(
        description="`past_due`: the renewal is not paid, and the plan ends with its grace; `paused`: it rests"
    )
    interval: Interval
    price_usd: str | None = Field(description="US dollars an interval by today's prices; null: not on offer any more")
    renews_at: str | None = Field(description="when it is charged next; null: it ends")
    ends_at: str | None = Field(description="when it ends, after it was cancelled")
    next_plan: str | None = Field(description="the plan from the next period on, if it is another one")

    @classmethod
    def of(cls, held: Standing, product: Product) -> "SubscriptionView":
        """Show a subscription."""
        fact = held.subscription.fact
        plan = product.plans.get(held.plan)
        price = None if plan is None else prices.price_of(plan, fact.interval)
        return cls(
            plan=held.plan,
            title=held.plan if plan is None else plan.title,
            status=_status(held),
            interval=fact.interval,
            price_usd=None if price is None else prices.dollars(price),
            renews_at=rfc3339(fact.period_end) if fact.cancel_at is None else None,
            ends_at=optional_rfc3339(fact.cancel_at),
            next_plan=held.next_plan,
        )


def _status(held: Standing) -> Literal["active", "past_due", "paused"]:
    status = held.subscription.fact.status
    if status == "paused":
        return "paused"
    return "past_due" if status == "past_due" or held.rests else "active"


class CancellationView(BaseModel):
    """What cancelling would mean."""

    ends_at: str = Field(description="until when the plan stays")
    credits_lost: int = Field(description="credits that would be lost then, as of today")
    meaning: str = Field(description="the same in words, for the customer")


class SubscriptionStanding(BaseModel):
    """A subscription, and what cancelling it would mean."""

    subscription: SubscriptionView
    if_cancelled: CancellationView


class NoSubscription(BaseModel):
    """Nothing is subscribed to."""

    subscription: None = None
    if_cancelled: None = None


class SubscriptionChanged(BaseModel):
    """A subscription after a change, or before one that is only asked about."""

    subscription: SubscriptionView
    meaning: str = Field(description="what it means for the credits, for the customer")


class PaymentView(BaseModel):
    """One payment."""

    id: str
    kind: str = Field(description="`plan`, `top_up`, `deposit`, `donation` or `other`")
    title: str
    status: str = Field(description="`paid`, `open` or `failed`")
    amount_usd: str = Field(examples=["7.99"])
    currency: str = Field(examples=["usd"])
    credits: int = Field(description="credits that came of it so far")
    credits_taken_back: int = Field(description="of these, after a refund or a dispute")
    url: str | None = Field(description="the invoice, where there is one")
    created_at: str

    @classmethod
    def of(cls, entry: Entry) -> "PaymentView":
        """Show a payment."""
        fact = entry.fact
        return cls(
            id=fact.id,
            kind=fact.kind,
            title=fact.title,
            status=entry.status,
            amount_usd=prices.dollars(fact.cents),
            currency=fact.currency,
            credits=entry.granted,
            credits_taken_back=entry.clawed,
            url=fact.url,
            created_at=rfc3339(entry.made_at),
        )


class PaymentPage(BaseModel):
    """Payments, newest first."""

    items: list[PaymentView]
    next_cursor: str | None = Field(description="send it as `cursor` for the next page; null on the last one")


class TestCheckoutView(BaseModel):
    """What would be paid on a page of the test checkout."""

    __test__ = False  # no test: pytest would collect it by its name

    id: str
    title: str
    price_usd: str
    interval: Interval | None
    back: str = Field(description="where to go without paying")


class Taken(BaseModel):
    """A webhook was taken for good."""

    taken: bool = Field(description="false: it was taken before, and changed nothing now")
