"""Rekindle with its outside provider, from the upload to the result, before a stand-in for the vendor."""

import io
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image
from training.photographs import photograph

from penstock.app.application import create_app
from penstock.app.services import Parts
from penstock.app.wiring import open_services
from penstock.ledger import service as ledger
from penstock.product.schema import Product
from penstock.product.settings import Settings
from tests.support.flows import rows, settled
from tests.support.servers import API, BASE, SECRET, Customer, Running, cheap_passwords, loaded
from tests.support.vendors.google import GoogleStandIn
from tests.support.vendors.wire import KEY

REKINDLE = Path(__file__).parents[2] / "examples" / "rekindle.toml"


def rekindle(url: str, **operation: Any) -> Product:
    """Return Rekindle with its vendor at `url`; `operation` changes `colourise`."""
    document = tomllib.loads(REKINDLE.read_text(encoding="utf-8"))
    document["providers"]["gemini"]["base_url"] = f"{url}/v1"
    document["operations"]["colourise"] |= operation
    return Product.model_validate(document)


@asynccontextmanager
async def served(folder: Path, product: Product) -> AsyncIterator[Running]:
    parts = Parts(passwords=cheap_passwords(), durability="normal")
    settings = Settings(data_dir=folder, secret=SECRET)
    environment = {"GEMINI_API_KEY": KEY}
    async with open_services(settings, loaded(product), environment, works=True, parts=parts) as services:
        app = create_app(services)
        transport = httpx2.ASGITransport(app, client=("203.0.113.7", 4711))
        async with httpx2.AsyncClient(transport=transport, base_url=BASE) as client:
            yield Running(services, app, client, {})


@pytest.fixture
def picture() -> bytes:
    out = io.BytesIO()
    Image.fromarray(photograph("astronaut", 256)).convert("L").save(out, "PNG")
    return out.getvalue()


async def ordered(customer: Customer, operation: str, **inputs: str) -> dict[str, Any]:
    job = await customer.submit(operation, **inputs)
    await settled(customer.run.services.flow, job["id"])
    return await customer.job(job["id"])


async def uploaded(customer: Customer, picture: bytes) -> str:
    answer = await customer.client.post(
        f"{API}/uploads", files={"file": ("old.png", picture, "image/png")}, headers=customer.headers
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def test_a_photograph_is_colourised_and_what_it_cost_is_in_the_books(tmp_path: Path, picture: bytes) -> None:
    async with GoogleStandIn() as vendor, served(tmp_path, rekindle(vendor.url)) as run:
        customer = await run.customer()
        job = await ordered(customer, "colourise", picture=await uploaded(customer, picture))
        assert (job["status"], job["error"]) == ("succeeded", None)
        assert await customer.credits() == (0, 0)
        assert vendor.billed == 1
        (attempt,) = await rows(run.services.flow, "SELECT * FROM attempts")
        assert (attempt["provider"], attempt["state"], attempt["tokens"]) == ("gemini", "finished", 1_980)
        assert (attempt["cost_microdollars"], bool(attempt["cost_estimated"])) == (35_130, False)
        result = (await customer.get(f"/results/{job['result']['id']}")).json()
        assert {"full", "thumb", "compare", "original"} == {variant["name"] for variant in result["variants"]}
        assert await run.services.database.read(ledger.violations) == []


async def test_a_refusal_gives_the_credits_back_and_is_told_without_the_vendors_words(
    tmp_path: Path, picture: bytes
) -> None:
    async with GoogleStandIn() as vendor, served(tmp_path, rekindle(vendor.url)) as run:
        vendor.faults.append(vendor.answered([], reason="IMAGE_SAFETY"))
        customer = await run.customer()
        job = await ordered(customer, "colourise", picture=await uploaded(customer, picture))
        assert (job["status"], job["error"]["code"]) == ("failed", "refused")
        assert "SAFETY" not in str(job["error"])
        assert await customer.credits() == (3, 0)
        (attempt,) = await rows(run.services.flow, "SELECT * FROM attempts")
        assert attempt["cost_microdollars"] > 0, "the vendor bills for what it refuses to show"


async def test_a_provider_that_gives_the_picture_back_has_not_done_its_work(tmp_path: Path, picture: bytes) -> None:
    async with GoogleStandIn() as vendor, served(tmp_path, rekindle(vendor.url)) as run:
        customer = await run.customer()
        upload = await uploaded(customer, picture)
        vendor.faults.append(vendor.with_picture(picture))
        job = await ordered(customer, "colourise", picture=upload)
        assert (job["status"], job["error"]["code"]) == ("failed", "broken")
        assert await customer.credits() == (3, 0)


async def test_a_picture_is_made_of_nothing_but_words(tmp_path: Path) -> None:
    words = {"inputs": {"what": {"kind": "text", "title": "What"}}, "task": "generate", "prompt": "Draw {what}."}
    async with GoogleStandIn() as vendor, served(tmp_path, rekindle(vendor.url, options={}, **words)) as run:
        customer = await run.customer()
        job = await ordered(customer, "colourise", what="a field under a wide sky")
        assert (job["status"], job["error"]) == ("succeeded", None)
        result = (await customer.get(f"/results/{job['result']['id']}")).json()
        assert {"full", "thumb"} == {variant["name"] for variant in result["variants"]}
        assert vendor.orders[0].json()["contents"][0]["parts"][0]["text"] == "Draw a field under a wide sky."
