"""What Polar's objects look like over the wire: every field that its own library insists on."""

from datetime import UTC, datetime
from typing import Any

Values = dict[str, Any]
ORGANISATION = "5b5c9d2c-3c7c-4c37-9c1b-000000000001"
CLOCK_FIELDS = ("created_at", "modified_at")


def stamp(at: float) -> str:
    """Return seconds since 1970 UTC as Polar writes moments."""
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def base(name: str, at: float) -> Values:
    """Return what every object has."""
    return {"id": name, "created_at": stamp(at), "modified_at": None}


def customer(wanted: Values) -> Values:
    """Return the fields of a customer."""
    return {
        "metadata": wanted.get("metadata", {}),
        "external_id": wanted.get("external_id"),
        "email": wanted["email"],
        "email_verified": False,
        "type": "individual",
        "name": None,
        "billing_name": None,
        "billing_address": None,
        "tax_id": None,
        "locale": None,
        "organization_id": ORGANISATION,
        "default_payment_method_id": None,
        "deleted_at": None,
        "first_user_event_at": None,
        "avatar_url": None,
    }


def product(wanted: Values) -> Values:
    """Return the fields of a product, but for its prices."""
    interval = wanted.get("recurring_interval")
    return {
        "trial_interval": None,
        "trial_interval_count": None,
        "name": wanted["name"],
        "description": None,
        "visibility": wanted.get("visibility", "public"),
        "recurring_interval": interval,
        "recurring_interval_count": 1 if interval else None,
        "meter_interval": None,
        "meter_interval_count": None,
        "is_recurring": interval is not None,
        "is_archived": False,
        "organization_id": ORGANISATION,
        "metadata": wanted.get("metadata", {}),
        "is_deletable": True,
        "prices": [],
        "benefits": [],
        "medias": [],
        "attached_custom_fields": [],
    }


def price(wanted: Values, product_id: str, source: str) -> Values:
    """Return the fields of a price."""
    fields = {
        "source": source,
        "amount_type": wanted["amount_type"],
        "price_currency": wanted.get("price_currency", "usd"),
        "tax_behavior": None,
        "is_archived": False,
        "product_id": product_id,
    }
    if wanted["amount_type"] == "fixed":
        return {**fields, "price_amount": wanted["price_amount"]}
    return {**fields, "minimum_amount": 50, "maximum_amount": None, "preset_amount": None}


def checkout(wanted: Values, sold: Values, cost: Values, buyer: Values, expires_at: float) -> Values:
    """Return the fields of a checkout page for one product."""
    amount = cost.get("price_amount", 0)
    shown = {key: value for key, value in sold.items() if key not in {"metadata", "is_deletable"}}
    nothing = ("discount_id", "subscription_id", "trial_end", "trial_interval", "trial_interval_count", "units")
    unknown = ("customer_name", "customer_ip_address", "customer_billing_name", "customer_billing_address", "discount")
    others = ("customer_tax_id", "payment_method_type", "embed_origin", "tax_amount", "tax_behavior", "allow_trial")
    trial = ("active_trial_interval", "active_trial_interval_count", "min_units", "max_units")
    fields: Values = dict.fromkeys((*nothing, *unknown, *others, *trial))
    address = dict.fromkeys(("country", "state", "city", "postal_code", "line1", "line2"), "optional")
    flags = dict.fromkeys(
        ("require_billing_address", "is_free_product_price", "is_payment_setup_required", "is_business_customer"), False
    )
    yes = dict.fromkeys(("is_discount_applicable", "is_payment_required", "is_payment_form_required"), True)
    return {
        **fields,
        **flags,
        **yes,
        "payment_processor": "stripe",
        "status": "open",
        "expires_at": stamp(expires_at),
        "success_url": wanted["success_url"],
        "return_url": wanted.get("return_url"),
        "amount": amount,
        "discount_amount": 0,
        "net_amount": amount,
        "total_amount": amount,
        "currency": "usd",
        "organization_id": ORGANISATION,
        "product_id": sold["id"],
        "product_price_id": cost["id"],
        "allow_discount_codes": wanted.get("allow_discount_codes", True),
        "customer_id": buyer["id"],
        "customer_email": buyer["email"],
        "payment_processor_metadata": {},
        "billing_address_fields": address,
        "metadata": wanted.get("metadata", {}),
        "external_customer_id": buyer["external_id"],
        "products": [shown],
        "product": shown,
        "product_price": cost,
        "prices": {sold["id"]: [cost]},
        "attached_custom_fields": [],
        "customer_metadata": {},
    }


