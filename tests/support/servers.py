"""The real application on a throw-away data folder, with providers that do as told: in process, or on a free port."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from fastapi import FastAPI
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from penstock.accounts.passwords import Passwords
from penstock.app import server as serving
from penstock.app.application import create_app
from penstock.app.services import Parts, Services
from penstock.app.wiring import open_services
from penstock.billing.payments import Payments
from penstock.kit.clock import Clock
from penstock.ledger import service as ledger
from penstock.ledger.service import Grant
from penstock.product.loading import LoadedProduct
from penstock.product.schema import Product
from penstock.product.settings import Settings
from penstock.providers.seam import Provider
from tests.support.flows import PATIENCE_S, FakeProvider, NoFiles, make_product, settled

PASSWORD = "correct horse battery"
API = "/api/v1"
BASE = "http://penstock.test"
SECRET = "a secret of the test server, long enough"

SHARED: Mapping[str, str] = {}
"""Settings that every application here gets: the servers of a test that runs at scale."""

_customers, _gifts = itertools.count(1), itertools.count(1)


def cheap_passwords() -> Passwords:
    """Return passwords that take a moment to hash instead of a fifth of a second."""
    return Passwords(PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),)))


def loaded(product: Product, version: str = "v1") -> LoadedProduct:
    """Return a product as if it had been read from a file."""
    return LoadedProduct(product, "", version, ())


@dataclass
class Customer:
    """Somebody signed in, with a client that carries the token."""

    id: str
    email: str
    token: str
    run: "Running"

    @property
    def client(self) -> httpx2.AsyncClient:
        return self.run.client

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}

    async def get(self, path: str, **options: Any) -> httpx2.Response:
        return await self.client.get(API + path, headers=self.headers | options.pop("headers", {}), **options)

    async def post(self, path: str, json: Any = None, **options: Any) -> httpx2.Response:
        headers = self.headers | options.pop("headers", {})
        return await self.client.post(API + path, json=json, headers=headers, **options)

    async def delete(self, path: str) -> httpx2.Response:
        return await self.client.delete(API + path, headers=self.headers)

    async def submit(self, operation: str = "echo", *, key: str | None = None, **inputs: Any) -> dict[str, Any]:
        """Submit a job that is surely accepted, and return it."""
        headers = {} if key is None else {"Idempotency-Key": key}
        answer = await self.post("/jobs", {"operation": operation, "inputs": inputs}, headers=headers)
        assert answer.status_code in {200, 202}, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def job(self, job_id: str) -> dict[str, Any]:
        """Look at a job."""
        answer = await self.get(f"/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def ended(self, job_id: str) -> dict[str, Any]:
        """Wait until a job is over, and look at it."""
        await settled(self.run.services.flow, job_id)
        return await self.job(job_id)

    async def credits(self) -> tuple[int, int]:
        """Return what is available and what is held."""
        body = (await self.get("/credits")).json()
        return body["available"], body["held"]


@dataclass
class Running:
    """The application of a test and what it runs on."""

    services: Services
    app: FastAPI
    client: httpx2.AsyncClient
    providers: Mapping[str, FakeProvider]
    url: str = BASE
    customers: list[Customer] = field(default_factory=list)

    @property
    def provider(self) -> FakeProvider:
        """The first provider of the product's routes."""
        return self.providers["main"]

    async def customer(self, gift: int = 0, plan: str | None = None) -> Customer:
        """Sign somebody up; `gift` comes on top of what the plan brings."""
        email = f"customer{next(_customers)}@example.org"
        answer = await self.client.post(f"{API}/auth/register", json={"email": email, "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        self.client.cookies.clear()
        body = answer.json()
        customer = Customer(body["account"]["id"], email, body["access_token"], self)
        if gift:
            await self.give(customer, gift)
        if plan is not None:
            await self.services.database.write(self.services.accounts.set_plan, customer.id, plan, None)
        self.customers.append(customer)
        return customer

    async def give(self, customer: Customer, amount: int) -> None:
        """Give a customer credits."""
        given = Grant(amount, "gift", f"test/{next(_gifts)}", "For testing")
        await self.services.database.write(ledger.grant, customer.id, given)


def settings_in(folder: Path) -> Settings:
    """Return the settings of an application with its data in `folder`."""
    return Settings(data_dir=folder, secret=SECRET, **SHARED)  # type: ignore[arg-type]  # only addresses


@asynccontextmanager
async def running(
    folder: Path,
    *providers: FakeProvider,
    product: Product | None = None,
    works: bool = True,
    clock: Clock | None = None,
    files: bool = False,
    settings: Settings | None = None,
    environment: Mapping[str, str] | None = None,
    payments: Payments | None = None,
) -> AsyncIterator[Running]:
    """Run the application in this process, reached without a network; `files` lets jobs work on real pictures."""
    chosen = {provider.name: provider for provider in providers or (FakeProvider("main"), FakeProvider("spare"))}

    def make(name: str, _settings: Any, _around: Any) -> Provider:
        return chosen.setdefault(name, FakeProvider(name))

    parts = Parts(
        clock=clock,
        studio=None if files else NoFiles(),
        passwords=cheap_passwords(),
        factories={"local": make},
        durability="normal",
        payments=payments,
    )
    used = settings or settings_in(folder)
    around = environment or {}
    async with open_services(used, loaded(product or make_product()), around, works=works, parts=parts) as services:
        app = create_app(services)
        transport = httpx2.ASGITransport(app, client=("203.0.113.7", 4711))
        async with httpx2.AsyncClient(transport=transport, base_url=BASE) as client:
            yield Running(services, app, client, chosen)


@asynccontextmanager
async def listening(run: Running) -> AsyncIterator[Running]:
    """Let a running application listen on a free loopback port, for what needs a real connection."""
    listener = serving.listen("127.0.0.1", 0)
    url = serving.address_of(listener)
    started = asyncio.Event()
    server = serving.Server(serving.config_of(run.app), started.set)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        async with asyncio.timeout(PATIENCE_S):
            await started.wait()
        async with httpx2.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
            yield Running(run.services, run.app, client, run.providers, url)
    finally:
        run.services.streams.closing.set()
        server.should_exit = True
        await task
