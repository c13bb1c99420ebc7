"""Workers that are killed on the way to a vendor, for every adapter: nothing is sent twice, nothing that can be found
again is lost, and customer and ledger come out right.

The worker is a process of its own that ends by SIGKILL; the vendor is a stand-in that speaks its wire format.
"""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image
from training.photographs import photograph

from penstock.app.application import create_app
from penstock.app.services import Parts
from penstock.app.wiring import open_services
from penstock.jobs.queue import LEASE_S
from penstock.ledger import service as ledger
from penstock.product.adapters import TASKS
from penstock.product.settings import Settings
from tests.support.flows import PATIENCE_S, rows
from tests.support.servers import API, BASE, SECRET, Customer, Running, cheap_passwords, loaded
from tests.support.vendors import google
from tests.support.vendors.case import KEY_NAME, Case
from tests.support.vendors.cases import CASES, document_of, product_of
from tests.support.vendors.wire import KEY, StandIn
from tests.support.worker_process import WorkerProcess

pytestmark = pytest.mark.embedded  # it says by itself what it runs on

KILLED = -9
CREDITS, PRICE = 3, 2  # what the first plan brings, and what the work costs
ENVIRONMENT = {KEY_NAME: KEY}
FOUND_AGAIN = [case for case in CASES if case.endless is not None]


@dataclass
class Stage:
    """A vendor, and a data folder that processes come and go on."""

    case: Case
    vendor: StandIn
    folder: Path
    operation: dict[str, Any]

    @asynccontextmanager
    async def served(self, *, works: bool) -> AsyncIterator[Running]:
        """Yield the application on the folder: all that is left of what a killed worker did."""
        parts = Parts(passwords=cheap_passwords(), durability="normal")
        settings = Settings(data_dir=self.folder / "data", secret=SECRET)
        product = loaded(product_of(self.case, self.vendor.url, **self.operation))
        async with open_services(settings, product, ENVIRONMENT, works=works, parts=parts) as services:
            app = create_app(services)
            transport = httpx2.ASGITransport(app, client=("203.0.113.7", 4711))
            async with httpx2.AsyncClient(transport=transport, base_url=BASE) as client:
                yield Running(services, app, client, {})

    def worker(self, dies_at: str | None = None) -> WorkerProcess:
        document = document_of(self.case, self.vendor.url, **self.operation)
        changes = {name: document[name] for name in ("operations", "providers")}
        return WorkerProcess(
            self.folder,
            self.folder,
            {},
            lease_s=LEASE_S,  # whoever comes alone waits for no lease, and one that stands still for a while keeps it
            product=changes,
            environment=ENVIRONMENT,
            dies_at=dies_at,
        )

    async def submitted(self) -> tuple[Customer, str]:
        """Let a customer submit the work while nobody works; returns both."""
        async with self.served(works=False) as run:
            customer = await run.customer()
            inputs = {"text": "a field under a wide sky"}
            if "picture" in TASKS[self.case.task]:
                inputs = {"picture": await _uploaded(customer)}
            return customer, (await customer.submit("work", **inputs))["id"]

    async def killed_at(self, label: str) -> None:
        """Let a worker take the job and die at a checkpoint."""
        worker = await asyncio.to_thread(self.worker(label).start)
        assert await asyncio.to_thread(worker.died) == KILLED

    async def killed_while_the_vendor_works(self) -> None:
        """Let a worker take the job and die between the order and its answer."""
        self.vendor.faults.append("silent")
        worker = await asyncio.to_thread(self.worker().start)
        async with asyncio.timeout(PATIENCE_S):
            await self.vendor.held.wait()
        await asyncio.to_thread(worker.kill)
        self.vendor.release.set()

    async def mended(self, customer: Customer, job_id: str) -> "Ended":
        """Let a new process do what is left, and look at what it came to."""
        async with self.served(works=True) as run:
            customer.run = run
            job = await customer.ended(job_id)
            attempts = await rows(run.services.flow, "SELECT * FROM attempts ORDER BY number")
            assert await run.services.database.read(ledger.violations) == []
            return Ended(job, attempts, await customer.credits())


