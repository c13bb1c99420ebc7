"""Buying over HTTP: a checkout page, Stripe's webhooks, the plan and its end, and what is told about it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from penstock.billing.stripe import Stripe
from penstock.kit.clock import ManualClock
from penstock.kit.database import Transaction
from penstock.ledger import service as ledger
from penstock.product.schema import Product
from penstock.product.settings import Settings
from tests.support.flows import make_product
from tests.support.servers import API, SECRET, Customer, Running, running
from tests.support.shop import PLANS, moment, selling
from tests.support.stripe_server import KEY, Delivery, StripeServer, Values
from tests.support.stripe_server import SECRET as WEBHOOK_SECRET

FREE = 3


@dataclass
class Market:
    """The application, the stand-in for Stripe that it sells through, and one time for both."""

    run: Running
    stripe: StripeServer
    clock: ManualClock
    heard: int = 0

    async def pay(self, url: str) -> Values:
        """Pay on the page at `url`; nothing is delivered yet."""
        return self.stripe.pay(url)

    async def deliver(self) -> list[int]:
        """Deliver what has happened since the last call; returns the answers' statuses."""
        new = self.stripe.events[self.heard :]
        self.heard = len(self.stripe.events)
        return [(await self.send(self.stripe.delivery(event))).status_code for event in new]

    async def send(self, sent: Delivery, provider: str = "stripe") -> httpx2.Response:
        return await self.run.client.post(f"{API}/webhooks/{provider}", content=sent.body, headers=sent.headers)

    async def subscribed(self, plan: str = "small") -> Customer:
        """Return a customer who has bought a plan."""
        customer = await self.run.customer()
        await self.pay(await bought(customer, plan=plan))
        assert set(await self.deliver()) == {200}
        return customer


@asynccontextmanager
async def market(folder: Path, product: Product | None = None, **changes: Any) -> AsyncIterator[Market]:
    clock = ManualClock(moment(2027, 3, 1))
    stripe, product = StripeServer(clock), product or selling(**changes)
    adapter = Stripe(KEY, WEBHOOK_SECRET, lambda: product, "http://stripe.test", httpx2.ASGITransport(stripe))
    async with running(folder, product=product, works=False, clock=clock, payments=adapter) as run:
        yield Market(run, stripe, clock)


@pytest.fixture
async def sale(tmp_path: Path) -> AsyncIterator[Market]:
    async with market(tmp_path) as opened:
        yield opened


async def bought(customer: Customer, **what: Any) -> str:
    answer = await customer.post("/billing/checkout", what)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["url"])


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_a_plan_is_bought_and_there_after_its_webhooks(sale: Market) -> None:
    ann = await sale.run.customer()
    url = await bought(ann, plan="small")
    assert url.startswith("https://checkout.stripe.com/")
    session = await sale.pay(url)
    assert session["success_url"] == "http://penstock.test/account?paid=1"
    assert (await ann.credits(), (await ann.get("/me")).json()["plan"]) == ((FREE, 0), "free")

    assert set(await sale.deliver()) == {200}
    me = (await ann.get("/me")).json()
    assert (me["plan"], me["plan_renews_at"], me["credits"]["available"]) == (
        "small",
        "2027-04-01T12:00:00.000Z",
        FREE + 25,
    )
    shown = (await ann.get("/billing/subscription")).json()
    assert shown["subscription"] == {
        "plan": "small",
        "title": "Small",
        "status": "active",
        "interval": "month",
        "price_usd": "8.00",
        "renews_at": "2027-04-01T12:00:00.000Z",
        "ends_at": None,
        "next_plan": None,
    }
    assert shown["if_cancelled"]["credits_lost"] == FREE + 25


async def test_a_webhook_that_comes_again_is_answered_and_changes_nothing(sale: Market) -> None:
    ann = await sale.subscribed()
    again = [await sale.send(sale.stripe.delivery(event)) for event in sale.stripe.events]

    assert {answer.status_code for answer in again} == {200}
    assert {answer.json()["taken"] for answer in again} == {False}
    assert await ann.credits() == (FREE + 25, 0)


