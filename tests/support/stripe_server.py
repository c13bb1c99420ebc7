"""A stand-in for Stripe that speaks its wire format: form-encoded calls in, objects and signed webhooks out.

It keeps customers, products, prices, checkout sessions, subscriptions, invoices, refunds and disputes, replays answers
by idempotency key, and lives by a clock that the test moves. What people do at Stripe (pay, fail to pay, dispute) is a
method. Each thing that happens leaves an event; the test decides when, how often and in which order those arrive.

It is an ASGI application, and it is checked with Stripe's own client library in tests/contracts/test_stripe_peer.py.
"""

import hashlib
import hmac
import itertools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from penstock.billing.calendar import month_after
from penstock.kit.clock import ManualClock

Values = dict[str, Any]
KEY = "sk_test_stand_in"
SECRET = "whsec_stand_in"


class RefusalError(Exception):
    """What the server says no to."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.code = status, code


@dataclass(frozen=True)
class Delivery:
    """A webhook on its way."""

    headers: dict[str, str]
    body: bytes


class StripeServer:
    """One account at Stripe.

    Args:
        clock: its time, in seconds since 1970 UTC.
    """

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.things: dict[str, dict[str, Values]] = {}
        self.events: list[Values] = []
        self.calls: list[tuple[str, str]] = []
        self.lose_answers = 0
        """So many changes are made, and then nothing is answered."""
        self.broken_answers = 0
        """So many calls are answered 500 without anything being done."""
        self.without_money: set[str] = set()
        """Customers whose card is declined."""
        self._answers: dict[str, tuple[str, int, Values]] = {}
        self._numbers: dict[str, Iterator[int]] = {}

    # The wire

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call."""
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        query = scope.get("query_string", b"").decode()
        status, values = self.answer(scope["method"], scope["path"], headers, body.decode() or query)
        if scope["method"] != "GET" and self.lose_answers:
            self.lose_answers -= 1
            raise ConnectionResetError("the answer is lost")
        content = json.dumps(values).encode()
        date = formatdate(self.clock.now(), usegmt=True)
        answered = [(b"content-type", b"application/json"), (b"date", date.encode()), (b"request-id", b"req_1")]
        await send({"type": "http.response.start", "status": status, "headers": answered})
        await send({"type": "http.response.body", "body": content})

    def answer(self, method: str, path: str, headers: dict[str, str], text: str) -> tuple[int, Values]:
        """Return status and body for a call."""
        self.calls.append((method, path))
        if self.broken_answers:
            self.broken_answers -= 1
            return 500, {"error": {"type": "api_error", "message": "broken"}}
        if headers.get("authorization") != f"Bearer {KEY}":
            return 401, {"error": {"type": "invalid_request_error", "message": "Invalid API Key provided"}}
        key = headers.get("idempotency-key") if method == "POST" else None
        if key is not None and key in self._answers:
            known, status, values = self._answers[key]
            if known != f"{path} {text}":
                message = "Keys for idempotent requests can only be used with the same parameters"
                return 400, {"error": {"type": "idempotency_error", "message": message}}
            return status, values
        try:
            status, values = 200, self._call(method, path, read_form(text))
        except RefusalError as refusal:
            error = {"type": "invalid_request_error", "code": refusal.code, "message": str(refusal)}
            status, values = refusal.status, {"error": error}
        if key is not None:
            self._answers[key] = (f"{path} {text}", status, json.loads(json.dumps(values)))
        return status, values

    def _call(self, method: str, path: str, values: Values) -> Values:
        for pattern, action in self._routes().get(method, {}).items():
            if found := re.fullmatch(pattern, path):
                return action(values, *found.groups())
        raise RefusalError(404, f"Unrecognized request URL ({method}: {path})")

    def _routes(self) -> dict[str, dict[str, Callable[..., Values]]]:
        lists = "customers|prices|subscriptions|invoices|refunds|disputes|checkout/sessions|events"
        return {
            "GET": {rf"/v1/({lists})": self._list, r"/v1/(subscriptions|customers|invoices)/(\w+)": self._get},
            "POST": {
                r"/v1/customers": self._make_customer,
                r"/v1/products": self._make_product,
                r"/v1/prices": self._make_price,
                r"/v1/checkout/sessions": self._make_session,
                r"/v1/billing_portal/sessions": self._make_portal,
                r"/v1/subscriptions/(\w+)": self._change_subscription,
                r"/v1/refunds": self._make_refund,
            },
        }

    def _list(self, values: Values, kind: str) -> Values:
        found = list(reversed(self._all(kind).values()))
        if "lookup_keys" in values:
            found = [entry for entry in found if entry["lookup_key"] in values["lookup_keys"]]
        if isinstance(values.get("created"), dict):
            found = [entry for entry in found if entry["created"] >= int(values["created"]["gte"])]
        if "starting_after" in values:
            ids = [entry["id"] for entry in found]
            found = found[ids.index(values["starting_after"]) + 1 :]
        limit = int(values.get("limit", 10))
        if kind == "invoices" and "data.payments" in values.get("expand", []):
            found = [{**entry, "payments": self._payments_of(entry)} for entry in found]
        return {"object": "list", "url": f"/v1/{kind}", "has_more": len(found) > limit, "data": found[:limit]}

    def _get(self, values: Values, kind: str, name: str) -> Values:
        return self._thing(kind, name)

    def _make_customer(self, values: Values) -> Values:
        fields = {"email": values.get("email"), "metadata": values.get("metadata", {})}
        return self._new("customers", "cus", "customer", fields)

    def _make_product(self, values: Values) -> Values:
        if values["id"] in self._all("products"):
            raise RefusalError(400, f"Product already exists: {values['id']}", "resource_already_exists")
        return self._new("products", "prod", "product", {"name": values["name"]}, values["id"])

    def _make_price(self, values: Values) -> Values:
        self._thing("products", values["product"])
        if any(price["lookup_key"] == values["lookup_key"] for price in self._all("prices").values()):
            raise RefusalError(400, "A price already uses that lookup key.")
        recurring = {"interval": values["recurring"]["interval"], "interval_count": 1}
        fields = {
            "active": True,
            "currency": values["currency"],
            "lookup_key": values["lookup_key"],
            "product": values["product"],
            "recurring": recurring,
            "type": "recurring",
            "unit_amount": int(values["unit_amount"]),
        }
        return self._new("prices", "price", "price", fields)

    def _make_session(self, values: Values) -> Values:
        self._thing("customers", values["customer"])
        item = values["line_items"][0]
        amount = self._unit(item["price"]) if "price" in item else int(item["price_data"]["unit_amount"])
        fields = {
            "amount_total": amount,
            "currency": "usd",
            "customer": values["customer"],
            "client_reference_id": values.get("client_reference_id"),
            "metadata": values.get("metadata", {}),
            "mode": values["mode"],
            "payment_intent": None,
            "payment_status": "unpaid",
            "status": "open",
            "subscription": None,
            "success_url": values["success_url"],
            "_wanted": values,
        }
        made = self._new("checkout/sessions", "cs_test", "checkout.session", fields)
        made["url"] = f"https://checkout.stripe.com/c/pay/{made['id']}"
        return _shown(made)

    def _make_portal(self, values: Values) -> Values:
        self._thing("customers", values["customer"])
        fields = {"customer": values["customer"], "return_url": values["return_url"]}
        made = self._new("portals", "bps", "billing_portal.session", fields)
        return {**made, "url": f"https://billing.stripe.com/p/session/{made['id']}"}

    def _change_subscription(self, values: Values, name: str) -> Values:
        held = self._thing("subscriptions", name)
        if held["status"] == "canceled":
            raise RefusalError(400, "A canceled subscription can only update its cancellation_details and metadata.")
        if "cancel_at_period_end" in values:
            held["cancel_at_period_end"] = values["cancel_at_period_end"] == "true"
        if "items" in values:
            self._change_price(held, values)
        self._say("customer.subscription.updated", held)
        return json.loads(json.dumps(held))  # type: ignore[no-any-return]

    def _change_price(self, held: Values, values: Values) -> None:
        item, new = held["items"]["data"][0], self._thing("prices", values["items"][0]["price"])
        assert values["items"][0]["id"] == item["id"]
        old, now = item["price"], self._now()
        if values["proration_behavior"] != "always_invoice":
            item["price"] = new
            return
        assert values["payment_behavior"] == "pending_if_incomplete"
        if held["customer"] in self.without_money:
            held["pending_update"] = {"subscription_items": [{"price": new}]}
            return
        length = item["current_period_end"] - item["current_period_start"]
        left = (item["current_period_end"] - now) / length
        if old["recurring"] == new["recurring"]:
            end = item["current_period_end"]
            lines = [self._line(old, now, end, -round(left * old["unit_amount"]), prorated=True)]
            lines += [self._line(new, now, end, round(left * new["unit_amount"]), prorated=True)]
        else:
            item["current_period_start"], item["current_period_end"] = now, self._period_end(now, now, new)
            held["billing_cycle_anchor"] = now
            lines = [self._line(old, now, now + round(left * length), -round(left * old["unit_amount"]), prorated=True)]
            lines += [self._line(new, now, item["current_period_end"], new["unit_amount"])]
        item["price"] = new
        self._bill(held, "subscription_update", lines)

    def _make_refund(self, values: Values) -> Values:
        return self.refund(values["payment_intent"], int(values["amount"]) if "amount" in values else None)

    # What people do at Stripe

    def pay(self, session_id: str, *, later: bool = False) -> Values:
        """Pay on a checkout page; `later`: by a way that takes days (`money_came` ends it)."""
        session = self._thing("checkout/sessions", session_id.rpartition("/")[2])
        assert session["status"] == "open", "a page is paid once"
        session["status"] = "complete"
        wanted = session["_wanted"]
        if session["mode"] == "subscription":
            price = self._thing("prices", wanted["line_items"][0]["price"])
            metadata = wanted.get("subscription_data", {}).get("metadata", {})
            session["subscription"] = self._subscribe(session["customer"], price, metadata)["id"]
            session["payment_status"] = "paid"
        else:
            session["payment_intent"] = self._next("pi")
            session["payment_status"] = "unpaid" if later else "paid"
        self._say("checkout.session.completed", session)
        return session

    def money_came(self, session: Values) -> None:
        """End a payment that took days."""
        session["payment_status"] = "paid"
        self._say("checkout.session.async_payment_succeeded", session)

    def money_did_not_come(self, session: Values) -> None:
        """The same, without money."""
        self._say("checkout.session.async_payment_failed", session)

    def refund(self, payment_intent: str, amount: int | None = None, status: str = "succeeded") -> Values:
        """Give money back: all of it without an amount (in cents)."""
        total = self._paid_by(payment_intent)
        fields = {
            "amount": total if amount is None else amount,
            "currency": "usd",
            "payment_intent": payment_intent,
            "charge": payment_intent.replace("pi", "ch"),
            "status": status,
            "metadata": {},
        }
        made = self._new("refunds", "re", "refund", fields)
        self._say("refund.created", made)
        return made

    def refund_fails(self, refund: Values) -> None:
        """The money of a refund comes back."""
        refund["status"] = "failed"
        self._say("refund.failed", refund)

    def dispute(self, payment_intent: str) -> Values:
        """A customer's bank takes the money back."""
        fields = {
            "amount": self._paid_by(payment_intent),
            "currency": "usd",
            "payment_intent": payment_intent,
            "charge": payment_intent.replace("pi", "ch"),
            "reason": "fraudulent",
            "status": "needs_response",
        }
        made = self._new("disputes", "du", "dispute", fields)
        self._say("charge.dispute.created", made)
        return made

    def close_dispute(self, dispute: Values, status: str) -> None:
        """End a dispute: `won` or `lost`."""
        dispute["status"] = status
        self._say("charge.dispute.closed", dispute)

    def pause(self, subscription: Values) -> None:
        """Stop collecting."""
        subscription["pause_collection"] = {"behavior": "void", "resumes_at": None}
        self._say("customer.subscription.updated", subscription)

    def unpause(self, subscription: Values) -> None:
        """Collect again."""
        subscription["pause_collection"] = None
        self._say("customer.subscription.updated", subscription)

    def end(self, subscription: Values) -> None:
        """End a subscription now."""
        subscription["status"], subscription["ended_at"] = "canceled", self._now()
        self._say("customer.subscription.deleted", subscription)

    def pay_late(self, invoice: Values) -> None:
        """An unpaid invoice is paid after all."""
        held = self._thing("subscriptions", invoice["parent"]["subscription_details"]["subscription"])
        self._collect(held, invoice)
        held["status"] = "active"
        self._say("customer.subscription.updated", held)

    def live_until(self, moment: float) -> None:
        """Let time pass up to a moment, with every renewal on the way."""
        while (due := self._next_due()) is not None and due["items"]["data"][0]["current_period_end"] <= moment:
            at = due["items"]["data"][0]["current_period_end"]
            self.clock.advance(max(0.0, at - self.clock.now()))
            self._renew(due)
        self.clock.advance(moment - self.clock.now())

    # Webhooks

    def delivery(self, event: Values, *, secret: str = SECRET, signed_at: float | None = None) -> Delivery:
        """Return an event as it is sent, signed now."""
        body = json.dumps(event).encode()
        at = int(self.clock.now() if signed_at is None else signed_at)
        digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
        return Delivery({"stripe-signature": f"t={at},v1={digest}", "content-type": "application/json"}, body)

    def event(self, kind: str, about: Values) -> Values:
        """Make an event of any kind, about anything, without remembering it."""
        return {
            "id": self._next("evt"),
            "object": "event",
            "api_version": "2026-10-28.endive",
            "created": self._now(),
            "data": {"object": json.loads(json.dumps(_shown(about)))},
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": kind,
        }

    def _say(self, kind: str, about: Values) -> None:
        made = self.event(kind, about)
        self.events.append(made)
        self._all("events")[made["id"]] = made

    # Its own life

    def _subscribe(self, customer: str, price: Values, metadata: Values) -> Values:
        now = self._now()
        item = {
            "id": self._next("si"),
            "object": "subscription_item",
            "current_period_start": now,
            "current_period_end": self._period_end(now, now, price),
            "price": price,
            "quantity": 1,
            "metadata": {},
        }
        fields = {
            "billing_cycle_anchor": now,
            "cancel_at": None,
            "cancel_at_period_end": False,
            "currency": "usd",
            "customer": customer,
            "ended_at": None,
            "items": {"object": "list", "data": [item]},
            "metadata": metadata,
            "pause_collection": None,
            "start_date": now,
            "status": "active",
        }
        held = self._new("subscriptions", "sub", "subscription", fields)
        self._say("customer.subscription.created", held)
        self._bill(held, "subscription_create", [self._period_line(item)])
        return held

    def _renew(self, held: Values) -> None:
        item = held["items"]["data"][0]
        if held["cancel_at_period_end"]:
            self.end(held)
            return
        if held["status"] == "past_due":  # its last period was never paid
            self.end(held)
            return
        start = item["current_period_end"]
        item["current_period_start"] = start
        item["current_period_end"] = self._period_end(held["billing_cycle_anchor"], start, item["price"])
        if held["pause_collection"] is not None:
            self._say("customer.subscription.updated", held)
            return
        paid = self._bill(held, "subscription_cycle", [self._period_line(item)])
        held["status"] = "active" if paid else "past_due"
        self._say("customer.subscription.updated", held)

    def _bill(self, held: Values, reason: str, lines: list[Values]) -> bool:
        """Make an invoice and collect it; returns whether it was paid."""
        total = max(0, sum(line["amount"] for line in lines))
        details = {"metadata": held["metadata"], "subscription": held["id"]}
        fields = {
            "amount_due": total,
            "amount_paid": 0,
            "attempted": False,
            "billing_reason": reason,
            "currency": "usd",
            "customer": held["customer"],
            "description": None,
            "hosted_invoice_url": None,
            "lines": {"object": "list", "data": lines, "has_more": False},
            "metadata": {},
            "parent": {"type": "subscription_details", "subscription_details": details},
            "status": "open",
            "status_transitions": {"paid_at": None},
        }
        invoice = self._new("invoices", "in", "invoice", fields)
        invoice["hosted_invoice_url"] = f"https://invoice.stripe.com/i/{invoice['id']}"
        invoice["attempted"] = True
        if held["customer"] in self.without_money:
            self._say("invoice.payment_failed", invoice)
            return False
        self._collect(held, invoice)
        return True

    def _collect(self, held: Values, invoice: Values) -> None:
        now = self._now()
        invoice["status"], invoice["amount_paid"] = "paid", invoice["amount_due"]
        invoice["status_transitions"]["paid_at"] = now
        self._say("invoice.paid", invoice)
        fields = {
            "amount_paid": invoice["amount_paid"],
            "invoice": invoice["id"],
            "payment": {"type": "payment_intent", "payment_intent": self._next("pi")},
            "status": "paid",
        }
        self._say("invoice_payment.paid", self._new("invoice_payments", "inpay", "invoice_payment", fields))

    def _payments_of(self, invoice: Values) -> Values:
        own = [each for each in self._all("invoice_payments").values() if each["invoice"] == invoice["id"]]
        return {"object": "list", "data": own, "has_more": False}

    def _period_line(self, item: Values) -> Values:
        price = item["price"]
        return self._line(price, item["current_period_start"], item["current_period_end"], price["unit_amount"])

    def _line(self, price: Values, start: int, end: int, amount: int, *, prorated: bool = False) -> Values:
        details = {"proration": prorated, "subscription_item": "si_1", "subscription": "sub_1"}
        return {
            "id": self._next("il"),
            "object": "line_item",
            "amount": amount,
            "currency": "usd",
            "parent": {"type": "subscription_item_details", "subscription_item_details": details},
            "period": {"start": start, "end": end},
            "pricing": {
                "type": "price_details",
                "price_details": {"price": price["id"], "product": price["product"]},
                "unit_amount_decimal": str(price["unit_amount"]),
            },
            "quantity": 1,
        }

    def _period_end(self, anchor: int, start: int, price: Values) -> int:
        """Return the end of a period that starts at `start`: always counted from the anchor, as Stripe does."""
        step = 12 if price["recurring"]["interval"] == "year" else 1
        return next(int(end) for n in itertools.count(1) if (end := month_after(anchor, n * step)) > start)

    def _paid_by(self, payment_intent: str) -> int:
        for each in self._all("invoice_payments").values():
            if each["payment"]["payment_intent"] == payment_intent:
                return int(each["amount_paid"])
        found = (each for each in self._all("checkout/sessions").values() if each["payment_intent"] == payment_intent)
        return int(next(found)["amount_total"])

    def _next_due(self) -> Values | None:
        alive = [held for held in self._all("subscriptions").values() if held["status"] in {"active", "past_due"}]
        return min(alive, key=lambda held: held["items"]["data"][0]["current_period_end"], default=None)

    def _unit(self, price: str) -> int:
        return int(self._thing("prices", price)["unit_amount"])

    def _now(self) -> int:
        return int(self.clock.now())

    def _all(self, kind: str) -> dict[str, Values]:
        return self.things.setdefault(kind, {})

    def _thing(self, kind: str, name: str) -> Values:
        found = self._all(kind).get(name)
        if found is None:
            raise RefusalError(404, f"No such {kind.rstrip('s')}: '{name}'", "resource_missing")
        return found

    def _new(self, kind: str, prefix: str, thing: str, fields: Values, name: str | None = None) -> Values:
        made = {"id": name or self._next(prefix), "object": thing, "created": self._now(), "livemode": False, **fields}
        self._all(kind)[made["id"]] = made
        return made

    def _next(self, prefix: str) -> str:
        return f"{prefix}_{next(self._numbers.setdefault(prefix, itertools.count(1)))}"


def read_form(text: str) -> Values:
    """Return nested values from Stripe's form encoding."""
    found: Values = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        parts = [part.rstrip("]") for part in name.split("[")]
        inner = found
        for part in parts[:-1]:
            inner = inner.setdefault(part, {})
        inner[parts[-1]] = value
    listed = _lists(found)
    assert isinstance(listed, dict)
    return listed


def _lists(value: Any) -> Any:
    """Turn tables that are numbered from 0 into lists."""
    if not isinstance(value, dict):
        return value
    inner = {key: _lists(entry) for key, entry in value.items()}
    if inner and all(key.isdecimal() or key == "" for key in inner):
        return list(inner.values())
    return inner


def _shown(thing: Values) -> Values:
    """Return what a client sees: not our own notes."""
    return {key: value for key, value in thing.items() if not key.startswith("_")}
