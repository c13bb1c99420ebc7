"""Buying over HTTP through Polar: the same words and credits; webhooks of another provider are refused."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from penstock.billing.payments import Payments
from penstock.billing.polar import Polar
from penstock.billing.reconcile import reconcile
from penstock.kit.clock import ManualClock
from penstock.product.schema import Product
from tests.flow.test_buying import FREE, bought, code_of
from tests.support.flows import make_product
from tests.support.polar_server import KEY, SECRET, PolarServer
from tests.support.servers import API, Customer, Running, running
from tests.support.shop import moment, selling
from tests.support.stripe_server import Delivery, StripeServer


class PolarMarket:
    """The application, the stand-in for Polar that it sells through, and one time for both."""

    def __init__(self, run: Running, polar: PolarServer, clock: ManualClock) -> None:
        self.run, self.polar, self.clock, self.heard = run, polar, clock, 0

    async def deliver(self) -> list[int]:
        """Deliver what has happened since the last call; returns the answers' statuses."""
        new = self.polar.events[self.heard :]
        self.heard = len(self.polar.events)
        return [(await self.send(self.polar.delivery(event))).status_code for event in new]

    async def send(self, sent: Delivery, provider: str = "polar") -> httpx2.Response:
        return await self.run.client.post(f"{API}/webhooks/{provider}", content=sent.body, headers=sent.headers)

    async def subscribed(self, plan: str = "small") -> Customer:
        """Return a customer who has bought a plan."""
        customer = await self.run.customer()
        self.polar.pay(await bought(customer, plan=plan))
        assert set(await self.deliver()) == {200}
        return customer


@asynccontextmanager
async def market(folder: Path, product: Product) -> AsyncIterator[PolarMarket]:
    clock = ManualClock(moment(2027, 3, 1))
    polar = PolarServer(clock)
    adapter = Polar(KEY, SECRET, lambda: product, "http://polar.test", httpx2.ASGITransport(polar))
    async with running(folder, product=product, works=False, clock=clock, payments=adapter) as run:
        yield PolarMarket(run, polar, clock)


@pytest.fixture
async def sale(tmp_path: Path) -> AsyncIterator[PolarMarket]:
    async with market(tmp_path, selling(provider="polar")) as opened:
        yield opened


async def test_a_plan_is_bought_and_there_after_its_webhooks(sale: PolarMarket) -> None:
    ann = await sale.run.customer()
    url = await bought(ann, plan="small")
    assert url.startswith("https://polar.sh/checkout/")
    page = sale.polar.pay(url)
    assert page["success_url"] == "http://penstock.test/account?paid=1"
    assert (await ann.credits(), (await ann.get("/me")).json()["plan"]) == ((FREE, 0), "free")

    assert set(await sale.deliver()) == {200}
    shown = (await ann.get("/billing/subscription")).json()
    assert (shown["subscription"]["plan"], shown["subscription"]["renews_at"]) == ("small", "2027-04-01T12:00:00.000Z")
    assert shown["if_cancelled"]["credits_lost"] == FREE + 25
    [entry] = [each for each in (await ann.get("/credits/entries")).json()["items"] if each["source"] is not None][:1]
    order = next(iter(sale.polar.things["orders"]))
    assert (entry["reason"], entry["source"].split("/")[:2]) == ("Small plan", ["polar", order])


async def test_a_deposit_and_a_top_up_are_one_product_with_prices_of_their_own(sale: PolarMarket) -> None:
    ann = await sale.run.customer()
    sale.polar.pay(await bought(ann, amount="12.50"))
    sale.polar.pay(await bought(ann, topup="ten"))
    await sale.deliver()

    assert await ann.credits() == (FREE + 25 + 10, 0)
    assert len(sale.polar.things["products"]) == 1
    listed = (await ann.get("/billing/payments")).json()["items"]
    assert sorted(each["amount_usd"] for each in listed) == ["12.50", "4.99"]


