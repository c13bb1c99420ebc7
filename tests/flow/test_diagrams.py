"""The example for diagrams, from the text to the Mermaid that its own parser has read, before stand-ins for vendors."""

import asyncio
import json
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from penstock.app.application import create_app
from penstock.app.services import Parts
from penstock.app.wiring import open_services
from penstock.diagrams import parser
from penstock.jobs.queue import LEASE_S
from penstock.kit.clock import Clock, ManualClock
from penstock.ledger import service as ledger
from penstock.product.schema import Product
from penstock.product.settings import Settings
from tests.support.flows import PATIENCE_S, rows, settled
from tests.support.servers import API, BASE, SECRET, Customer, Running, cheap_passwords, loaded
from tests.support.vendors import anthropic, openai
from tests.support.vendors.anthropic import AnthropicStandIn
from tests.support.vendors.openai import OpenAiStandIn
from tests.support.vendors.wire import KEY, Answer
from tests.support.worker_process import WorkerProcess

pytestmark = pytest.mark.embedded  # about one process by itself, and what it leaves behind

DIAGRAMS = Path(__file__).parents[2] / "examples" / "diagrams.toml"
PROSE = "Someone signs in, and is locked out after three wrong passwords."
GOOD, BAD = "flowchart TD\n  a --> b", "flowchart TD\n  a[ --> b"
KEYS = {"ANTHROPIC_API_KEY": KEY, "OPENAI_API_KEY": KEY}
ONE_CALL = 70  # microdollars, of the stand-in's usage


def document(anthropic_url: str = "", openai_url: str = "", **operation: Any) -> dict[str, Any]:
    """Return the example with its vendors elsewhere; `operation` changes `draw`."""
    read = tomllib.loads(DIAGRAMS.read_text(encoding="utf-8"))
    read["providers"]["anthropic"]["base_url"] = f"{anthropic_url or 'http://127.0.0.1:1'}/v1"
    read["providers"]["openai"]["base_url"] = f"{openai_url or 'http://127.0.0.1:1'}/v1"
    read["operations"]["draw"] |= operation
    return read


@asynccontextmanager
async def served(
    folder: Path, read: dict[str, Any], keys: dict[str, str], *, works: bool = True, clock: Clock | None = None
) -> AsyncIterator[Running]:
    parts = Parts(passwords=cheap_passwords(), durability="normal", clock=clock)
    settings = Settings(data_dir=folder, secret=SECRET)
    product = loaded(Product.model_validate(read))
    async with open_services(settings, product, keys, works=works, parts=parts) as services:
        app = create_app(services)
        transport = httpx2.ASGITransport(app, client=("203.0.113.7", 4711))
        async with httpx2.AsyncClient(transport=transport, base_url=BASE) as client:
            yield Running(services, app, client, {})


async def drawn(customer: Customer, text: str, **options: str) -> dict[str, Any]:
    answer = await customer.post("/jobs", {"operation": "draw", "inputs": {"text": text}, "options": options})
    assert answer.status_code == 202, answer.text
    await settled(customer.run.services.flow, answer.json()["id"])
    return await customer.job(answer.json()["id"])


async def an_hour_later(run: Running) -> None:
    """Let everything so far have been submitted an hour earlier."""
    await run.services.database.write(lambda tx: tx.run("UPDATE jobs SET created_at = created_at - 3601"))


async def attempts(run: Running) -> list[tuple[str, str, str | None, int, int | None]]:
    found = await rows(run.services.flow, "SELECT * FROM attempts ORDER BY started_at")
    return [(row["provider"], row["state"], row["failure"], row["calls"], row["cost_microdollars"]) for row in found]


def wrote(mermaid: str) -> Answer:
    return anthropic.said_so(json.dumps({"mermaid": mermaid}))


# ---- without a model ----------------------------------------------------------------------------------------------


async def test_a_structured_text_is_drawn_without_any_key(tmp_path: Path) -> None:
    async with served(tmp_path, document(), {}) as run:
        job = await drawn(await run.customer(), "A -> B: hello", kind="sequence")
        assert (job["status"], job["error"], job["price"]) == ("succeeded", None, 0)
        assert job["output"] == {"mermaid": job["output"]["mermaid"]}
        assert parser.read(job["output"]["mermaid"]).kind == "sequence"


