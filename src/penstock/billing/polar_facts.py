"""Reads what Polar tells of itself: its objects become facts. Pure.

Orders and subscriptions name a plan only by the id of a product or a price, so `offers` says what those are: the
products that we made at Polar carry our words for it in their metadata. Objects of another product in the same
organisation carry another name there, or none of ours, and say nothing to us.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from penstock.billing.calendar import month_after
from penstock.billing.payments import (
    Fact,
    Interval,
    Line,
    PaymentFact,
    PaymentKind,
    PaymentStatus,
    ReversalFact,
    SubscriptionFact,
    SubscriptionStatus,
)
from penstock.product.schema import Product

Values = dict[str, Any]
PRODUCT, ACCOUNT, KIND, CREDITS = "penstock_product", "penstock_account", "penstock_kind", "penstock_credits"
TITLE, KEY, PLAN, INTERVAL = "penstock_title", "penstock_key", "penstock_plan", "penstock_interval"
CENTS = "penstock_cents"
DAY_S = 86_400.0
MONTHS_A_YEAR = 12
_KINDS: dict[Any, PaymentKind] = {"deposit": "deposit", "donation": "donation"}
_PAID_ORDERS = frozenset({"paid", "refunded", "partially_refunded"})
_PLAN_REASONS = frozenset({"subscription_create", "subscription_cycle", "subscription_update"})
_VOID_REFUNDS = frozenset({"failed", "canceled"})
_DISPUTES_WITH_LOSS = frozenset({"needs_response", "under_review", "lost"})
# When all retries of a payment have failed, Polar takes the subscription away and calls it `unpaid`: nothing follows.
_STATUSES: Mapping[str, SubscriptionStatus] = {
    "incomplete": "pending",
    "incomplete_expired": "never_began",
    "trialing": "active",
    "active": "active",
    "past_due": "past_due",
    "unpaid": "ended",
    "paused": "paused",
    "canceled": "ended",
}


@dataclass(frozen=True)
class Offer:
    """What a product that we made at Polar sells: a plan for an interval at a price in cents."""

    product_id: str
    plan: str
    interval: Interval
    cents: int


Offers = Mapping[str, Offer]
"""By the ids of products and of their prices."""


def offers_of(values: Values, product: Product) -> Iterator[tuple[str, Offer]]:
    """Yield by which ids a product at Polar is known, and what it is; nothing for one that is not a plan of ours."""
    metadata = values.get("metadata") or {}
    if metadata.get(PRODUCT) != product.name or PLAN not in metadata:
        return
    interval = _interval(str(metadata[INTERVAL]))
    offer = Offer(values["id"], str(metadata[PLAN]), interval, int(metadata[CENTS]))
    for name in (values["id"], *(price["id"] for price in values.get("prices") or ())):
        yield name, offer


def named(kind: str, values: Values, product: Product) -> Iterator[str]:
    """Yield the ids without which an object of ours can't be read."""
    if kind not in _READERS or values.get("billing_reason") == "purchase" or not _ours(values, product):
        return
    for item in values.get("items") or ():
        if item.get("product_price_id"):
            yield item["product_price_id"]
    for part in (values, values.get("pending_update") or {}):
        if part.get("product_id"):
            yield part["product_id"]


def facts(kind: str, values: Values, at: float, product: Product, offers: Offers) -> tuple[Fact, ...]:
    """Return what an event of a kind says; nothing for kinds that don't matter, and for other people's objects."""
    read = _READERS.get(kind)
    return () if read is None else tuple(read(values, at, product, offers))


def of_subscription(values: Values, at: float, product: Product, offers: Offers) -> Iterator[Fact]:
    """Yield a subscription."""
    if not _ours(values, product):
        return
    pending = values.get("pending_update") or {}
    offer = offers.get(pending.get("product_id") or values["product_id"])
    ended_at = _moment(values.get("ended_at"))
    if ended_at is None and values["status"] == "unpaid":
        ended_at = _moment(values.get("modified_at"))
    yield SubscriptionFact(
        id=values["id"],
        at=at,
        customer_id=values["customer_id"],
        account_id=_account(values),
        plan=None if offer is None or offer.plan not in product.plans else offer.plan,
        interval=_interval(values["recurring_interval"]),
        status=_STATUSES.get(values["status"], "unpaid"),
        started_at=_at(values.get("started_at") or values["created_at"]),
        period_start=_at(values["current_period_start"]),
        period_end=_at(values["current_period_end"]),
        cancel_at=_ends(values),
        ended_at=ended_at,
    )


def of_order(values: Values, at: float, product: Product, offers: Offers) -> Iterator[Fact]:
    """Yield an order as it stands in a list: paid, as far as one can see there, when it was made."""
    yield from _order(values, at, product, offers, paid_at=_at(values["created_at"]))


def of_refund(values: Values, at: float, _: Product, __: Offers) -> Iterator[Fact]:
    """Yield a refund; it counts unless it failed."""
    counts = values["status"] not in _VOID_REFUNDS
    yield ReversalFact(values["id"], at, values["order_id"], "refund", _with_tax(values), counts)


def of_dispute(values: Values, at: float, _: Product, __: Offers) -> Iterator[Fact]:
    """Yield a dispute, of which only lists tell; one that was prevented is a refund as well, and counts as that."""
    counts = values["status"] in _DISPUTES_WITH_LOSS
    yield ReversalFact(values["id"], at, values["order_id"], "dispute", _with_tax(values), counts)


def _paid(values: Values, at: float, product: Product, offers: Offers) -> Iterator[Fact]:
    """Yield an order that has just been paid, whatever has become of it since."""
    yield from _order({**values, "status": "paid"}, at, product, offers, paid_at=at)


