"""Penstock's flow with everything real but the work itself: a provider that answers at once, jobs without files."""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine

from benchmarks.engines.report import NOTE
from penstock.app.tables import metadata
from penstock.jobs.flow import Claimed, Delivery, Flow
from penstock.jobs.order import Order, read_order
from penstock.kit.clock import Clock, SystemClock
from penstock.kit.database import Database, Transaction
from penstock.kit.postgres import PostgresDatabase
from penstock.kit.sqlite import Durability, SqliteDatabase
from penstock.ledger import service as ledger
from penstock.ledger.service import Grant
from penstock.notify.live import Hub
from penstock.product.schema import Product
from penstock.product.schema_work import Operation
from penstock.providers.seam import Attempt, Finished, Health, Request, Running, Submitted

PRICE_CREDITS = 2
RUNNING_LIMIT = 2  # jobs that one customer may have ready or running
SLOTS = 200  # jobs that the worker runs at one time

PRODUCT = Product.model_validate(
    {
        "name": "bench",
        "brand": {"title": "Bench", "tagline": "Nothing, as fast as it goes"},
        "operations": {
            "nothing": {
                "title": "Nothing",
                "description": "Does nothing",
                "task": "nothing",
                "inputs": {"words": {"kind": "text", "title": "Words"}},
                "price": PRICE_CREDITS,
                "route": ["idle"],
            }
        },
        "plans": {"paid": {"title": "Paid", "description": "Paid", "limits": {"running": RUNNING_LIMIT}}},
        "providers": {"idle": {"adapter": "local", "concurrency": SLOTS}},
        "workers": {"slots": SLOTS},
    }
)


class IdleProvider:
    """Answers at once; tells `entered` the monotonic moment at which it was asked."""

    name = "idle"
    tasks = frozenset({"nothing"})
    billed = False
    reattachable = False

    def __init__(self) -> None:
        """Tell nobody."""
        self.entered: Callable[[float], None] | None = None

    async def submit(self, request: Request, attempt: Attempt) -> Submitted | Finished:
        """Do nothing."""
        if self.entered is not None:
            self.entered(time.monotonic())
        return Finished()

    async def poll(self, reference: str, request: Request) -> Running | Finished:
        """Never asked: nothing is handed over."""
        raise NotImplementedError

    async def cancel(self, reference: str) -> None:
        """Nothing to cancel."""

    async def health(self) -> Health:
        """Always well."""
        return Health(ok=True)

    async def close(self) -> None:
        """Nothing to give back."""


class CountingStudio:
    """No files; calls `delivered` for each job whose settle is on disk."""

    def __init__(self, delivered: Callable[[], None]) -> None:
        """Call `delivered` on the event loop."""
        self._delivered = delivered

    def accept(self, tx: Transaction, account_id: str, operation: Operation, inputs: Mapping[str, Any]) -> None:
        """Nothing to check."""

    def contents(
        self, tx: Transaction, account_id: str, operation: Operation, inputs: Mapping[str, Any]
    ) -> Mapping[str, str] | None:
        return {}

    def can_copy(self, tx: Transaction, job_id: str) -> bool:
        return False

    async def copy(self, job: Claimed, source: str) -> Delivery | None:
        return None

    async def prepare(self, job: Claimed, folder: Path) -> Mapping[str, Path]:
        """Nothing to prepare."""
        return {}

    async def finish(self, job: Claimed, finished: Finished, folder: Path) -> Delivery:
        """Nothing to store."""
        return Delivery()

    def deliver(self, tx: Transaction, job: Claimed, delivery: Delivery) -> str | None:
        """Count the job once its end is committed."""
        tx.after_commit(self._delivered)
        return None


class OneProduct:
    """The same product under every version."""

    def current(self) -> Product:
        """Return it."""
        return PRODUCT

    def current_version(self) -> str:
        """Return the one version."""
        return "v1"

    def at(self, tx: Transaction, version: str) -> Product:
        """Return it for any version."""
        return PRODUCT


@asynccontextmanager
async def open_flow(
    folder: Path,
    provider: IdleProvider,
    *,
    delivered: Callable[[], None],
    durability: Durability = "full",
    url: str | None = None,
) -> AsyncIterator[Flow]:
    """Yield a flow on the PostgreSQL database at `url`, which has its tables, or on a fresh SQLite file in `folder`."""
    clock = SystemClock()
    database: Database
    if url is None:
        database = _sqlite(folder / "penstock.sqlite3", clock, durability)
    else:
        database = await PostgresDatabase.open(url, clock=clock)
    try:
        yield Flow(
            database=database,
            clock=clock,
            hub=Hub(),
            products=OneProduct(),
            studio=CountingStudio(delivered),
            providers={provider.name: provider},
            folder=folder / "work",
        )
    finally:
        await database.close()


def _sqlite(path: Path, clock: Clock, durability: Durability) -> SqliteDatabase:
    engine = create_engine(f"sqlite:///{path}")
    metadata.create_all(engine)
    engine.dispose()
    return SqliteDatabase(path, clock=clock, durability=durability)


def fund(tx: Transaction, accounts: list[str], amount: int) -> None:
    """Give every account `amount` credits."""
    for account_id in accounts:
        ledger.grant(tx, account_id, Grant(amount, "gift", f"bench/{account_id}", "To spend"))


def order(flow: Flow, account_id: str, key: str) -> Order:
    """Return a checked order for one job."""
    return read_order(
        PRODUCT,
        flow.providers,
        account_id=account_id,
        plan="paid",
        visitor=False,
        operation="nothing",
        inputs={"words": NOTE},
        options={},
        idempotency_key=key,
    )
