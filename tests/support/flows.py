"""A flow without files: the engine alone, on a throw-away database, with a provider that does as told."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

import penstock.accounts.models
import penstock.billing.models
import penstock.jobs.models
import penstock.ledger.models
import penstock.media.models
import penstock.notify.models
import penstock.observability.models
import penstock.product.models  # noqa: F401 - each import declares tables
from penstock.jobs.flow import Claimed, Delivery, Flow
from penstock.jobs.order import Order, read_order
from penstock.jobs.worker import Worker
from penstock.kit.clock import Clock, SystemClock
from penstock.kit.database import Database, Transaction, metadata
from penstock.kit.postgres import PostgresDatabase
from penstock.kit.sqlite import Durability, SqliteDatabase
from penstock.ledger import service as ledger
from penstock.ledger.service import Grant
from penstock.notify.live import FINAL_TYPES, Hub
from penstock.product.schema import Product
from penstock.product.schema_work import Operation
from penstock.providers.seam import Attempt, Finished, Health, Provider, Request, Running, Submitted

PATIENCE_S = 60.0  # how long something that must happen may take on a busy machine before the test has failed

PRODUCT: dict[str, Any] = {
    "name": "testing",
    "brand": {"title": "Testing", "tagline": "A product for tests"},
    "operations": {
        "echo": {
            "title": "Echo",
            "description": "Says it again",
            "task": "echo",
            "inputs": {"words": {"kind": "text", "title": "Words", "required": False}},
            "price": 2,
            "route": ["main"],
        },
        "twofold": {
            "title": "Twofold",
            "description": "Has a second provider",
            "task": "echo",
            "inputs": {"words": {"kind": "text", "title": "Words", "required": False}},
            "price": 3,
            "route": ["main", "spare"],
        },
        "daring": {
            "title": "Daring",
            "description": "May pay twice",
            "task": "echo",
            "inputs": {"words": {"kind": "text", "title": "Words", "required": False}},
            "price": 1,
            "route": ["main"],
            "allow_second_charge": True,
        },
    },
    "plans": {
        "free": {
            "title": "Free",
            "description": "To try",
            "credits_month": 3,
            "limits": {"running": 1, "jobs_per_day": 10},
        },
        "paid": {
            "title": "Paid",
            "description": "For more",
            "price_usd_month": "9.99",
            "limits": {"running": 2},
            "head_start_s": 60,
        },
        "open": {"title": "Open", "description": "No limits to speak of", "limits": {"running": 100}, "spacing_s": 0},
    },
    "providers": {"main": {"adapter": "local", "concurrency": 100}, "spare": {"adapter": "local"}},
}


def make_product(**changes: Any) -> Product:
    """Return the product of the tests, with top-level tables replaced."""
    return Product.model_validate({**PRODUCT, **changes})


class OneProduct:
    """The same product under every version."""

    def __init__(self, product: Product) -> None:
        self.product = product

    def current(self) -> Product:
        return self.product

    def current_version(self) -> str:
        return "v1"

    def at(self, tx: Transaction, version: str) -> Product:
        return self.product


class NoFiles:
    """A studio for jobs without files."""

    def accept(self, tx: Transaction, account_id: str, operation: Operation, inputs: Mapping[str, Any]) -> None:
        return None

    def contents(
        self, tx: Transaction, account_id: str, operation: Operation, inputs: Mapping[str, Any]
    ) -> Mapping[str, str] | None:
        return {}

    def can_copy(self, tx: Transaction, job_id: str) -> bool:
        return False

    async def copy(self, job: Claimed, source: str) -> Delivery | None:
        return None

    async def prepare(self, job: Claimed, folder: Path) -> Mapping[str, Path]:
        return {}

    async def finish(self, job: Claimed, finished: Finished, folder: Path) -> Delivery:
        return Delivery(output=finished.values)

    def deliver(self, tx: Transaction, job: Claimed, delivery: Delivery) -> str | None:
        return None


Answer = Finished | Submitted
Act = Callable[[Request, Attempt], Answer | Awaitable[Answer]]


class FakeProvider:
    """Does what `act` says; counts what it was asked and remembers what it was paid for."""

    def __init__(
        self, name: str = "main", act: Act | None = None, *, billed: bool = False, reattachable: bool = False
    ) -> None:
        self.name = name
        self.tasks = frozenset({"echo"})
        self.billed, self.reattachable = billed, reattachable
        self.act = act or (lambda request, attempt: Finished(values={"said": dict(request.texts)}))
        self.sent: list[str] = []
        self.polled: list[str] = []
        self.cancelled: list[str] = []
        self.gate: asyncio.Event | None = None
        self.entered = asyncio.Event()
        self.answers: dict[str, Finished | Running] = {}
        self.looks: list[Running | Finished | Exception] = []  # what the next polls bring, before `answers`

    async def submit(self, request: Request, attempt: Attempt) -> Submitted | Finished:
        self.sent.append(request.job_id)
        self.entered.set()
        if self.gate is not None:
            await self.gate.wait()
        answer = self.act(request, attempt)
        return await answer if isinstance(answer, Awaitable) else answer

    async def poll(self, reference: str, request: Request) -> Running | Finished:
        self.polled.append(reference)
        if self.looks:
            seen = self.looks.pop(0)
            if isinstance(seen, Exception):
                raise seen
            return seen
        return self.answers.get(reference, Finished(values={"polled": reference}))

    async def cancel(self, reference: str) -> None:
        self.cancelled.append(reference)

    async def health(self) -> Health:
        return Health(ok=True)

    async def close(self) -> None:
        return None


def make_schema(path: Path) -> None:
    """Create every table in a fresh SQLite file, without migrations."""
    path.write_bytes(empty_database())


@cache
def empty_database() -> bytes:
    """Return a database file with every table; made once, for a copy is some hundred times cheaper."""
    raw = sqlite3.connect(":memory:")
    engine = create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool)
    metadata.create_all(engine)
    content = raw.serialize()
    engine.dispose()
    return content


@asynccontextmanager
async def open_flow(
    folder: Path,
    *providers: Provider,
    product: Product | None = None,
    clock: Clock | None = None,
    durability: Durability = "normal",
    url: str | None = None,
) -> AsyncIterator[Flow]:
    """Yield a flow on the PostgreSQL database at `url`, or on one in `folder`, created when missing."""
    clock = clock or SystemClock()
    database: Database
    if url is None:
        path = folder / "penstock.sqlite3"
        if not path.exists():
            make_schema(path)
        database = SqliteDatabase(path, clock=clock, durability=durability)
    else:
        database = await PostgresDatabase.open(url, clock=clock)
    chosen = providers or (FakeProvider(),)
    try:
        yield Flow(
            database=database,
            clock=clock,
            hub=Hub(),
            products=OneProduct(product or make_product()),
            studio=NoFiles(),
            providers={provider.name: provider for provider in chosen},
            folder=folder / "work",
        )
    finally:
        await database.close()


async def fund(flow: Flow, account_id: str, amount: int) -> None:
    """Give an account credits."""
    given = Grant(amount, "gift", f"test/{account_id}/{amount}", "For testing")
    await flow.database.write(ledger.grant, account_id, given)


def order(
    flow: Flow,
    account_id: str = "acc_1",
    operation: str = "echo",
    *,
    plan: str = "free",
    key: str | None = None,
    **inputs: str,
) -> Order:
    """Return a checked order."""
    return read_order(
        flow.products.current(),
        flow.providers,
        account_id=account_id,
        plan=plan,
        visitor=False,
        operation=operation,
        inputs=inputs,
        options={},
        idempotency_key=key,
    )


async def settled(flow: Flow, job_id: str) -> dict[str, Any]:
    """Wait until a job has ended and return its row."""
    await heard(flow, job_id, *FINAL_TYPES)
    return await job_row(flow, job_id)


async def heard(flow: Flow, job_id: str, *kinds: str, after: int = 0) -> dict[str, Any]:
    """Wait until a job's customer has been told of one of `kinds` and return that event."""
    account = (await job_row(flow, job_id))["account_id"]
    async with asyncio.timeout(PATIENCE_S), aclosing(flow.hub.follow(flow.database, account, after, job_id)) as events:
        async for event in events:
            if event["type"] in kinds:
                return event
    raise AssertionError(f"the events of {job_id} ended without any of {kinds}")


async def job_row(flow: Flow, job_id: str) -> dict[str, Any]:
    """Return a job as it stands in the table."""
    row = await flow.database.read(lambda tx: tx.one("SELECT * FROM jobs WHERE id = :id", id=job_id))
    assert row is not None, f"there is no job {job_id}"
    return row


async def rows(flow: Flow, sql: str, **parameters: Any) -> list[dict[str, Any]]:
    """Return what a query finds."""
    return await flow.database.read(lambda tx: tx.all(sql, **parameters))


async def wallet(flow: Flow, account_id: str = "acc_1") -> tuple[int, int]:
    """Return what is available and what is held, once the books have been found to be in order."""
    assert await flow.database.read(ledger.violations) == []
    found = await flow.database.write(ledger.lock, account_id)
    return found.available, found.held


@asynccontextmanager
async def working(flow: Flow, slots: int = 4) -> AsyncIterator[Worker]:
    """Yield a worker that claims; at the end it gives back what it has not finished."""
    worker = Worker(flow, slots)
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop(grace_s=0)