def _not_paid(values: Values, at: float, product: Product, offers: Offers) -> Iterator[Fact]:
    """Yield an order that is not paid: that one was is told by `order.paid` and by nothing else."""
    if values["status"] not in _PAID_ORDERS:
        yield from _order(values, at, product, offers, paid_at=at)


def _order(values: Values, at: float, product: Product, offers: Offers, *, paid_at: float) -> Iterator[Fact]:
    if not _ours(values, product):
        return
    metadata, reason = values.get("metadata") or {}, values["billing_reason"]
    lines = tuple(_lines(values, product, offers)) if reason in _PLAN_REASONS else ()
    status = _order_status(values)
    yield PaymentFact(
        id=values["id"],
        at=at,
        customer_id=values["customer_id"],
        account_id=_account(values),
        kind=_kind(reason, metadata),
        status=status,
        cents=max(0, int(values["total_amount"])),
        currency=values["currency"],
        title=_title(lines, product, values),
        paid_at=paid_at if status == "paid" else None,
        lines=lines,
        credits=_whole(metadata.get(CREDITS)) if reason == "purchase" else 0,
        subscription_id=values.get("subscription_id"),
    )


def _kind(reason: str, metadata: Values) -> PaymentKind:
    if reason in _PLAN_REASONS:
        return "plan"
    if reason != "purchase":
        return "other"
    return _KINDS.get(metadata.get(KIND), "top_up")


def _lines(order: Values, product: Product, offers: Offers) -> list[Line]:
    """Return what an order paid for; nothing where a part can't be read, so that a person looks at it."""
    lines = []
    for item in order["items"]:
        offer = offers.get(item.get("product_price_id") or order["product_id"] or "")
        if offer is None or offer.plan not in product.plans:
            return []
        start, end = _stretch(item, order, offer)
        given_back = item["amount"] < 0 or (item["proration"] and offer.product_id != order["product_id"])
        prorated = bool(item["proration"])
        line = Line(
            id=item["id"],
            plan=offer.plan,
            credits_month=product.plans[offer.plan].credits_month,
            start=start,
            end=end,
            sign=-1 if given_back else 1,
            prorated=prorated,
            fraction=min(1.0, abs(item["amount"]) / offer.cents) if prorated and offer.cents else None,
        )
        lines += [line] if end > start else []
    return lines


def _stretch(item: Values, order: Values, offer: Offer) -> tuple[float, float]:
    """Return for which time an item pays: as it says, or else from its order to the end of the period."""
    if item.get("start_timestamp") and item.get("end_timestamp"):
        return _at(item["start_timestamp"]), _at(item["end_timestamp"])
    start, held = _at(order["created_at"]), order.get("subscription") or {}
    if item["proration"] and held:
        return start, _at(held["current_period_end"])
    anchor, step = _at(held.get("started_at") or order["created_at"]), MONTHS_A_YEAR if offer.interval == "year" else 1
    ends = (month_after(anchor, number * step) for number in itertools.count(1))
    return start, next(end for end in ends if end > start + DAY_S)


def _title(lines: tuple[Line, ...], product: Product, order: Values) -> str:
    paid = [line for line in lines if line.sign > 0]
    if not paid:
        return str((order.get("metadata") or {}).get(TITLE) or order.get("description") or "Order")
    plan = product.plans[max(paid, key=lambda line: line.end).plan].title
    return f"{plan} plan: change of plan" if any(line.sign < 0 for line in lines) else f"{plan} plan"


def _order_status(values: Values) -> PaymentStatus:
    if values["status"] in _PAID_ORDERS:
        return "paid"
    return "failed" if values["status"] == "void" or values.get("next_payment_attempt_at") else "open"


def _ours(values: Values, product: Product) -> bool:
    parts = (values, values.get("subscription") or {}, values.get("product") or {})
    return any((part.get("metadata") or {}).get(PRODUCT) == product.name for part in parts)


def _account(values: Values) -> str | None:
    """Return whom something is for: who opened the page, and only then whom Polar takes it to be."""
    for part in (values, values.get("subscription") or {}):
        if (part.get("metadata") or {}).get(ACCOUNT):
            return str(part["metadata"][ACCOUNT])
    return (values.get("customer") or {}).get("external_id")


def _ends(values: Values) -> float | None:
    if values.get("cancel_at_period_end"):
        return _at(values["current_period_end"])
    return _moment(values.get("ends_at"))


def _with_tax(values: Values) -> int:
    return int(values["amount"] + values["tax_amount"])


def _interval(name: str) -> Interval:
    return "year" if name == "year" else "month"


def _at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _moment(text: str | None) -> float | None:
    return None if text is None else _at(text)


def _whole(value: Any) -> int:
    text = str(value or "")
    return int(text) if text.isascii() and text.isdecimal() else 0


_Reader = Callable[[Values, float, Product, Offers], Iterator[Fact]]
_SUBSCRIPTIONS = (
    *("created", "active", "updated", "cycled", "canceled", "uncanceled"),
    *("past_due", "paused", "resumed", "revoked"),
)
_READERS: Mapping[str, _Reader] = {
    **{f"subscription.{what}": of_subscription for what in _SUBSCRIPTIONS},
    "order.created": _not_paid,
    "order.updated": _not_paid,
    "order.paid": _paid,
    "refund.created": of_refund,
    "refund.updated": of_refund,
}
EVENTS = tuple(_READERS)
"""The kinds of event that Polar has to send, for the documentation and for the set-up of a webhook."""
