"""A stand-in for Polar that speaks its wire format: JSON calls in, objects and signed webhooks out.

It keeps customers, products, checkout pages, subscriptions, orders, refunds and disputes and lives by a clock that the
test moves. As Polar, it remembers no requests: what is sent twice is done twice. What people do at Polar (pay, fail to
pay, pause) is a method. Each thing that happens leaves an event; the test decides when, how often and in which order
those arrive.

It is an ASGI application, and it is checked with Polar's own client library in tests/contracts/test_polar_peer.py.
What it does was read from that library and from Polar's documentation; nobody has compared it with Polar itself.
"""

import base64
import hashlib
import hmac
import itertools
import json
import re
import uuid
from collections.abc import Callable
from datetime import datetime
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl

import httpx2
from starlette.types import Receive, Scope, Send

from penstock.billing.calendar import month_after
from penstock.kit.clock import ManualClock
from tests.support import polar_objects as made
from tests.support.polar_objects import Values, in_order, stamp
from tests.support.stripe_server import Delivery, RefusalError

KEY = "polar_oat_stand_in"
SECRET = "whsec_" + base64.b64encode(b"the stand-in signs with this key").decode()
PAGE_TTL_S = 3_600.0


class PolarServer:
    """One organisation at Polar.

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
        self.tells_periods = True
        """Whether orders say for which time they pay."""
        self._numbers = itertools.count(1)

    # The wire

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call."""
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        query = dict(parse_qsl(scope.get("query_string", b"").decode()))
        values = json.loads(body) if body else query
        status, answer = self.answer(scope["method"], scope["path"], headers, values)
        if scope["method"] != "GET" and self.lose_answers:
            self.lose_answers -= 1
            raise httpx2.ReadError("the answer is lost")
        content = json.dumps(answer).encode()
        date = formatdate(self.clock.now(), usegmt=True)
        answered = [(b"content-type", b"application/json"), (b"date", date.encode())]
        await send({"type": "http.response.start", "status": status, "headers": answered})
        await send({"type": "http.response.body", "body": content})

    def answer(self, method: str, path: str, headers: dict[str, str], values: Values) -> tuple[int, Values]:
        """Return status and body for a call."""
        self.calls.append((method, path))
        if self.broken_answers:
            self.broken_answers -= 1
            return 500, {"error": "InternalServerError", "detail": "broken"}
        if headers.get("authorization") != f"Bearer {KEY}" or headers.get("polar-version") != "2026-10":
            return 401, {"error": "Unauthorized", "detail": "broken"}
        for pattern, action in self._routes().get(method, {}).items():
            if found := re.fullmatch(pattern, path):
                try:
                    return 200 if method != "POST" else 201, json.loads(json.dumps(action(values, *found.groups())))
                except RefusalError as refusal:
                    if refusal.status == 422:
                        return 422, {"detail": [{"loc": ["body"], "msg": str(refusal), "type": refusal.code}]}
                    return refusal.status, {"error": refusal.code, "detail": str(refusal)}
        return 404, {"error": "ResourceNotFound", "detail": "Not found"}

    def _routes(self) -> dict[str, dict[str, Callable[..., Values]]]:
        lists = "customers|products|checkouts|subscriptions|orders|refunds|disputes"
        return {
            "GET": {
                r"/v1/customers/external/([^/]+)": self._external,
                rf"/v1/({lists})/": self._list,
                rf"/v1/({lists})/([^/]+)": lambda _, kind, name: self._thing(kind, name),
            },
            "POST": {
                r"/v1/customers/": self._make_customer,
                r"/v1/products/": self._make_product,
                r"/v1/checkouts/": self._make_page,
                r"/v1/customer-sessions/": self._make_session,
                r"/v1/refunds/": lambda values: self.refund(values["order_id"], values["amount"]),
            },
            "PATCH": {r"/v1/subscriptions/([^/]+)": self._change},
        }

    def _list(self, values: Values, kind: str) -> Values:
        found = list(self._all(kind).values())
        if values.get("sorting", "-").startswith("-"):
            found.reverse()
        for field in ("customer_id", "status", "order_id"):
            if field in values:
                found = [entry for entry in found if entry[field] == values[field]]
        for name, value in values.items():
            if word := re.fullmatch(r"metadata\[(\w+)\]", name):
                found = [entry for entry in found if entry["metadata"].get(word[1]) == value]
        if "created_after" in values:
            after = datetime.fromisoformat(values["created_after"])
            found = [entry for entry in found if datetime.fromisoformat(entry["created_at"]) > after]
        size, page = int(values.get("limit", 10)), int(values.get("page", 1))
        pages = -(-len(found) // size)
        pagination = {"total_count": len(found), "max_page": pages}
        return {"items": found[(page - 1) * size : page * size], "pagination": pagination}

    def _external(self, _: Values, name: str) -> Values:
        found = [each for each in self._all("customers").values() if each["external_id"] == name]
        if not found:
            raise RefusalError(404, "Not found", "ResourceNotFound")
        return found[0]

    def _make_customer(self, values: Values) -> Values:
        for field in ("email", "external_id"):
            if any(each[field] == values[field] for each in self._all("customers").values()):
                raise RefusalError(422, f"A customer with this {field} already exists.", "value_error")
        return self._new("customers", made.customer(values))

    def _make_product(self, values: Values) -> Values:
        sold = self._new("products", made.product(values))
        sold["prices"] = [self._price(wanted, sold["id"], "catalog") for wanted in values["prices"]]
        return sold

    def _price(self, wanted: Values, product_id: str, source: str) -> Values:
        return self._new("prices", made.price(wanted, product_id, source))

    def _make_page(self, values: Values) -> Values:
        sold, buyer = self._thing("products", values["products"][0]), self._thing("customers", values["customer_id"])
        wanted = (values.get("prices") or {}).get(sold["id"])
        cost = self._price(wanted[0], sold["id"], "ad_hoc") if wanted else sold["prices"][0]
        page = self._new("checkouts", made.checkout(values, sold, cost, buyer, self.clock.now() + PAGE_TTL_S))
        page["client_secret"] = f"polar_c_{page['id']}"
        page["url"] = f"https://polar.sh/checkout/{page['client_secret']}"
        return page

    def _make_session(self, values: Values) -> Values:
        buyer = self._thing("customers", values["customer_id"])
        fields = {"token": "polar_cst_1", "expires_at": stamp(self.clock.now() + PAGE_TTL_S)}
        places = {"return_url": values.get("return_url"), "customer_portal_url": "https://polar.sh/portal?token=1"}
        return self._new("sessions", {**fields, **places, "customer_id": buyer["id"], "customer": buyer})

    def _change(self, values: Values, name: str) -> Values:
        held = self._thing("subscriptions", name)
        if held["status"] == "canceled":
            raise RefusalError(403, "This subscription is already canceled.", "AlreadyCanceledSubscription")
        if "cancel_at_period_end" in values:
            self._cancel(held, wanted=values["cancel_at_period_end"])
        elif "pending_update" in values:
            held["pending_update"] = None
            self._say("subscription.updated", held)
        else:
            self._change_product(held, self._thing("products", values["product_id"]), values["proration_behavior"])
        return held

    def _cancel(self, held: Values, *, wanted: bool) -> None:
        if held["cancel_at_period_end"] and wanted:
            raise RefusalError(403, "This subscription is already canceled.", "AlreadyCanceledSubscription")
        if not held["cancel_at_period_end"] and not wanted:
            raise RefusalError(409, "It is not scheduled to cancel.", "SubscriptionNotScheduledToCancel")
        held["cancel_at_period_end"] = wanted
        held["canceled_at"] = stamp(self.clock.now()) if wanted else None
        held["ends_at"] = held["current_period_end"] if wanted else None
        self._say("subscription.updated", held)
        self._say("subscription.canceled" if wanted else "subscription.uncanceled", held)

    def _change_product(self, held: Values, new: Values, behaviour: str) -> None:
        if behaviour == "next_period":
            update = {"applies_at": held["current_period_end"], "product_id": new["id"], "seats": None, "units": None}
            held["pending_update"] = self._new("updates", update)
            self._say("subscription.updated", held)
            return
        assert behaviour == "invoice"
        if held["customer_id"] in self.without_money:
            raise RefusalError(402, "Your card was declined.", "PaymentFailed")
        now, old = self.clock.now(), held["product"]
        start, end = _at(held["current_period_start"]), _at(held["current_period_end"])
        left = (end - now) / (end - start)
        back = round(left * old["prices"][0]["price_amount"])
        items = [self._item(f"Remaining time on {old['name']}", -back, old["prices"][0], now, end, proration=True)]
        if new["recurring_interval"] != held["recurring_interval"]:
            left, end = 1.0, self._period_end(now, now, new)
            held["current_period_start"], held["current_period_end"] = stamp(now), stamp(end)
            held["started_at"] = stamp(now)
        due = round(left * new["prices"][0]["price_amount"])
        items.append(self._item(new["name"], due, new["prices"][0], now, end, proration=True))
        self._sell(held, new)
        self._say("subscription.updated", held)
        self._bill(held, "subscription_update", items)

    # What people do at Polar

    def pay(self, url: str, *, later: bool = False) -> Values:
        """Pay on a checkout page and return it; `later`: by a way that takes days (`money_came` ends it)."""
        page = next(each for each in self._all("checkouts").values() if each["url"] == url)
        assert page["status"] == "open", "a page is paid once"
        page["status"] = "confirmed" if later else "succeeded"
        self._say("checkout.updated", page)
        buyer, sold = self._thing("customers", page["customer_id"]), self._thing("products", page["product_id"])
        if sold["is_recurring"]:
            page["subscription_id"] = self._subscribe(buyer, sold, page["metadata"])["id"]
            return page
        cost = page["product_price"]
        items = [self._item(sold["name"], cost["price_amount"], cost, None, None, proration=False)]
        bought = self._order("purchase", buyer, sold, page["metadata"], items)
        bought["checkout_id"] = page["id"]
        self._say("order.created", bought)
        if not later:
            self._collect(bought)
        return page

    def order_of(self, page: Values) -> Values:
        """Return the order that was bought once on a page."""
        return next(each for each in self._all("orders").values() if each["checkout_id"] == page["id"])

    def money_came(self, page: Values) -> None:
        """End a payment that took days."""
        self._collect(self.order_of(page))

    def money_did_not_come(self, page: Values) -> None:
        """The same, without money."""
        order = self.order_of(page)
        order["status"] = "void"
        self._say("order.updated", order)

    def refund(self, order_id: str, amount: int | None = None, status: str = "succeeded") -> Values:
        """Give money back: all of it without an amount (in cents)."""
        paid = self._thing("orders", order_id)
        cents = paid["total_amount"] if amount is None else amount
        given = self._new("refunds", made.refund(paid, cents, status))
        self._say("refund.created", given)
        paid["refunded_amount"] += cents
        whole = paid["refunded_amount"] >= paid["total_amount"]
        paid["status"] = "refunded" if whole else "partially_refunded"
        self._say("order.updated", paid)
        self._say("order.refunded", paid)
        return given

    def refund_fails(self, refund: Values) -> None:
        """The money of a refund comes back."""
        refund["status"] = "failed"
        self._say("refund.updated", refund)

    def dispute(self, order_id: str) -> Values:
        """A customer's bank takes the money back: Polar says so in its list only."""
        return self._new("disputes", made.dispute(self._thing("orders", order_id)))

    def close_dispute(self, dispute: Values, status: str) -> None:
        """End a dispute: `won` or `lost`."""
        dispute["status"], dispute["resolved"], dispute["closed"] = status, True, True

    def pause(self, held: Values) -> None:
        """Pause a subscription now."""
        held["status"], held["paused_at"] = "paused", stamp(self.clock.now())
        self._say("subscription.updated", held)
        self._say("subscription.paused", held)

    def unpause(self, held: Values) -> None:
        """Let a paused subscription go on: with a new period, which is paid at once."""
        now = self.clock.now()
        held["status"], held["paused_at"], held["started_at"] = "active", None, stamp(now)
        end = self._period_end(now, now, held["product"])
        held["current_period_start"], held["current_period_end"] = stamp(now), stamp(end)
        self._say("subscription.resumed", held)
        self._bill(held, "subscription_cycle", [self._period_item(held)])

    def end(self, held: Values, status: str = "canceled") -> None:
        """Take a subscription away now."""
        held["status"], held["ended_at"] = status, stamp(self.clock.now())
        self._say("subscription.updated", held)
        self._say("subscription.revoked", held)

    def pay_late(self, order: Values) -> None:
        """An unpaid order is paid after all."""
        held = self._thing("subscriptions", order["subscription_id"])
        held["status"], held["past_due_at"] = "active", None
        self._collect(order)
        self._say("subscription.updated", held)
        self._say("subscription.active", held)

    def live_until(self, moment: float) -> None:
        """Let time pass up to a moment, with every renewal on the way."""
        while (due := self._next_due()) is not None and _at(due["current_period_end"]) <= moment:
            self.clock.advance(max(0.0, _at(due["current_period_end"]) - self.clock.now()))
            self._renew(due)
        self.clock.advance(moment - self.clock.now())

    # Webhooks

    def delivery(self, event: Values, *, secret: str = SECRET, signed_at: float | None = None) -> Delivery:
        """Return an event as it is sent, signed now."""
        body = json.dumps({key: value for key, value in event.items() if key not in {"id", "created"}}).encode()
        at = int(self.clock.now() if signed_at is None else signed_at)
        key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
        digest = hmac.new(key, f"{event['id']}.{at}.".encode() + body, hashlib.sha256).digest()
        signature = f"v1,{base64.b64encode(digest).decode()}"
        headers = {"webhook-id": event["id"], "webhook-timestamp": str(at), "webhook-signature": signature}
        return Delivery({**headers, "content-type": "application/json"}, body)

    def event(self, kind: str, about: Values) -> Values:
        """Make an event of any kind, about anything, without remembering it."""
        number = next(self._numbers)
        at = self.clock.now() + (number % 1_000) * 1e-6  # no two at the same moment
        fields = {"type": kind, "timestamp": stamp(at), "api_version": "2026-10"}
        name = str(uuid.uuid5(uuid.NAMESPACE_OID, f"event {number}"))
        return {"id": name, "created": at, **fields, "data": json.loads(json.dumps(about))}

    def _say(self, kind: str, about: Values) -> None:
        about["modified_at"] = stamp(self.clock.now())
        self.events.append(self.event(kind, about))

    # Its own life

    def _subscribe(self, buyer: Values, sold: Values, metadata: Values) -> Values:
        now = self.clock.now()
        fields = made.subscription(buyer, sold, metadata, now, self._period_end(now, now, sold))
        held = self._new("subscriptions", fields)
        held["status"] = "incomplete"
        self._say("subscription.created", held)
        held["status"] = "active"
        self._bill(held, "subscription_create", [self._period_item(held)])
        self._say("subscription.active", held)
        self._say("subscription.updated", held)
        return held

    def _renew(self, held: Values) -> None:
        if held["cancel_at_period_end"]:
            self.end(held)
            return
        if held["status"] == "past_due":  # its last period was never paid
            self.end(held, "unpaid")
            return
        if held["pending_update"] is not None:
            self._sell(held, self._thing("products", held["pending_update"]["product_id"]))
        start = _at(held["current_period_end"])
        end = self._period_end(_at(held["started_at"]), start, held["product"])
        held["current_period_start"], held["current_period_end"] = stamp(start), stamp(end)
        self._say("subscription.cycled", held)
        self._say("subscription.updated", held)
        if not self._bill(held, "subscription_cycle", [self._period_item(held)]):
            held["status"], held["past_due_at"] = "past_due", stamp(start)
            self._say("subscription.updated", held)
            self._say("subscription.past_due", held)

    def _sell(self, held: Values, sold: Values) -> None:
        held["product"], held["product_id"], held["prices"] = sold, sold["id"], sold["prices"]
        held["amount"], held["pending_update"] = sold["prices"][0]["price_amount"], None
        held["recurring_interval"] = sold["recurring_interval"]

    def _bill(self, held: Values, reason: str, items: list[Values]) -> bool:
        """Make an order and collect it; returns whether it was paid."""
        order = self._order(reason, held["customer"], held["product"], held["metadata"], items)
        order["subscription_id"], order["subscription"] = held["id"], in_order(held)
        self._say("order.created", order)
        if held["customer_id"] in self.without_money:
            order["next_payment_attempt_at"] = stamp(self.clock.now() + 2 * 86_400)
            self._say("order.updated", order)
            return False
        self._collect(order)
        return True

    def _collect(self, order: Values) -> None:
        order["status"], order["paid"], order["next_payment_attempt_at"] = "paid", True, None
        self._say("order.updated", order)
        self._say("order.paid", order)

    def _order(self, reason: str, buyer: Values, sold: Values, metadata: Values, items: list[Values]) -> Values:
        return self._new("orders", made.order(reason, buyer, sold, metadata, items))

    def _period_item(self, held: Values) -> Values:
        cost = held["prices"][0]
        start, end = _at(held["current_period_start"]), _at(held["current_period_end"])
        return self._item(held["product"]["name"], cost["price_amount"], cost, start, end, proration=False)

    def _item(
        self, label: str, amount: int, cost: Values, start: float | None, end: float | None, *, proration: bool
    ) -> Values:
        told = self.tells_periods and start is not None and end is not None
        times = (stamp(start or 0.0), stamp(end or 0.0)) if told else None
        return self._new("items", made.item(label, amount, cost["id"], times, proration=proration))

    def _period_end(self, anchor: float, start: float, sold: Values) -> float:
        step = 12 if sold["recurring_interval"] == "year" else 1
        return next(end for n in itertools.count(1) if (end := month_after(anchor, n * step)) > start)

    def _next_due(self) -> Values | None:
        alive = [held for held in self._all("subscriptions").values() if held["status"] in {"active", "past_due"}]
        return min(alive, key=lambda held: _at(held["current_period_end"]), default=None)

    def _all(self, kind: str) -> dict[str, Values]:
        return self.things.setdefault(kind, {})

    def _thing(self, kind: str, name: str) -> Values:
        found = self._all(kind).get(name)
        if found is None:
            raise RefusalError(404, "Not found", "ResourceNotFound")
        return found

    def _new(self, kind: str, fields: dict[str, Any]) -> Values:
        name = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{kind} {len(self._all(kind))}"))
        new = {**made.base(name, self.clock.now()), **fields}
        self._all(kind)[name] = new
        return new


def _at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
