"""Reads what Stripe tells of itself: its objects become facts. Pure.

Only what stands in an object is used: a webhook is answered without asking Stripe anything. Objects of another product
on the same Stripe account carry another name in their metadata, or none of ours, and say nothing to us.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from penstock.billing.payments import (
    Fact,
    Interval,
    Line,
    PaymentFact,
    PaymentKind,
    PaymentStatus,
    ReferenceFact,
    ReversalFact,
    SubscriptionFact,
    SubscriptionStatus,
)
from penstock.product.schema import Product

Values = dict[str, Any]
PRODUCT, ACCOUNT, KIND, CREDITS = "penstock_product", "penstock_account", "penstock_kind", "penstock_credits"
_KINDS: dict[Any, PaymentKind] = {"deposit": "deposit", "donation": "donation"}
TITLE = "penstock_title"
_PLAN_REASONS = frozenset({"subscription_create", "subscription_cycle", "subscription_update"})
_PAID_SESSIONS = frozenset({"paid", "no_payment_required"})
_VOID_REFUNDS = frozenset({"failed", "canceled"})
_DISPUTES_WITHOUT_LOSS = frozenset({"won", "warning_needs_response", "warning_under_review", "warning_closed"})
_STATUSES: Mapping[str, SubscriptionStatus] = {
    "incomplete": "pending",
    "incomplete_expired": "never_began",
    "trialing": "active",
    "active": "active",
    "past_due": "past_due",
    "unpaid": "unpaid",
    "paused": "paused",
    "canceled": "ended",
}


def product_id(product: Product, plan: str) -> str:
    """Return the id that a plan has among Stripe's products: ours to choose, so nothing needs to be looked up."""
    return f"penstock_{product.name}_{plan}"


def facts(kind: str, values: Values, at: float, product: Product) -> tuple[Fact, ...]:
    """Return what an event of a kind says; nothing for kinds that don't matter, and for other people's objects."""
    read = _READERS.get(kind)
    return () if read is None else tuple(read(values, at, product))


def of_subscription(values: Values, at: float, product: Product) -> Iterator[Fact]:
    """Yield a subscription."""
    metadata = values.get("metadata") or {}
    if metadata.get(PRODUCT, product.name) != product.name:
        return
    item = values["items"]["data"][0]
    price = item["price"]
    yield SubscriptionFact(
        id=values["id"],
        at=at,
        customer_id=_id(values["customer"]),
        account_id=metadata.get(ACCOUNT),
        plan=_plan(_id(price.get("product")), product),
        interval=_interval(price),
        status=_status(values),
        started_at=float(values.get("start_date") or values["created"]),
        period_start=float(item["current_period_start"]),
        period_end=float(item["current_period_end"]),
        item_id=item["id"],
        cancel_at=_ends(values, item),
        ended_at=_moment(values.get("ended_at")),
    )


def of_invoice(values: Values, at: float, product: Product) -> Iterator[Fact]:
    """Yield an invoice: the one thing by which a plan is paid, and so by which its credits come."""
    details = ((values.get("parent") or {}).get("subscription_details")) or {}
    metadata = details.get("metadata") or values.get("metadata") or {}
    if metadata.get(PRODUCT, product.name) != product.name:
        return
    of_plan = values.get("billing_reason") in _PLAN_REASONS
    lines = tuple(_lines(values["lines"]["data"], product)) if of_plan else ()
    kind: PaymentKind = "plan" if of_plan else "other"
    transitions = values.get("status_transitions") or {}
    paid_at = _moment(transitions.get("paid_at"))
    yield PaymentFact(
        id=values["id"],
        at=at,
        customer_id=_id(values["customer"]),
        account_id=metadata.get(ACCOUNT),
        kind=kind,
        status=_invoice_status(values),
        cents=int(values["amount_paid"] if values.get("status") == "paid" else values["amount_due"]),
        currency=values["currency"],
        title=_title(lines, product, values),
        paid_at=at if paid_at is None and values.get("status") == "paid" else paid_at,
        lines=lines,
        subscription_id=None if not details.get("subscription") else _id(details["subscription"]),
        url=values.get("hosted_invoice_url"),
    )
    for payment in (values.get("payments") or {}).get("data", ()):
        yield from of_invoice_payment(payment, at, product)


def of_invoice_payment(values: Values, at: float, _: Product) -> Iterator[Fact]:
    """Yield under which name the money of an invoice moved: refunds and disputes name only that."""
    payment = values.get("payment") or {}
    for name in ("payment_intent", "charge"):
        if payment.get(name):
            yield ReferenceFact(_id(payment[name]), _id(values["invoice"]), at)


