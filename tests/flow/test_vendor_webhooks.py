"""Vendors that tell when work has ended: it is looked at then, and nothing that they say is believed."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from penstock.app.application import create_app
from penstock.app.services import Parts
from penstock.app.wiring import open_services
from penstock.jobs import run as runner
from penstock.product.schema import Product
from tests.support.flows import PATIENCE_S, make_product, settled
from tests.support.servers import API, BASE, Customer, Running, cheap_passwords, loaded, settings_in
from tests.support.vendors import replicate, runpod
from tests.support.vendors.case import KEY_NAME
from tests.support.vendors.replicate import ReplicateStandIn
from tests.support.vendors.runpod import RunPodStandIn
from tests.support.vendors.wire import KEY, Answer

OUTSIDE = "https://pictures.example"
FOR_EVER_S = 100_000.0

StandIn = RunPodStandIn | ReplicateStandIn


def drawing(vendor: StandIn) -> Product:
    """Return a product whose one provider is a stand-in."""
    case = runpod.CASE if isinstance(vendor, RunPodStandIn) else replicate.CASE
    provider = {**case.settings, "adapter": case.adapter, "base_url": vendor.url + case.base, "key_env": KEY_NAME}
    draw = {
        "title": "Draw",
        "description": "Draws",
        "task": "generate",
        "prompt": "{words}",
        "inputs": {"words": {"kind": "text", "title": "Words"}},
        "price": 1,
        "route": ["main"],
    }
    return make_product(operations={"draw": draw}, providers={"main": provider})


@dataclass
class Told:
    """A job that its vendor has been looked at for twice, and won't be again soon unless there is news."""

    run: Running
    customer: Customer
    vendor: StandIn
    job: str

    @property
    def looks(self) -> int:
        return sum(asked.path.endswith((f"status/{self.reference}", f"predictions/{self.reference}"))
                   for asked in self.vendor.asked)  # fmt: skip

    @property
    def reference(self) -> str:
        made = self.vendor.jobs if isinstance(self.vendor, RunPodStandIn) else self.vendor.predictions
        return next(iter(made))

    async def post(self, adapter: str, body: bytes = b"{}", **headers: str) -> httpx2.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"{API}/webhooks/{adapter}?job={self.job}"
        return await self.run.client.post(url, content=body, headers=named)

    async def ended(self) -> str:
        await settled(self.run.services.flow, self.job)
        return str((await self.customer.job(self.job))["status"])


@asynccontextmanager
async def told(
    folder: Path, vendor: StandIn, monkeypatch: pytest.MonkeyPatch, outside: str | None = OUTSIDE
) -> AsyncIterator[Told]:
    """Submit a job; the second look, which comes at once, is followed by a rest without end."""
    monkeypatch.setattr(runner, "POLL_FIRST_S", 0.01)
    monkeypatch.setattr(runner, "POLL_MOST_S", FOR_EVER_S)
    monkeypatch.setattr(runner, "POLL_GROWTH", FOR_EVER_S * 100)
    settings = replace(settings_in(folder), public_url=outside)
    parts = Parts(passwords=cheap_passwords(), durability="normal")
    around = {KEY_NAME: KEY}
    async with open_services(settings, loaded(drawing(vendor)), around, works=True, parts=parts) as services:
        app = create_app(services)
        transport = httpx2.ASGITransport(app, client=("203.0.113.7", 4711))
        async with httpx2.AsyncClient(transport=transport, base_url=BASE) as client:
            run = Running(services, app, client, {})
            customer = await run.customer(gift=5)
            job = await customer.submit("draw", words="a fox who bakes bread")
            made = Told(run, customer, vendor, job["id"])
            async with asyncio.timeout(PATIENCE_S):
                while not vendor.orders or made.looks < vendor.looks_needed:
                    await asyncio.sleep(0.01)
            yield made


async def test_runpod_is_given_an_address_and_heard_at_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with RunPodStandIn() as vendor, told(tmp_path, vendor, monkeypatch) as work:
        sent = urlsplit(vendor.orders[0].json()["webhook"])
        answer = await work.post("runpod", b"x" * 2_000_000)  # a result may be in it: never read, so of any size
        ended = await work.ended()

    assert (f"{sent.scheme}://{sent.netloc}", sent.path) == (OUTSIDE, "/api/v1/webhooks/runpod")
    assert parse_qs(sent.query) == {"job": [work.job]}
    assert (answer.status_code, ended) == (204, "succeeded")
    assert work.looks == vendor.looks_needed + 1
    assert vendor.billed == 1


async def test_replicate_is_believed_what_it_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with ReplicateStandIn() as vendor, told(tmp_path, vendor, monkeypatch) as work:
        order = vendor.orders[0].json()
        body = json.dumps({"id": work.reference, "status": "succeeded"}).encode()
        now = work.run.services.clock.now()
        headers = vendor.signature(body, now)
        forged = [
            await work.post("replicate", body),
            await work.post("replicate", body + b" ", **headers),
            await work.post("replicate", body, **vendor.signature(body, now - 301)),
            await work.post("replicate", body, **vendor.signature(body, now + 60)),
        ]
        before = work.looks
        taken = [await work.post("replicate", body, **headers) for _ in range(2)]
        ended = await work.ended()
        asked = [each for each in vendor.asked if each.path.endswith("/secret")]

    assert order["webhook"] == f"{OUTSIDE}/api/v1/webhooks/replicate?job={work.job}"
    assert order["webhook_events_filter"] == ["completed"]
    assert [(each.status_code, each.json()["code"]) for each in forged] == [(403, "forbidden")] * 4
    assert before == vendor.looks_needed, "what is forged brings no look"
    assert [each.status_code for each in taken] == [204, 204]
    assert (ended, vendor.billed, len(asked)) == ("succeeded", 1, 1)


async def test_a_secret_that_cannot_be_had_lets_webhooks_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ReplicateStandIn() as vendor, told(tmp_path, vendor, monkeypatch) as work:
        headers = vendor.signature(b"{}", work.run.services.clock.now())
        vendor.looks.append(Answer.json({"detail": "oh"}, 500))
        away = await work.post("replicate", b"{}", **headers)
        back = await work.post("replicate", b"{}", **headers)
        ended = await work.ended()

    assert (away.status_code, away.json()["code"]) == (503, "unavailable")
    assert (back.status_code, ended) == (204, "succeeded")


async def test_a_hint_about_nothing_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with RunPodStandIn() as vendor, told(tmp_path, vendor, monkeypatch, outside="http://127.0.0.1") as work:
        answers = [
            await work.run.client.post(f"{API}/webhooks/runpod", params={"job": name})
            for name in ("job_nobody", "two\nlines", "\x00", "x" * 65)
        ]
        nobody = await work.post("replicate")
        unread = await work.run.client.post(f"{API}/webhooks/runpod")
        assert "webhook" not in vendor.orders[0].json(), "vendors call addresses with https only"
        assert work.looks == vendor.looks_needed
        await work.post("runpod")
        assert await work.ended() == "succeeded"

    assert [answer.status_code for answer in answers] == [204, 204, 204, 422]
    assert (nobody.status_code, unread.status_code) == (404, 422)