async def test_webhooks_that_must_not_be_believed_are_refused(sale: Market) -> None:
    ann = await sale.run.customer()
    await sale.pay(await bought(ann, topup="ten"))
    event, now = sale.stripe.events[-1], sale.clock.now()
    forged = sale.stripe.delivery(event, secret="whsec_guessed")
    late = sale.stripe.delivery(event, signed_at=now - 301)
    early = sale.stripe.delivery(event, signed_at=now + 60)
    answers = [await sale.send(sent) for sent in (forged, late, early)]
    answers.append(await sale.run.client.post(f"{API}/webhooks/stripe", json=event))

    assert {code_of(answer) for answer in answers} == {(403, "forbidden")}
    assert (await sale.send(sale.stripe.delivery(event), "polar")).status_code == 404
    assert await ann.credits() == (FREE, 0)
    assert await sale.run.services.database.read(lambda tx: tx.all("SELECT * FROM webhook_events")) == []


async def test_a_signed_event_of_an_unknown_type_is_taken_and_ignored(sale: Market) -> None:
    answer = await sale.send(sale.stripe.delivery(sale.stripe.event("tax.settings.updated", {"id": "x"})))
    kept = await sale.run.services.database.read(lambda tx: tx.all("SELECT type, outcome FROM webhook_events"))

    assert answer.status_code == 200
    assert kept == [{"type": "tax.settings.updated", "outcome": "ignored"}]


async def test_a_webhook_that_can_not_be_applied_is_kept_and_must_come_again(sale: Market) -> None:
    ann = await sale.run.customer()
    await sale.pay(await bought(ann, topup="ten"))
    event = sale.stripe.events[-1]
    await sale.run.services.database.write(lambda tx: tx.run("ALTER TABLE lots RENAME TO lots_away"))
    assert (await sale.send(sale.stripe.delivery(event))).status_code == 500
    await sale.run.services.database.write(lambda tx: tx.run("ALTER TABLE lots_away RENAME TO lots"))
    kept = await sale.run.services.database.read(lambda tx: tx.all("SELECT outcome FROM webhook_events"))
    assert kept == [{"outcome": "failed"}]

    assert (await sale.send(sale.stripe.delivery(event))).json() == {"taken": True}
    assert await ann.credits() == (FREE + 10, 0)


UNREADABLE: dict[str, tuple[str, dict[str, Any]]] = {
    "a subscription to nothing": ("customer.subscription.updated", {"id": "sub_9", "items": {"data": []}}),
    "an invoice of nobody": ("invoice.paid", {"id": "in_9"}),
    "a refund of words": ("refund.created", {"id": "re_9", "payment_intent": ["pi_9"], "amount": "all"}),
}


@pytest.mark.parametrize("what", UNREADABLE)
async def test_a_webhook_in_another_form_is_kept_for_an_operator_and_must_come_again(sale: Market, what: str) -> None:
    event = sale.stripe.event(*UNREADABLE[what])
    answers = [await sale.send(sale.stripe.delivery(event)) for _ in range(2)]
    kept = await sale.run.services.database.read(lambda tx: tx.all("SELECT id, outcome FROM webhook_events"))

    assert {code_of(answer) for answer in answers} == {(503, "unavailable")}
    assert kept == [{"id": event["id"], "outcome": "failed"}]


@pytest.mark.embedded
async def test_what_is_no_event_is_refused_signed_or_not(tmp_path: Path) -> None:
    async with market(tmp_path) as sale:
        event = sale.stripe.event("invoice.paid", {"id": "in_9"})
        wrong = [
            event | change for change in ({"id": None}, {"id": ["x"]}, {"type": 7}, {"data": None}, {"created": "x"})
        ]
        answers = [await sale.send(sale.stripe.delivery(each)) for each in wrong]
        for signature in (f"t={'9' * 5_000},v1=x", "t=1,v1=\xe9"):
            headers: Any = {"stripe-signature": signature.encode("latin-1")}
            answers.append(await sale.run.client.post(f"{API}/webhooks/stripe", content=b"{}", headers=headers))
        kept = await sale.run.services.database.read(lambda tx: tx.all("SELECT * FROM webhook_events"))

    assert {code_of(answer) for answer in answers} == {(403, "forbidden")}
    assert kept == []