async def test_a_donation_makes_a_donor_and_a_refund_ends_it(tmp_path: Path) -> None:
    async with market(tmp_path, taking_donations()) as sale:
        ann = await sale.run.customer()
        await bought(ann, amount="5.00")  # looked at, and not paid
        page = sale.polar.pay(await bought(ann, donation="5.00"))
        assert set(await sale.deliver()) == {200}
        sold = [product["name"] for product in sale.polar.things["products"].values()]
        plan, [paid] = (await ann.get("/me")).json()["plan"], (await ann.get("/billing/payments")).json()["items"]
        sale.clock.advance(1)
        sale.polar.refund(sale.polar.order_of(page)["id"])
        await sale.deliver()
        after = (await ann.get("/me")).json()["plan"]
        report = await reconcile(
            sale.run.services.database, sale.run.services.intake, open_provider(sale), sale.clock.now() - 86_400
        )

    assert (plan, after) == ("donor", "free")
    assert (paid["kind"], paid["title"], paid["credits"]) == ("donation", "Donation to Testing", 0)
    assert sold == ["Testing credits", "Donation to Testing"]  # what Polar's pages call them
    assert report.flagged == []


def taking_donations() -> Product:
    plans = {name: {"title": name.title(), "description": "For somebody"} for name in ("free", "donor")}
    payments = {
        "provider": "polar",
        "key_env": "POLAR_ACCESS_TOKEN",
        "webhook_secret_env": "POLAR_WEBHOOK_SECRET",
        "amount": {"min_usd": "5.00", "max_usd": "200.00", "credits_per_usd": 2},
    }
    donations = {"min_usd": "3.00", "max_usd": "100.00", "plan": "donor", "days": 31}
    return make_product(plans=plans, payments=payments, donations=donations)


def open_provider(sale: PolarMarket) -> Payments:
    payments = sale.run.services.billing.payments
    assert payments is not None
    return payments


async def test_a_cancellation_is_told_made_and_undone(sale: PolarMarket) -> None:
    ann = await sale.subscribed()
    answer = (await ann.delete("/billing/subscription")).json()
    assert answer["subscription"]["ends_at"] == "2027-04-01T12:00:00.000Z"
    assert "All credits that are left on that day are lost; today that would be 28" in answer["meaning"]

    sale.clock.advance(1)
    kept = await ann.post("/billing/subscription/resume")
    assert kept.json()["subscription"]["ends_at"] is None
    await sale.deliver()
    assert (await ann.get("/billing/subscription")).json()["subscription"]["ends_at"] is None


async def test_a_dearer_plan_whose_money_does_not_come_is_told_so(sale: PolarMarket) -> None:
    ann = await sale.subscribed()
    sale.polar.without_money |= sale.polar.things["customers"].keys()
    refused = await ann.post("/billing/subscription", {"plan": "large"})
    assert code_of(refused) == (409, "wrong_state")
    assert "did not go through" in refused.json()["detail"]

    sale.polar.without_money.clear()
    assert (await ann.post("/billing/subscription", {"plan": "large"})).status_code == 200
    await sale.deliver()
    assert (await ann.get("/me")).json()["plan"] == "large"


async def test_the_portal_is_polars(sale: PolarMarket) -> None:
    ann = await sale.subscribed()

    assert (await ann.post("/billing/portal")).json()["url"].startswith("https://polar.sh/")


async def test_webhooks_that_must_not_be_believed_are_refused(sale: PolarMarket) -> None:
    ann = await sale.run.customer()
    sale.polar.pay(await bought(ann, topup="ten"))
    event, now = sale.polar.events[-1], sale.clock.now()
    forged = sale.polar.delivery(event, secret="guessed")
    late, early = (sale.polar.delivery(event, signed_at=now + by) for by in (-301, 60))
    stripes = StripeServer(sale.clock)
    foreign = stripes.delivery(stripes.event("invoice.paid", {"id": "in_1"}), secret=SECRET)
    answers = [await sale.send(sent) for sent in (forged, late, early, foreign)]

    assert {code_of(answer) for answer in answers} == {(403, "forbidden")}
    assert code_of(await sale.send(foreign, "stripe")) == (404, "not_found")
    assert code_of(await sale.send(sale.polar.delivery(event), "stripe")) == (404, "not_found")
    assert await ann.credits() == (FREE, 0)
    assert await sale.run.services.database.read(lambda tx: tx.all("SELECT * FROM webhook_events")) == []

    assert [(await sale.send(sale.polar.delivery(event))).json()["taken"] for _ in range(2)] == [True, False]
    assert await ann.credits() == (FREE + 10, 0)