async def test_prose_without_a_key_is_told_what_would_be_taken_and_is_not_counted(tmp_path: Path) -> None:
    async with served(tmp_path, document(), {}) as run:
        customer = await run.customer()
        job = await drawn(customer, PROSE)
        assert (job["status"], job["error"]["code"]) == ("failed", "invalid")
        assert "an indented outline, arrows" in job["error"]["detail"]
        assert "credit" not in str(job["error"]).lower()
        assert "picture" not in str(job["error"]).lower()
        usage = (await customer.get("/usage")).json()
        assert usage["day"]["used"] == 0


# ---- with a model -------------------------------------------------------------------------------------------------


async def test_prose_goes_on_to_the_model_with_the_kind_that_was_chosen(tmp_path: Path) -> None:
    async with AnthropicStandIn() as vendor, served(tmp_path, document(vendor.url), KEYS) as run:
        customer = await run.customer()
        job = await drawn(customer, PROSE, kind="state")
        assert job["output"] == {"mermaid": GOOD}
        (order,) = vendor.orders
        assert "state diagram" in order.json()["messages"][0]["content"]
        assert ("anthropic", "finished", None, 1, ONE_CALL) in await attempts(run)
        usage = (await customer.get("/usage")).json()
        assert usage["tokens"]["day"] == 1_200, usage


async def test_what_mermaid_cannot_read_is_shown_to_the_model_once_and_both_calls_are_paid(tmp_path: Path) -> None:
    async with AnthropicStandIn() as vendor, served(tmp_path, document(vendor.url), KEYS) as run:
        vendor.faults.extend([wrote(BAD), wrote(GOOD)])
        job = await drawn(await run.customer(), PROSE)
        assert (job["status"], job["output"]) == ("succeeded", {"mermaid": GOOD})
        first, second = (order.json()["messages"] for order in vendor.orders)
        assert second[0] == first[0]
        assert second[1] == {"role": "assistant", "content": BAD}
        assert "Parse error on line 3" in second[2]["content"]
        assert ("anthropic", "finished", None, 2, 2 * ONE_CALL) in await attempts(run)
        (reservations,) = await rows(run.services.flow, "SELECT COUNT(*) AS n, SUM(tokens) AS t FROM reservations")
        assert (reservations["n"], reservations["t"]) == (2, 2_400), "both count in the vendor's minute"


async def test_a_diagram_that_stays_broken_is_nobodys_the_next_provider_is_asked(tmp_path: Path) -> None:
    async with (
        AnthropicStandIn() as first,
        OpenAiStandIn() as second,
        served(tmp_path, document(first.url, second.url), KEYS) as run,
    ):
        first.faults.extend([wrote(BAD), wrote(BAD)])
        job = await drawn(await run.customer(), PROSE)
        assert (job["status"], job["output"]) == ("succeeded", {"mermaid": GOOD})
        assert (len(first.orders), len(second.orders)) == (2, 1)
        assert ("anthropic", "failed", "broken", 2, 2 * ONE_CALL) in await attempts(run)


async def test_if_nobody_draws_what_can_be_read_the_job_fails_and_is_not_counted(tmp_path: Path) -> None:
    async with (
        AnthropicStandIn() as first,
        OpenAiStandIn() as second,
        served(tmp_path, document(first.url, second.url), KEYS) as run,
    ):
        first.faults.extend([wrote(BAD), wrote(BAD)])
        second.faults.extend([openai.said_so(f"```mermaid\n{BAD}\n```"), openai.said_so(BAD)])
        customer = await run.customer()
        job = await drawn(customer, PROSE)
        assert (job["status"], job["error"]["code"], job["output"]) == ("failed", "broken", None)
        assert (len(first.orders), len(second.orders)) == (2, 2)
        assert "Parse error" not in str(job["error"])
        assert (await customer.get("/usage")).json()["day"]["used"] == 0
        assert await run.services.database.read(ledger.violations) == []


@pytest.mark.parametrize("refused_at", [0, 1])
async def test_a_refusal_is_told_as_one_also_of_the_repair(tmp_path: Path, refused_at: int) -> None:
    refusal = anthropic.said_so("", "refusal", {"type": "refusal", "category": "cyber"})
    async with AnthropicStandIn() as vendor, served(tmp_path, document(vendor.url), KEYS) as run:
        vendor.faults.extend([*[wrote(BAD)] * refused_at, refusal])
        job = await drawn(await run.customer(), PROSE)
        assert (job["status"], job["error"]["code"]) == ("failed", "refused")
        assert len(vendor.orders) == refused_at + 1