async def test_the_same_request_opens_one_page(sale: Market) -> None:
    ann = await sale.run.customer()
    headers = {"Idempotency-Key": "mine"}
    pages = [await ann.post("/billing/checkout", {"topup": "ten"}, headers=headers) for _ in range(2)]

    assert pages[0].json() == pages[1].json()
    assert len(sale.stripe.things["checkout/sessions"]) == 1
    assert await bought(ann, topup="ten") != pages[0].json()["url"]
    assert len(sale.stripe.things["customers"]) == 1


async def test_a_key_is_any_text_and_another_purchase_under_it_is_another_page(sale: Market) -> None:
    ann = await sale.run.customer()
    headers: Any = {"Idempotency-Key": "Größe ".encode("latin-1") * 20}  # as it comes over the wire
    first, again, other = [
        await ann.post("/billing/checkout", what, headers=headers)
        for what in ({"topup": "ten"},) * 2 + ({"amount": "9"},)
    ]

    assert (first.status_code, first.json()) == (200, again.json())
    assert sale.stripe.pay(other.json()["url"])["amount_total"] == 900


async def test_one_customer_is_made_though_the_answer_was_lost(sale: Market) -> None:
    ann = await sale.run.customer()
    sale.stripe.broken_answers = 2
    assert code_of(await ann.post("/billing/checkout", {"topup": "ten"})) == (503, "unavailable")

    await bought(ann, topup="ten")
    assert len(sale.stripe.things["customers"]) == 1


async def test_a_second_plan_is_not_sold(sale: Market) -> None:
    ann = await sale.subscribed()

    assert code_of(await ann.post("/billing/checkout", {"plan": "large"})) == (409, "wrong_state")


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({}, "plan"),
        ({"plan": "free"}, "plan"),
        ({"plan": "none"}, "plan"),
        ({"topup": "none"}, "topup"),
        ({"amount": "4.99"}, "amount"),
        ({"amount": "200.01"}, "amount"),
        ({"amount": "5.001"}, "amount"),
        ({"amount": "-5"}, "amount"),
        ({"plan": "small", "interval": "week"}, "interval"),
        ({"plan": "small", "topup": "few", "amount": "5.00"}, "topup"),
    ],
)
async def test_what_is_not_on_offer_is_not_sold(sale: Market, wanted: dict[str, Any], field: str) -> None:
    answer = await (await sale.run.customer()).post("/billing/checkout", wanted)

    assert code_of(answer) == (422, "invalid_input")
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_a_deposit_of_any_amount(sale: Market) -> None:
    ann = await sale.run.customer()
    await sale.pay(await bought(ann, amount="12.50"))
    await sale.deliver()

    assert await ann.credits() == (FREE + 25, 0)


@pytest.mark.parametrize(
    ("amount", "choice"), [("5.30", "$5.00 or $5.50"), ("199.99", "$199.50 or $200.00"), ("12.01", "$12.00 or $12.50")]
)
async def test_nobody_pays_for_a_part_of_a_credit(sale: Market, amount: str, choice: str) -> None:
    answer = await (await sale.run.customer()).post("/billing/checkout", {"amount": amount})
    assert code_of(answer) == (422, "invalid_input")
    assert choice in answer.json()["errors"][0]["message"]