async def test_a_signed_event_of_an_unknown_type_is_taken_and_ignored(sale: PolarMarket) -> None:
    answer = await sale.send(sale.polar.delivery(sale.polar.event("meter.exploded", {"id": "x"})))
    kept = await sale.run.services.database.read(lambda tx: tx.all("SELECT type, outcome FROM webhook_events"))

    assert answer.status_code == 200
    assert kept == [{"type": "meter.exploded", "outcome": "ignored"}]


async def test_a_webhook_in_another_form_is_kept_for_an_operator_and_must_come_again(sale: PolarMarket) -> None:
    event = sale.polar.event("refund.created", {"id": "re_9"})
    answers = [await sale.send(sale.polar.delivery(event)) for _ in range(2)]
    wrong = [event | change for change in ({"timestamp": None}, {"timestamp": "soon"}, {"type": ["x"]}, {"data": None})]
    refused = [await sale.send(sale.polar.delivery(each)) for each in wrong]
    kept = await sale.run.services.database.read(lambda tx: tx.all("SELECT outcome FROM webhook_events"))

    assert {code_of(answer) for answer in answers} == {(503, "unavailable")}
    assert {code_of(answer) for answer in refused} == {(403, "forbidden")}
    assert kept == [{"outcome": "failed"}]


async def test_a_webhook_that_can_not_be_read_now_must_come_again(sale: PolarMarket) -> None:
    ann = await sale.run.customer()
    sale.polar.pay(await bought(ann, plan="small"))
    sale.run.services.billing.payments._catalogue.offers.clear()  # type: ignore[union-attr]  # a new process
    sale.polar.broken_answers = 2
    event = next(event for event in sale.polar.events if event["type"] == "order.paid")
    assert code_of(await sale.send(sale.polar.delivery(event))) == (503, "unavailable")
    assert await ann.credits() == (FREE, 0)

    assert (await sale.send(sale.polar.delivery(event))).json() == {"taken": True}
    assert await ann.credits() == (FREE + 25, 0)


async def test_a_paused_plan_is_shown_not_sold_again_and_can_be_cancelled(sale: PolarMarket) -> None:
    ann = await sale.subscribed()
    [held] = sale.polar.things["subscriptions"].values()
    sale.polar.pause(held)
    await sale.deliver()
    assert (await ann.get("/me")).json()["plan"] == "free"
    shown = (await ann.get("/billing/subscription")).json()["subscription"]
    assert (shown["plan"], shown["status"]) == ("small", "paused")
    assert code_of(await ann.post("/billing/checkout", {"plan": "large"})) == (409, "wrong_state")
    assert code_of(await ann.post("/billing/subscription", {"plan": "large"})) == (409, "wrong_state")

    cancelled = (await ann.delete("/billing/subscription")).json()
    assert "rests now and ends on 1 April 2027" in cancelled["meaning"]
    assert await ann.credits() == (FREE + 25, 0)


async def test_a_plan_that_was_not_paid_for_too_long_is_not_sold_a_second_time(sale: PolarMarket) -> None:
    ann = await sale.subscribed()
    sale.polar.without_money |= sale.polar.things["customers"].keys()
    sale.polar.live_until(moment(2027, 4, 20))
    await sale.deliver()
    await sale.run.services.intake.look_again()
    credentials = {"email": ann.email, "password": "correct horse battery"}
    ann.token = (await sale.run.client.post(f"{API}/auth/login", json=credentials)).json()["access_token"]

    assert (await ann.get("/me")).json()["plan"] == "free"
    assert (await ann.get("/billing/subscription")).json()["subscription"]["status"] == "past_due"
    assert code_of(await ann.post("/billing/checkout", {"plan": "small"})) == (409, "wrong_state")