def subscription(buyer: Values, sold: Values, metadata: Values, start: float, end: float) -> Values:
    """Return the fields of a subscription that has just begun."""
    unset = ("trial_start", "trial_end", "canceled_at", "ends_at", "ended_at", "past_due_at", "paused_at", "resumes_at")
    other = ("current_meter_period_start", "current_meter_period_end", "discount_id", "discount", "checkout_id")
    reasons = ("customer_cancellation_reason", "customer_cancellation_comment", "units", "pending_update")
    return {
        **dict.fromkeys((*unset, *other, *reasons)),
        "amount": sold["prices"][0]["price_amount"],
        "currency": "usd",
        "recurring_interval": sold["recurring_interval"],
        "recurring_interval_count": 1,
        "status": "active",
        "current_period_start": stamp(start),
        "current_period_end": stamp(end),
        "cancel_at_period_end": False,
        "started_at": stamp(start),
        "pause_at_period_end": False,
        "customer_id": buyer["id"],
        "product_id": sold["id"],
        "metadata": metadata,
        "customer": buyer,
        "product": sold,
        "prices": sold["prices"],
        "meters": [],
    }


def item(label: str, amount: int, price_id: str, times: tuple[str, str] | None, *, proration: bool) -> Values:
    """Return the fields of an order's item."""
    start, end = times or (None, None)
    return {
        "label": label,
        "amount": amount,
        "tax_amount": 0,
        "proration": proration,
        "product_price_id": price_id,
        "start_timestamp": start,
        "end_timestamp": end,
    }


def order(reason: str, buyer: Values, sold: Values, metadata: Values, items: list[Values]) -> Values:
    """Return the fields of an order that is not paid."""
    total = sum(each["amount"] for each in items)
    unset = ("billing_name", "billing_address", "receipt_number", "units", "discount_id", "subscription_id")
    others = ("checkout_id", "next_payment_attempt_at", "platform_fee_currency", "discount", "subscription")
    kept = {key: value for key, value in sold.items() if key not in _NOT_IN_ORDERS}
    return {
        **dict.fromkeys((*unset, *others)),
        "status": "pending",
        "paid": False,
        "subtotal_amount": total,
        "discount_amount": 0,
        "net_amount": total,
        "tax_amount": 0,
        "total_amount": total,
        "applied_balance_amount": 0,
        "due_amount": max(0, total),
        "refunded_amount": 0,
        "refunded_tax_amount": 0,
        "currency": "usd",
        "billing_reason": reason,
        "invoice_number": None,
        "is_invoice_generated": False,
        "customer_id": buyer["id"],
        "product_id": sold["id"],
        "metadata": metadata,
        "platform_fee_amount": 0,
        "customer": buyer,
        "product": kept,
        "items": items,
        "description": sold["name"],
        "refundable_amount": max(0, total),
        "refundable_tax_amount": 0,
    }


_NOT_IN_ORDERS = frozenset({"prices", "benefits", "medias", "attached_custom_fields", "is_deletable"})
_NOT_IN_ORDER_SUBSCRIPTIONS = frozenset({"customer", "product", "prices", "meters", "pending_update", "discount"})


def in_order(held: Values) -> Values:
    """Return a subscription as orders show it."""
    return {key: value for key, value in held.items() if key not in _NOT_IN_ORDER_SUBSCRIPTIONS}


def refund(paid: Values, amount: int, status: str) -> Values:
    """Return the fields of a refund."""
    return {
        "metadata": {},
        "status": status,
        "reason": "customer_request",
        "amount": amount,
        "tax_amount": 0,
        "currency": "usd",
        "organization_id": ORGANISATION,
        "order_id": paid["id"],
        "subscription_id": paid["subscription_id"],
        "customer_id": paid["customer_id"],
        "revoke_benefits": False,
        "dispute": None,
    }


def dispute(paid: Values) -> Values:
    """Return the fields of a dispute over all of an order."""
    return {
        "status": "needs_response",
        "resolved": False,
        "closed": False,
        "amount": paid["total_amount"],
        "tax_amount": 0,
        "currency": "usd",
        "reason": "fraudulent",
        "evidence_due_by": None,
        "past_due": False,
        "order_id": paid["id"],
        "payment_id": paid["id"],
        "customer": paid["customer"],
        "case_id": None,
    }