async def test_cancelling_says_what_is_lost_and_when_and_can_be_undone(sale: Market) -> None:
    ann = await sale.subscribed()
    before = (await ann.get("/billing/subscription")).json()["if_cancelled"]
    assert before["ends_at"] == "2027-04-01T12:00:00.000Z"
    assert "1 April 2027" in before["meaning"]
    assert "28" in before["meaning"]

    answer = await ann.delete("/billing/subscription")
    assert answer.json()["meaning"] == before["meaning"]
    assert answer.json()["subscription"]["ends_at"] == "2027-04-01T12:00:00.000Z"
    assert answer.json()["subscription"]["renews_at"] is None
    assert await ann.credits() == (FREE + 25, 0)

    sale.clock.advance(1)
    kept = await ann.post("/billing/subscription/resume")
    assert kept.json()["subscription"]["ends_at"] is None
    assert code_of(await ann.post("/billing/subscription/resume")) == (409, "wrong_state")
    await sale.deliver()
    assert (await ann.get("/billing/subscription")).json()["subscription"]["ends_at"] is None


async def test_a_cancelled_plan_ends_with_its_period(sale: Market) -> None:
    ann = await sale.subscribed()
    await ann.delete("/billing/subscription")
    sale.stripe.live_until(moment(2027, 4, 2))
    await sale.deliver()
    ann.token = (await again(sale, ann)).json()["access_token"]

    assert (await ann.get("/billing/subscription")).json() == {"subscription": None, "if_cancelled": None}
    assert await ann.credits() == (0, 0)
    assert code_of(await ann.delete("/billing/subscription")) == (409, "wrong_state")
    kinds = [entry["kind"] for entry in (await ann.get("/credits/entries")).json()["items"]]
    assert kinds[:1] == ["forfeit"]


async def again(sale: Market, customer: Customer) -> httpx2.Response:
    credentials = {"email": customer.email, "password": "correct horse battery"}
    return await sale.run.client.post(f"{API}/auth/login", json=credentials)


async def test_a_change_of_plan_is_told_before_it_is_made(sale: Market) -> None:
    ann = await sale.subscribed()
    told = await ann.post("/billing/subscription", {"plan": "large", "preview": True})
    assert "Large ($16.00 a month)" in told.json()["meaning"]
    assert told.json()["subscription"]["plan"] == "small"
    assert sale.stripe.things["invoices"].keys() == {"in_1"}

    sale.clock.advance((moment(2027, 4, 1) - sale.clock.now()) / 2)
    ann.token = (await again(sale, ann)).json()["access_token"]
    await ann.post("/billing/subscription", {"plan": "large"})
    await sale.deliver()
    assert (await ann.get("/billing/subscription")).json()["subscription"]["plan"] == "large"
    assert await ann.credits() == (FREE + 25 + 17, 0)


async def test_a_cheaper_plan_follows_and_may_be_taken_back(sale: Market) -> None:
    ann = await sale.subscribed("large")
    answer = await ann.post("/billing/subscription", {"plan": "small"})
    assert answer.json()["subscription"]["next_plan"] == "small"
    assert answer.json()["subscription"]["plan"] == "large"

    sale.clock.advance(1)
    back = await ann.post("/billing/subscription", {"plan": "large"})
    assert back.json()["subscription"]["next_plan"] is None
    assert "goes on after" in back.json()["meaning"]
    assert sale.stripe.things["invoices"].keys() == {"in_1"}  # nothing was charged for it


async def test_the_plan_that_one_has_is_no_change(sale: Market) -> None:
    ann = await sale.subscribed()

    assert code_of(await ann.post("/billing/subscription", {"plan": "small"})) == (409, "wrong_state")


async def test_a_year_is_not_changed_to_months(sale: Market) -> None:
    ann = await sale.run.customer()
    await sale.pay(await bought(ann, plan="small", interval="year"))
    await sale.deliver()

    refused = await ann.post("/billing/subscription", {"plan": "small", "interval": "month"})
    assert code_of(refused) == (409, "wrong_state")


async def test_a_plan_that_ends_is_not_changed(sale: Market) -> None:
    ann = await sale.subscribed()
    await ann.delete("/billing/subscription")

    assert code_of(await ann.post("/billing/subscription", {"plan": "large"})) == (409, "wrong_state")


