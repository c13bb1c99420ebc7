"""The seam to whoever takes the customers' money.

A payment provider does two things for us: it opens its pages (checkout, portal) and changes subscriptions; and it
reports facts: a subscription is so and so, a payment was made, money went back. Facts come by webhook, as answers to
our own calls, and from its lists when we reconcile, in any order and any number of times. So a fact says how something
stood at a moment, never what to do, and `at` decides which of two is newer. What follows from facts is decided in
`apply`, from what is known, not from what came last.

Times are seconds since 1970 UTC, money is in cents of `currency`.

    PaymentRefusedError        the provider won't do it, or our request was wrong; `detail` is for operators
    PaymentDeclinedError       the customer's money did not come: another payment method may help
    PaymentUnavailableError    it did not answer, or not in a way that can be read: whether it acted is not known
    WebhookRefusedError        (`kit.signed_webhooks`) a webhook that is not from the provider, or not from now
    WebhookUnreadableError     one that is, whose object has another form than we know
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Interval = Literal["month", "year"]
SubscriptionStatus = Literal["pending", "active", "past_due", "unpaid", "paused", "ended", "never_began"]
PaymentKind = Literal["plan", "top_up", "deposit", "donation", "other"]
PaymentStatus = Literal["open", "failed", "paid"]


class PaymentRefusedError(Exception):
    """The provider refused what was asked of it."""


class PaymentDeclinedError(PaymentRefusedError):
    """The customer's money could not be collected, so nothing was changed."""


class PaymentUnavailableError(Exception):
    """The provider can't be reached, or what it answered can't be read."""


@dataclass(frozen=True)
class Line:
    """A stretch of a plan that a payment paid for, or, with `sign` -1, that it gave back.

    Args:
        fraction: of one interval's price that the stretch cost, as the provider prorated it; 1 for a whole one.
        credits_month: what the plan brought each month when this became known.
    """

    id: str
    plan: str
    credits_month: int
    start: float
    end: float
    sign: int = 1
    prorated: bool = False
    fraction: float | None = None


@dataclass(frozen=True)
class SubscriptionFact:
    """How a subscription stood at `at`.

    Args:
        account_id: whom it is for, where the provider says so.
        plan: the plan of its price: what the next renewal will cost; None for a price that is not ours.
        period_start: of the period that runs, paid or not.
        cancel_at: when it will end; None: it goes on.
    """

    id: str
    at: float
    customer_id: str
    account_id: str | None
    plan: str | None
    interval: Interval
    status: SubscriptionStatus
    started_at: float
    period_start: float
    period_end: float
    item_id: str | None = None
    cancel_at: float | None = None
    ended_at: float | None = None


@dataclass(frozen=True)
class PaymentFact:
    """How a payment (an invoice, or something bought once) stood at `at`.

    Args:
        lines: what it paid for, of plans.
        credits: what it paid for, of top-ups and deposits.
        reference: by which later facts may name it.
    """

    id: str
    at: float
    customer_id: str
    account_id: str | None
    kind: PaymentKind
    status: PaymentStatus
    cents: int
    currency: str
    title: str
    paid_at: float | None = None
    lines: tuple[Line, ...] = ()
    credits: int = 0
    subscription_id: str | None = None
    reference: str | None = None
    url: str | None = None


@dataclass(frozen=True)
class ReferenceFact:
    """Another name under which a payment is known, such as that of the money's movement."""

    id: str
    payment_id: str
    at: float


@dataclass(frozen=True)
class ReversalFact:
    """How a refund or a dispute stood at `at`; `counts` while the money is (or may be) gone."""

    id: str
    at: float
    reference: str
    kind: Literal["refund", "dispute"]
    cents: int
    counts: bool


Fact = SubscriptionFact | PaymentFact | ReferenceFact | ReversalFact


@dataclass(frozen=True)
class Event:
    """A webhook that was verified; without facts it is of a kind that says nothing to us."""

    id: str
    type: str
    at: float
    facts: tuple[Fact, ...] = ()


class WebhookUnreadableError(Exception):
    """A webhook of the provider about something whose form we don't know: an operator must look at it."""

    def __init__(self, event: Event, cause: Exception) -> None:
        super().__init__(f"{event.type} {event.id} can't be read: {cause!r}")
        self.event = event


@dataclass(frozen=True)
class Buyer:
    """Who pays."""

    account_id: str
    email: str | None


@dataclass(frozen=True)
class PlanPurchase:
    """A plan by the month or by the year."""

    plan: str
    title: str
    interval: Interval
    cents: int


@dataclass(frozen=True)
class CreditPurchase:
    """Credits paid once, or a donation, which brings none."""

    kind: Literal["top_up", "deposit", "donation"]
    title: str
    credits: int
    cents: int


Purchase = PlanPurchase | CreditPurchase


@dataclass(frozen=True)
class Returns:
    """Addresses to which the provider's pages lead back."""

    paid: str
    left: str
    account: str


class Payments(Protocol):
    """A payment provider. Every method may raise PaymentRefusedError and PaymentUnavailableError."""

    name: str

    async def customer(self, buyer: Buyer) -> str:
        """Return the provider's id for a buyer, made at the first call; the same buyer gets the same one."""
        ...

    async def checkout(self, customer_id: str, buyer: Buyer, purchase: Purchase, back: Returns, key: str) -> str:
        """Open a page where the purchase is paid and return its address; the same `key` opens one page only."""
        ...

    async def portal(self, customer_id: str, back: Returns) -> str:
        """Return the address of the page where a customer manages payment methods and finds invoices."""
        ...

    async def change(
        self, subscription: SubscriptionFact, purchase: PlanPurchase, *, at_once: bool, key: str
    ) -> Sequence[Fact]:
        """Put a subscription on another plan: at once, paying the difference, or from the next period on."""
        ...

    async def cancel(self, subscription: SubscriptionFact, key: str) -> Sequence[Fact]:
        """Let a subscription end with its period."""
        ...

    async def resume(self, subscription: SubscriptionFact, key: str) -> Sequence[Fact]:
        """Let a subscription that was to end go on."""
        ...

    async def read_webhook(self, headers: Mapping[str, str], body: bytes, now: float) -> Event:
        """Return what a webhook says.

        Errors: WebhookRefusedError, always before anything of it is believed; WebhookUnreadableError;
        PaymentUnavailableError: it can't be read now, and must come again.
        """
        ...

    def history(self, since: float) -> AsyncIterator[Fact]:
        """Yield everything that stands in the provider's lists and was made since a moment, as facts."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