@dataclass
class Ended:
    """What it came to; `credits` are available and held."""

    job: dict[str, Any]
    attempts: list[dict[str, Any]]
    credits: tuple[int, int]


async def _uploaded(customer: Customer) -> str:
    out = io.BytesIO()
    Image.fromarray(photograph("astronaut", 256)).convert("L").save(out, "PNG")
    files = {"file": ("old.png", out.getvalue(), "image/png")}
    answer = await customer.client.post(f"{API}/uploads", files=files, headers=customer.headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


@asynccontextmanager
async def staged(case: Case, folder: Path, **operation: Any) -> AsyncIterator[Stage]:
    async with case.stand_in() as vendor:
        if hasattr(vendor, "looks_needed"):
            vendor.looks_needed = 0  # work is done at the first look
        yield Stage(case, vendor, folder, operation)


def given_back(stage: Stage, ended: Ended) -> None:
    """Check what must be where nobody knows whether the vendor bills: paid once by us, by the customer never."""
    assert (ended.job["status"], ended.job["error"]["code"]) == ("failed", "unknown")
    assert ended.credits == (CREDITS, 0)
    assert len(stage.vendor.orders) <= 1
    (attempt,) = ended.attempts
    assert (attempt["provider"], attempt["state"], attempt["failure"]) == ("vendor", "failed", "unknown")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.label)
async def test_killed_between_send_and_answer_nothing_is_sent_twice(case: Case, tmp_path: Path) -> None:
    async with staged(case, tmp_path) as stage:
        customer, job_id = await stage.submitted()
        await stage.killed_while_the_vendor_works()
        given_back(stage, await stage.mended(customer, job_id))
        assert stage.vendor.billed == 1


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.label)
async def test_killed_before_the_answer_is_written_down_nothing_is_sent_twice(case: Case, tmp_path: Path) -> None:
    async with staged(case, tmp_path) as stage:
        customer, job_id = await stage.submitted()
        await stage.killed_at("provider.answered")
        assert stage.vendor.billed == 1
        given_back(stage, await stage.mended(customer, job_id))
        assert stage.vendor.billed == 1


@pytest.mark.parametrize("case", FOUND_AGAIN, ids=lambda case: case.label)
async def test_killed_between_id_and_poll_the_work_is_found_again(case: Case, tmp_path: Path) -> None:
    async with staged(case, tmp_path) as stage:
        customer, job_id = await stage.submitted()
        await stage.killed_at("provider.referenced")
        assert (len(stage.vendor.orders), stage.vendor.billed) == (1, 1)
        ended = await stage.mended(customer, job_id)
        assert (ended.job["status"], ended.job["error"]) == ("succeeded", None)
        assert ended.credits == (CREDITS - PRICE, 0)
        assert (len(stage.vendor.orders), stage.vendor.billed) == (1, 1)
        (attempt,) = ended.attempts
        assert (attempt["state"], attempt["failure"]) == ("finished", None)
        assert (attempt["cost_microdollars"], bool(attempt["cost_estimated"])) == case.cost


async def test_killed_before_the_order_it_may_have_been_sent_for_all_that_anybody_knows(tmp_path: Path) -> None:
    async with staged(google.CASE, tmp_path) as stage:
        customer, job_id = await stage.submitted()
        await stage.killed_at("provider.send")
        given_back(stage, await stage.mended(customer, job_id))
        assert stage.vendor.orders == []


async def test_where_a_second_charge_is_allowed_it_is_sent_again(tmp_path: Path) -> None:
    async with staged(google.CASE, tmp_path, allow_second_charge=True) as stage:
        customer, job_id = await stage.submitted()
        await stage.killed_while_the_vendor_works()
        ended = await stage.mended(customer, job_id)
        assert (ended.job["status"], ended.credits) == ("succeeded", (CREDITS - PRICE, 0))
        assert (len(stage.vendor.orders), stage.vendor.billed) == (2, 2)
        assert [(each["state"], each["failure"]) for each in ended.attempts] == [
            ("failed", "unknown"),
            ("finished", None),
        ]