async def test_every_payment_is_listed_with_what_came_of_it(sale: Market) -> None:
    ann = await sale.subscribed()
    sale.clock.advance(60)
    session = await sale.pay(await bought(ann, topup="ten"))
    sale.stripe.refund(session["payment_intent"], 250)
    await sale.deliver()
    first = (await ann.get("/billing/payments", params={"limit": 1})).json()
    second = (await ann.get("/billing/payments", params={"cursor": first["next_cursor"]})).json()

    assert [
        (each["kind"], each["amount_usd"], each["credits"], each["credits_taken_back"])
        for each in (*first["items"], *second["items"])
    ] == [("top_up", "4.99", 10, 5), ("plan", "8.00", 25, 0)]
    assert second["items"][0]["url"] == "https://invoice.stripe.com/i/in_1"
    assert second["next_cursor"] is None


async def test_the_book_of_one_life_says_why_for_which_job_and_for_which_payment(sale: Market) -> None:
    ann = await sale.run.customer(gift=1)
    session = await sale.pay(await bought(ann, topup="ten"))
    await sale.deliver()
    *spent, cancelled = [(await ann.submit())["id"] for _ in range(7)]
    await ann.post(f"/jobs/{cancelled}/cancel")
    for job in spent:
        await sale.run.services.database.write(spend, ann.id, job)
    sale.clock.advance(60)
    sale.stripe.refund(session["payment_intent"])
    await sale.deliver()
    book = (await ann.get("/credits/entries", params={"limit": 100})).json()["items"]
    owned = (await ann.get("/credits")).json()
    paid = (await ann.get("/billing/payments")).json()["items"][0]["id"]

    assert all(entry["reason"] for entry in book)
    assert {entry["kind"] for entry in book} == {"grant", "hold", "release", "capture", "claw_back"}
    jobs = {(entry["kind"], entry["job"]) for entry in book if entry["job"]}
    worked = {(kind, job) for job in spent for kind in ("hold", "capture")}
    assert jobs == worked | {("hold", cancelled), ("release", cancelled)}
    assert owned["debt"] == 8  # of 14 credits, 12 are spent
    taken = [entry for entry in book if entry["kind"] == "claw_back"]
    assert sum(entry["debt"] - entry["amount"] for entry in taken) == 10
    assert {entry["cause"].split("/")[:2] == ["stripe", paid] for entry in taken} == {True}
    assert {entry["source"].split("/")[1] for entry in book if (entry["source"] or "").startswith("stripe/")} == {paid}
    totals = [sum(entry[name] for entry in book) for name in ("amount", "held", "debt")]
    assert totals == [owned["available"], owned["held"], owned["debt"]]


async def test_the_book_says_what_was_owed_and_paid_off_what_ran_out_and_what_an_end_took(tmp_path: Path) -> None:
    plans = make_product(plans={**PLANS, "small": {**PLANS["small"], "carry_over": False}}).plans
    async with market(tmp_path, selling().model_copy(update={"plans": plans})) as sale:
        ann = await sale.run.customer()
        session = await sale.pay(await bought(ann, topup="ten"))
        await sale.deliver()
        for job in [(await ann.submit())["id"] for _ in range(6)]:
            await sale.run.services.database.write(spend, ann.id, job)
        sale.stripe.refund(session["payment_intent"])  # of 13 credits, 12 are spent: 9 are owed
        await sale.deliver()
        sale.clock.advance(60)
        await sale.pay(await bought(ann, plan="small"))
        await sale.deliver()
        sale.stripe.live_until(moment(2027, 4, 2))
        await sale.run.services.database.write(ledger.expire_lots)  # the first month's
        await sale.deliver()
        ann.token = (await again(sale, ann)).json()["access_token"]
        await sale.pay(await bought(ann, topup="ten"))
        await ann.delete("/billing/subscription")
        sale.stripe.live_until(moment(2027, 5, 2))
        await sale.run.services.database.write(ledger.expire_lots)  # the second month's
        await sale.deliver()
        ann.token = (await again(sale, ann)).json()["access_token"]
        book = (await ann.get("/credits/entries", params={"limit": 100})).json()["items"]
        owned = (await ann.get("/credits")).json()

    told = [
        (
            entry["kind"],
            entry["amount"],
            entry["held"],
            entry["debt"],
            entry["reason"],
            entry["source"].split("/")[1][:2],
        )
        for entry in reversed(book)
        if entry["kind"] in {"repay", "expire", "forfeit"}
    ]
    assert told == [
        ("repay", -9, 0, -9, "Paid off what was owed after a refund", "in"),
        ("expire", -16, 0, 0, "Credits reached their end", "in"),
        ("expire", -25, 0, 0, "Credits reached their end", "in"),
        ("forfeit", -10, 0, 0, "Your subscription has ended", "cs"),
    ]
    assert {(entry["job"], entry["cause"]) for entry in book if entry["kind"] in {"repay", "expire", "forfeit"}} == {
        (None, None)
    }
    totals = [sum(entry[name] for entry in book) for name in ("amount", "held", "debt")]
    assert totals == [owned["available"], owned["held"], owned["debt"]] == [0, 0, 0]