async def test_a_repair_that_is_too_dear_is_not_asked_for(tmp_path: Path) -> None:
    async with AnthropicStandIn() as vendor:
        cheap = document(vendor.url, route=["anthropic"], max_cost_usd="0.0001")
        cheap["providers"]["anthropic"]["cost_usd"] = "0.0001"
        async with served(tmp_path, cheap, KEYS) as run:
            vendor.faults.append(wrote(BAD))
            job = await drawn(await run.customer(), PROSE)
            assert job["status"] == "failed"
            assert len(vendor.orders) == 1


async def test_chatter_and_fences_around_a_diagram_are_taken_away(tmp_path: Path) -> None:
    async with OpenAiStandIn() as vendor:
        said = openai.said_so(f"Here is your diagram.\n\n```mermaid\n{GOOD}\n```\nAnything else?")
        async with served(tmp_path, document(openai_url=vendor.url, route=["openai"]), KEYS) as run:
            vendor.faults.append(said)
            assert (await drawn(await run.customer(), PROSE))["output"] == {"mermaid": GOOD}


# ---- killed on the way --------------------------------------------------------------------------------------------


async def test_killed_during_the_repair_nothing_is_sent_a_third_time(tmp_path: Path) -> None:
    async with AnthropicStandIn() as vendor:
        read = document(vendor.url, route=["anthropic"])
        vendor.faults.extend([wrote(BAD), "silent"])
        async with served(tmp_path / "data", read, KEYS, works=False) as run:
            customer = await run.customer()
            answer = await customer.post("/jobs", {"operation": "draw", "inputs": {"text": PROSE}, "options": {}})
            job_id = answer.json()["id"]
        changes = {name: read[name] for name in ("operations", "providers", "plans")}
        worker = WorkerProcess(tmp_path, tmp_path, {}, lease_s=LEASE_S, product=changes, environment=KEYS)
        await asyncio.to_thread(worker.start)
        async with asyncio.timeout(PATIENCE_S):
            await vendor.held.wait()
        await asyncio.to_thread(worker.kill)
        vendor.release.set()
        async with served(tmp_path / "data", read, KEYS) as run:
            customer.run = run
            job = await customer.ended(job_id)
            assert (job["status"], job["error"]["code"]) == ("failed", "unknown")
            assert len(vendor.orders) == 2
            assert await attempts(run) == [("anthropic", "failed", "unknown", 2, ONE_CALL)]


# ---- so many a day ------------------------------------------------------------------------------------------------


async def test_the_eleventh_of_the_day_is_refused_with_a_time_to_come_back(tmp_path: Path) -> None:
    async with served(tmp_path, document(cache=None), {}, works=False, clock=ManualClock()) as run:
        customer = await run.customer()
        order = {"operation": "draw", "inputs": {"text": "A -> B"}, "options": {}}
        for at in range(10):
            if at == 5:
                answer = await customer.post("/jobs", order)
                assert (answer.status_code, answer.json()["code"]) == (429, "plan_limit")
                assert "5 jobs an hour" in answer.json()["detail"]
                await an_hour_later(run)
            assert (await customer.post("/jobs", order)).status_code == 202
        await an_hour_later(run)
        refused = await customer.post("/jobs", order)
        problem = refused.json()
        assert (refused.status_code, problem["code"]) == (429, "plan_limit")
        assert "10 jobs a day" in problem["detail"]
        assert problem["retry_after_s"] == pytest.approx(86_400 - 2 * 3_601, abs=1)
        assert refused.headers["retry-after"]
        assert [action["kind"] for action in problem["actions"]] == ["wait", "upgrade"]


async def test_the_second_at_one_time_waits_and_is_not_refused(tmp_path: Path) -> None:
    async with served(tmp_path, document(cache=None), {}, works=False) as run:
        customer = await run.customer()
        order = {"operation": "draw", "inputs": {"text": "A -> B"}, "options": {}}
        jobs = [(await customer.post("/jobs", order)).json() for _ in range(2)]
        assert [job["status"] for job in jobs] == ["queued", "queued"]
        states = await rows(run.services.flow, "SELECT state FROM jobs ORDER BY created_at, id")
        assert [row["state"] for row in states] == ["ready", "waiting"]


async def test_what_everybody_may_read_of_the_product_has_templates_and_no_credits(tmp_path: Path) -> None:
    async with served(tmp_path, document(), {}) as run:
        product = (await run.client.get(f"{API}/product")).json()
        (operation,) = product["operations"]
        assert len(operation["inputs"][0]["templates"]) == 6
        assert all(plan["credits_month"] == 0 for plan in product["plans"])
        customer = await run.customer()
        for template in operation["inputs"][0]["templates"][:5]:  # the sixth needs a model
            job = await drawn(customer, template["text"])
            assert job["status"] == "succeeded", template["title"]