def of_session(values: Values, at: float, product: Product) -> Iterator[Fact]:
    """Yield a checkout of something bought once; that of a plan says nothing, since its invoice will."""
    metadata = values.get("metadata") or {}
    if values.get("mode") != "payment" or metadata.get(PRODUCT) != product.name:
        return
    kind: PaymentKind = _KINDS.get(metadata.get(KIND), "top_up")
    paid = values.get("payment_status") in _PAID_SESSIONS
    reference = values.get("payment_intent")
    yield PaymentFact(
        id=values["id"],
        at=at,
        customer_id=_id(values.get("customer") or ""),
        account_id=metadata.get(ACCOUNT),
        kind=kind,
        status="paid" if paid else "open",
        cents=int(values["amount_total"]),
        currency=values["currency"],
        title=metadata.get(TITLE) or "Credits",
        paid_at=at if paid else None,
        credits=_whole(metadata.get(CREDITS)),
        reference=None if reference is None else _id(reference),
    )


def of_refund(values: Values, at: float, _: Product) -> Iterator[Fact]:
    """Yield a refund; it counts unless it failed."""
    reference = values.get("payment_intent") or values.get("charge")
    if reference:
        counts = values.get("status") not in _VOID_REFUNDS
        yield ReversalFact(values["id"], at, _id(reference), "refund", int(values["amount"]), counts)


def of_dispute(values: Values, at: float, _: Product) -> Iterator[Fact]:
    """Yield a dispute; it counts until it is won, since the money is gone from the day on which it opens."""
    reference = values.get("payment_intent") or values.get("charge")
    if reference:
        counts = values.get("status") not in _DISPUTES_WITHOUT_LOSS
        yield ReversalFact(values["id"], at, _id(reference), "dispute", int(values["amount"]), counts)


def _failed_session(values: Values, at: float, product: Product) -> Iterator[Fact]:
    yield from of_session({**values, "payment_status": "unpaid"}, at, product)


def _lines(entries: list[Values], product: Product) -> Iterator[Line]:
    for entry in entries:
        pricing = entry.get("pricing") or {}
        plan = _plan(_id((pricing.get("price_details") or {}).get("product")), product)
        period = entry["period"]
        if plan is None or period["end"] <= period["start"]:
            continue
        parent = entry.get("parent") or {}
        details = parent.get("subscription_item_details") or parent.get("invoice_item_details") or {}
        unit = float(pricing.get("unit_amount_decimal") or 0)
        prorated = bool(details.get("proration"))
        yield Line(
            id=entry["id"],
            plan=plan,
            credits_month=product.plans[plan].credits_month,
            start=float(period["start"]),
            end=float(period["end"]),
            sign=-1 if entry["amount"] < 0 else 1,
            prorated=prorated,
            fraction=min(1.0, abs(entry["amount"]) / unit) if prorated and unit > 0 else None,
        )


def _title(lines: tuple[Line, ...], product: Product, values: Values) -> str:
    paid = [line for line in lines if line.sign > 0]
    if not paid:
        return values.get("description") or "Invoice"
    plan = product.plans[max(paid, key=lambda line: line.end).plan].title
    return f"{plan} plan: change of plan" if any(line.sign < 0 for line in lines) else f"{plan} plan"


def _plan(found: str, product: Product) -> str | None:
    return next((plan for plan in product.plans if product_id(product, plan) == found), None)


def _interval(price: Values) -> Interval:
    return "year" if (price.get("recurring") or {}).get("interval") == "year" else "month"


def _status(values: Values) -> SubscriptionStatus:
    status = _STATUSES.get(values["status"], "unpaid")
    return "paused" if status == "active" and values.get("pause_collection") else status


def _invoice_status(values: Values) -> PaymentStatus:
    if values.get("status") == "paid":
        return "paid"
    return "failed" if values.get("attempted") else "open"


def _ends(values: Values, item: Values) -> float | None:
    if values.get("cancel_at_period_end"):
        return float(item["current_period_end"])
    return _moment(values.get("cancel_at"))


def _moment(value: float | None) -> float | None:
    return None if value is None else float(value)


def _whole(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdecimal() else 0


def _id(value: Any) -> str:
    """Return the id of what may be given by its id or in full."""
    return str(value["id"]) if isinstance(value, dict) else str(value or "")


_Reader = Callable[[Values, float, Product], Iterator[Fact]]
_READERS: Mapping[str, _Reader] = {
    **{f"customer.subscription.{what}": of_subscription for what in ("created", "updated", "deleted", "paused")},
    "customer.subscription.resumed": of_subscription,
    "invoice.paid": of_invoice,
    "invoice.payment_failed": of_invoice,
    "invoice_payment.paid": of_invoice_payment,
    "checkout.session.completed": of_session,
    "checkout.session.async_payment_succeeded": of_session,
    "checkout.session.async_payment_failed": _failed_session,
    **{f"refund.{what}": of_refund for what in ("created", "updated", "failed")},
    **{f"charge.dispute.{what}": of_dispute for what in ("created", "updated", "closed", "funds_reinstated")},
}
EVENTS = tuple(_READERS)
"""The kinds of event that Stripe has to send, for the documentation and for the set-up of a webhook."""