def spend(tx: Transaction, account_id: str, job: str) -> None:
    """End a job's hold as a job that succeeds does."""
    ledger.capture(tx, ledger.lock(tx, account_id), job, 2, "Echo")


async def test_nobody_sees_another_customers_payments(sale: Market) -> None:
    await sale.subscribed()
    bob = await sale.run.customer()

    assert (await bob.get("/billing/payments")).json()["items"] == []
    assert (await bob.get("/billing/subscription")).json()["subscription"] is None
    assert code_of(await bob.post("/billing/portal")) == (409, "wrong_state")


async def test_the_portal_is_stripes(sale: Market) -> None:
    ann = await sale.subscribed()

    assert (await ann.post("/billing/portal")).json()["url"].startswith("https://billing.stripe.com/")


async def test_strangers_buy_nothing(sale: Market) -> None:
    for path in ("checkout", "portal", "subscription"):
        answer = await sale.run.client.post(f"{API}/billing/{path}", json={"plan": "small"})
        assert code_of(answer) == (401, "unauthenticated")


async def test_while_stripe_does_not_answer_nothing_is_sold(sale: Market) -> None:
    ann = await sale.subscribed()
    sale.stripe.broken_answers = 2
    answer = await ann.delete("/billing/subscription")

    assert code_of(answer) == (503, "unavailable")
    assert (await ann.get("/billing/subscription")).json()["subscription"]["ends_at"] is None


async def test_the_product_says_how_things_are_bought(sale: Market) -> None:
    shown = (await sale.run.client.get(f"{API}/product")).json()

    assert shown["payments"] == {
        "checkout": "stripe",
        "amount": {"min_usd": "5.00", "max_usd": "200.00", "credits_per_usd": 2, "show_usd": False},
    }
    assert [plan["price_usd_year"] for plan in shown["plans"]] == [None, "80.00", "160.00"]


# Without a payment provider


@pytest.mark.embedded
async def test_the_test_checkout_sells_plans_and_credits(tmp_path: Path) -> None:
    clock = ManualClock(moment(2027, 3, 1))
    async with running(tmp_path, product=selling(), works=False, clock=clock) as run:
        assert (await run.client.get(f"{API}/product")).json()["payments"]["checkout"] == "test"
        ann, bob = await run.customer(), await run.customer()
        page = await bought(ann, plan="small")
        assert page.startswith("/test-checkout/chk_")
        path = f"/billing{page}"
        assert (await ann.get(path)).json() | {"id": ""} == {
            "id": "",
            "title": "Testing Small",
            "price_usd": "8.00",
            "interval": "month",
            "back": "http://penstock.test/pricing",
        }
        assert (await bob.post(path)).status_code == 404
        assert (await ann.post(path)).json() == {"url": "http://penstock.test/account?paid=1"}
        assert (await ann.post(path)).status_code == 404
        await ann.post(f"/billing{await bought(ann, topup='ten')}")
        await ann.post(f"/billing{await bought(ann, amount='10.00')}")

        assert await ann.credits() == (FREE + 25 + 10 + 20, 0)
        assert await bob.credits() == (FREE, 0)


