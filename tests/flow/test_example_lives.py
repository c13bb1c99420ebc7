"""ColoringBook and Imagine, as they come: from the first look to a payment, with real pictures and real videos."""

import base64
import io
import tomllib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image
from training.photographs import photograph

from penstock.app.application import create_app
from penstock.app.services import Parts
from penstock.app.wiring import open_services
from penstock.billing.test_checkout import TestPayments
from penstock.imaging import video
from penstock.kit.clock import ManualClock
from penstock.kit.database import Transaction
from penstock.ledger import service as ledger
from penstock.product.schema import Product
from tests.support.flows import settled
from tests.support.servers import API, BASE, PASSWORD, cheap_passwords, loaded, settings_in
from tests.support.vendors.runpod import ENDPOINT, RunPodFilms, ending
from tests.support.vendors.wire import KEY
from tests.support.videos import ball, mp4

EXAMPLES = Path(__file__).parents[2] / "examples"
DAY_S = 86_400.0


@dataclass
class Person:
    """Somebody in front of a browser: with cookies, and with a token once signed up."""

    client: httpx2.AsyncClient
    services: Any

    async def post(self, path: str, body: Any = None, **options: Any) -> httpx2.Response:
        return await self.client.post(API + path, json=body, **options)

    async def get(self, path: str, **options: Any) -> Any:
        answer = await self.client.get(API + path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def sign_up(self, email: str) -> None:
        answer = await self.post("/auth/register", {"email": email, "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        self.client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"

    async def orders(self, operation: str, picture: bytes | None = None, **request: Any) -> httpx2.Response:
        inputs = request.pop("inputs", {})
        if picture is not None:
            answer = await self.client.post(f"{API}/uploads", files={"file": ("a.png", picture, "image/png")})
            assert answer.status_code == 201, answer.text
            inputs = {"picture": answer.json()["id"]}
        return await self.post("/jobs", {"operation": operation, "inputs": inputs, **request})

    async def gets(self, operation: str, picture: bytes | None = None, **request: Any) -> dict[str, Any]:
        answer = await self.orders(operation, picture, **request)
        assert answer.status_code == 202, answer.text
        await settled(self.services.flow, answer.json()["id"])
        job: dict[str, Any] = await self.get(f"/jobs/{answer.json()['id']}")
        return job

    async def pays(self, **what: Any) -> None:
        """Go through the test checkout."""
        opened = await self.post("/billing/checkout", what)
        assert opened.status_code == 200, opened.text
        page = opened.json()["url"].rpartition("/")[2]
        assert (await self.post(f"/billing/test-checkout/{page}")).status_code == 200


@asynccontextmanager
async def open_for_business(
    folder: Path, name: str, change: Callable[[dict[str, Any]], None] = lambda _: None, **environment: str
) -> AsyncIterator[tuple[Person, ManualClock]]:
    document = tomllib.loads((EXAMPLES / f"{name}.toml").read_text(encoding="utf-8"))
    change(document)
    product = Product.model_validate(document)
    settings, clock = settings_in(folder), ManualClock()
    parts = Parts(
        passwords=cheap_passwords(), durability="normal", clock=clock, payments=TestPayments(clock, lambda: product)
    )
    async with open_services(settings, loaded(product), environment, works=True, parts=parts) as services:
        transport = httpx2.ASGITransport(create_app(services), client=("203.0.113.7", 4711))
        async with httpx2.AsyncClient(transport=transport, base_url=BASE, timeout=60) as client:
            client.headers["sec-fetch-site"] = "same-origin"
            yield Person(client, services), clock
            assert await services.database.read(ledger.violations) == []


@pytest.fixture(scope="module")
def picture() -> bytes:
    out = io.BytesIO()
    Image.fromarray(photograph("chelsea", 300)).save(out, "PNG")
    return out.getvalue()


async def test_three_pages_are_free_and_the_fourth_is_paid_from_a_deposit(tmp_path: Path, picture: bytes) -> None:
    async with open_for_business(tmp_path, "coloringbook") as (ann, _):
        await ann.get("/me")  # a visitor, whom signing up turns into a customer
        assert (await ann.get("/me"))["credits"]["available"] == 0
        await ann.sign_up("ann@example.org")
        assert (await ann.get("/me"))["credits"]["available"] == 150

        for _page in range(3):
            job = await ann.gets("photo", picture, options={"detail": "kids"})
            assert (job["status"], job["price"]) == ("succeeded", 50)
        names = {each["name"] for each in (await ann.get(f"/results/{job['result']['id']}"))["variants"]}
        assert names >= {"full", "svg", "pdf_a4", "pdf_letter"}

        refused = await ann.orders("photo", picture)
        assert (refused.status_code, refused.json()["code"]) == (402, "insufficient_credits")
        assert refused.json()["detail"].startswith("Photo to page costs $0.50 and you have $0.00.")
        too_little = await ann.post("/billing/checkout", {"amount": "4.99"})
        assert (too_little.status_code, too_little.json()["code"]) == (422, "invalid_input")

        await ann.pays(amount="5.00")
        assert (await ann.gets("photo", picture))["status"] == "succeeded"
        assert (await ann.get("/credits"))["available"] == 450
        (paid,) = (await ann.get("/billing/payments"))["items"]
        assert (paid["kind"], paid["title"], paid["amount_usd"]) == ("deposit", "Deposit: $5.00", "5.00")
        entries = [(each["reason"], each["amount"]) for each in (await ann.get("/credits/entries"))["items"]]
        assert entries[-1] == ("A gift for signing up", 150)
        assert ("Deposit: $5.00", 500) in entries
        assert [amount for reason, amount in entries if reason == "Photo to page" and amount] == [-50] * 4


async def test_what_lacks_its_key_says_that_it_is_off(tmp_path: Path) -> None:
    async with open_for_business(tmp_path, "coloringbook") as (ann, _):
        shown = {each["id"]: each for each in (await ann.get("/product"))["operations"]}
        assert (shown["photo"]["available"], shown["idea"]["available"]) == (True, False)
        refused = await ann.orders("idea", inputs={"idea": "a fox"})
        assert refused.status_code == 503


async def test_a_visitor_of_imagine_signs_up_donates_and_goes_back_to_the_queue(tmp_path: Path, picture: bytes) -> None:
    async with open_for_business(tmp_path, "imagine") as (ann, clock):
        job = await ann.gets("animate", picture, options={"seconds": 2})
        assert (job["status"], job["plan"], job["price"]) == ("succeeded", "visitor", 0)
        for _more in range(2):
            assert (await ann.gets("lines", picture, options={"detail": "kids"}))["status"] == "succeeded"
        full = await ann.orders("lines", picture)
        assert (full.status_code, full.json()["code"]) == (429, "plan_limit")
        assert [each["kind"] for each in full.json()["actions"]] == ["wait", "sign_in", "donate"]

        await ann.sign_up("ann@example.org")
        assert (await ann.get("/me"))["plan"] == "free"
        assert (await ann.post("/billing/donation-clicks", {"place": "limit"})).status_code == 204
        assert (await ann.post("/billing/checkout", {"donation": "2.99"})).status_code == 422
        await ann.pays(donation="5.00")
        assert (await ann.get("/me"))["plan"] == "donor"
        (paid,) = (await ann.get("/billing/payments"))["items"]
        assert (paid["kind"], paid["credits"], paid["title"]) == ("donation", 0, "Donation to Imagine")
        assert (await ann.get("/credits/entries"))["items"] == []
        assert (await ann.gets("lines", picture, options={"detail": "kids"}))["plan"] == "donor"

        clock.advance(31 * DAY_S + 1)
        await ann.services.intake.look_again()
        assert await ann.services.database.read(_plans) == ["free"]


async def test_a_camera_move_is_a_video_that_players_can_seek_in(tmp_path: Path, picture: bytes) -> None:
    async with open_for_business(tmp_path, "imagine") as (ann, _):
        job = await ann.gets("animate", picture, options={"seconds": 2, "move": "pan_right"})
        result = await ann.get(f"/results/{job['result']['id']}")
        assert (result["media_type"], result["duration_s"]) == ("video/mp4", 2.0)
        assert [each["name"] for each in result["variants"]] == ["full", "poster", "thumb"]

        file = f"{API}/results/{result['id']}/file"
        whole = await ann.client.get(file)
        part = await ann.client.get(file, headers={"range": "bytes=1000-1999"})
        poster = await ann.client.get(file, params={"variant": "poster"})
    assert (whole.headers["content-type"], whole.headers["accept-ranges"]) == ("video/mp4", "bytes")
    assert whole.headers["content-disposition"].startswith("inline")
    assert (part.status_code, part.content) == (206, whole.content[1000:2000])
    assert part.headers["content-range"] == f"bytes 1000-1999/{len(whole.content)}"
    (tmp_path / "a.mp4").write_bytes(whole.content)
    seen = video.look(tmp_path / "a.mp4", 1.5)
    assert (seen.width, seen.height) == (result["width"], result["height"])
    with Image.open(io.BytesIO(poster.content)) as still:
        assert still.size == (result["width"], result["height"])


async def test_a_bad_video_is_nobodys_result_and_costs_the_customer_nothing(tmp_path: Path) -> None:
    def asks_a_stand_in(document: dict[str, Any]) -> None:
        document["providers"]["wan"] |= {"base_url": f"{vendor.url}/v2", "model": ENDPOINT}
        document["operations"]["video"]["price"] = 7
        document["sign_in"]["gift_credits"] = 14

    async with RunPodFilms() as vendor:
        vendor.looks_needed = 0
        async with open_for_business(tmp_path, "imagine", asks_a_stand_in, RUNPOD_API_KEY=KEY) as (ann, _):
            await ann.sign_up("ann@example.org")
            words = {"words": "a ball rolls over a field"}
            good = await ann.gets("video", inputs=words)
            assert (good["status"], good["error"]) == ("succeeded", None)
            still = mp4(tmp_path, repeat(next(ball()), 16))
            ending(status="COMPLETED", output={"video": base64.b64encode(still).decode()})(vendor)
            bad = await ann.gets("video", inputs=words)
            assert (bad["status"], bad["result"], bad["error"]["code"]) == ("failed", None, "broken")
            assert (await ann.get("/credits"))["available"] == 7


def _plans(tx: Transaction) -> list[str]:
    return [row["plan"] for row in tx.all("SELECT plan FROM accounts WHERE NOT visitor")]