@pytest.mark.embedded
async def test_plans_of_the_test_checkout_renew_change_and_end(tmp_path: Path) -> None:
    clock = ManualClock(moment(2027, 3, 1))
    async with running(tmp_path, product=selling(), works=False, clock=clock) as run:
        ann = await run.customer()
        await ann.post(f"/billing{await bought(ann, plan='small')}")
        clock.advance((moment(2027, 4, 1) - clock.now()) / 2)
        await signed_in(run, ann)
        await ann.post("/billing/subscription", {"plan": "large"})
        assert await ann.credits() == (FREE + 25 + 17, 0)

        clock.advance(moment(2027, 4, 1) - clock.now())
        assert [await run.services.billing.renew_test_plans() for _ in range(2)] == [1, 0]
        await signed_in(run, ann)
        assert await ann.credits() == (FREE + 25 + 17 + 60, 0)

        await ann.post("/billing/subscription", {"plan": "small"})
        for unit in (ann.delete, ann.post, ann.delete):
            clock.advance(1)
            await unit("/billing/subscription" if unit == ann.delete else "/billing/subscription/resume")
        clock.advance(moment(2027, 5, 1) - clock.now())
        assert await run.services.billing.renew_test_plans() == 1
        await signed_in(run, ann)
        assert ((await ann.get("/me")).json()["plan"], await ann.credits()) == ("free", (0, 0))
        assert code_of(await ann.post("/billing/portal")) == (409, "wrong_state")


async def signed_in(run: Running, customer: Customer) -> None:
    credentials = {"email": customer.email, "password": "correct horse battery"}
    customer.token = (await run.client.post(f"{API}/auth/login", json=credentials)).json()["access_token"]


@pytest.mark.embedded
async def test_in_the_test_checkout_a_dearer_plan_counts_from_the_one_that_is_paid(tmp_path: Path) -> None:
    clock = ManualClock(moment(2027, 3, 1))
    plans = {**PLANS, "huge": {**PLANS["large"], "title": "Huge", "price_usd_month": "32.00", "credits_month": 150}}
    product = selling().model_copy(update={"plans": make_product(plans=plans).plans})
    async with running(tmp_path, product=product, works=False, clock=clock) as run:
        ann = await run.customer()
        await ann.post(f"/billing{await bought(ann, plan='large')}")
        await ann.post("/billing/subscription", {"plan": "small"})
        clock.advance((moment(2027, 4, 1) - clock.now()) / 2)
        await signed_in(run, ann)
        changed = await ann.post("/billing/subscription", {"plan": "huge"})
        owned = await ann.credits()

    assert (changed.status_code, changed.json()["subscription"]["plan"]) == (200, "huge")
    assert owned == (FREE + 60 + 45, 0)  # half a month of 150 less 60


@pytest.mark.parametrize(
    "reached",
    [{"public_url": "https://photos.example.org"}, {"host": "0.0.0.0"}, {"public_url": "http://192.168.0.2:8000"}],
)
async def test_there_is_no_test_checkout_where_others_reach_the_server(tmp_path: Path, reached: dict[str, Any]) -> None:
    settings = Settings(data_dir=tmp_path, secret=SECRET, **reached)
    async with running(tmp_path, product=selling(), works=False, settings=settings) as run:
        ann = await run.customer()
        assert (await run.client.get(f"{API}/product")).json()["payments"]["checkout"] is None
        assert code_of(await ann.post("/billing/checkout", {"plan": "small"})) == (503, "unavailable")
        assert (await ann.get("/billing/test-checkout/chk_1")).status_code == 404
        assert (await run.client.post(f"{API}/webhooks/stripe", content=b"{}")).status_code == 404
