"""Penstock's engine as a program: `lifecycle` runs paid jobs from submit to settled, `idle` one job at a time.

`settle` works off jobs that were submitted beforehand, which is what a peer's drain is compared with.

Everything goes through the engine's own functions: `submit` with a hold and an idempotency key, and a `Worker` that
claims, asks the provider, and settles with a capture. At the end the books are checked; a wrong one is a failure.
"""

import argparse
import asyncio
import itertools
import logging
import random
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

import structlog
import uvloop
from tests.support.postgres import Server

from benchmarks.engines.noop import PRICE_CREDITS, SLOTS, IdleProvider, fund, open_flow, order
from benchmarks.engines.postgres_server import postgres_cpu_s, postgres_server
from benchmarks.engines.report import IDLE_GAP_S, MAX_S, WARM_UP, cpu_s, hand_in, points
from penstock.jobs.flow import Flow
from penstock.jobs.submit import submit
from penstock.jobs.worker import Worker
from penstock.kit.database import Transaction
from penstock.kit.sqlite import Durability
from penstock.ledger import service as ledger

CUSTOMERS = 200
SUBMITTERS = 50  # requests that are open at one time

ACCOUNTS = [f"acc_{number}" for number in range(CUSTOMERS)]


class WrongBooksError(Exception):
    """After the run something is not as it must be."""


class _Counter:
    def __init__(self, wanted: int) -> None:
        self.done, self._wanted = asyncio.Event(), wanted

    def one(self) -> None:
        self._wanted -= 1
        if self._wanted == 0:
            self.done.set()


@dataclass(frozen=True)
class Place:
    """Which database an engine works on: a PostgreSQL server, or else an SQLite file in `folder`."""

    folder: Path
    durability: Durability = "full"
    server: Server | None = None

    def cpu_s(self) -> float:
        """Return the seconds of CPU used by us and by the server."""
        return cpu_s() + (0.0 if self.server is None else postgres_cpu_s(self.server))

    def opened(self, provider: IdleProvider, delivered: Callable[[], None]) -> AbstractAsyncContextManager[Flow]:
        """Return a flow on a fresh database."""
        url = None if self.server is None else self.server.make_database()
        return open_flow(self.folder, provider, durability=self.durability, delivered=delivered, url=url)


async def lifecycle(place: Place, jobs: int) -> dict[str, float]:
    """Run `jobs` whole paid lifecycles; returns jobs per second and microseconds of CPU for each job.

    Errors: WrongBooksError.
    """
    counter = _Counter(jobs)
    async with place.opened(IdleProvider(), counter.one) as flow:
        await flow.database.write(fund, ACCOUNTS, jobs * PRICE_CREDITS)
        worker = Worker(flow, SLOTS)
        await worker.start()
        spent, started = place.cpu_s(), time.perf_counter()
        async with asyncio.timeout(MAX_S):
            await _submit_all(flow, jobs)
            await counter.done.wait()
        took, spent = time.perf_counter() - started, place.cpu_s() - spent
        await worker.stop(grace_s=1.0)
        await flow.database.read(check_books, jobs)
    return {"rate": jobs / took, "cpu_us": spent / jobs * 1e6}


async def settle(place: Place, jobs: int) -> dict[str, float]:
    """Submit `jobs`, then let a worker claim, run and settle them; returns settles per second, and CPU for each.

    Errors: WrongBooksError.
    """
    counter = _Counter(jobs)
    async with place.opened(IdleProvider(), counter.one) as flow:
        await flow.database.write(fund, ACCOUNTS, jobs * PRICE_CREDITS)
        await _submit_all(flow, jobs)
        worker = Worker(flow, SLOTS)
        spent, started = place.cpu_s(), time.perf_counter()
        await worker.start()
        async with asyncio.timeout(MAX_S):
            await counter.done.wait()
        took, spent = time.perf_counter() - started, place.cpu_s() - spent
        await worker.stop(grace_s=1.0)
        await flow.database.read(check_books, jobs)
    return {"rate": jobs / took, "cpu_us": spent / jobs * 1e6}


async def _submit_all(flow: Flow, jobs: int) -> None:
    numbers = iter(range(jobs))
    customers = itertools.cycle(random.Random(1).sample(ACCOUNTS, CUSTOMERS))

    async def submitter() -> None:
        for number in numbers:
            await submit(flow, order(flow, next(customers), f"key-{number}"))

    await asyncio.gather(*(submitter() for _ in range(SUBMITTERS)))


def check_books(tx: Transaction, jobs: int) -> None:
    """Make sure that every job succeeded, once, and that every credit is explained. Errors: WrongBooksError."""
    states = {row["state"]: row["jobs"] for row in tx.all("SELECT state, COUNT(*) AS jobs FROM jobs GROUP BY state")}
    spent = tx.value("SELECT SUM(amount) FROM transfers WHERE credit = 'spent'")
    wrong = ledger.violations(tx)
    if states != {"succeeded": jobs}:
        wrong.append(f"of {jobs} jobs there are {states}")
    if spent != jobs * PRICE_CREDITS:
        wrong.append(f"{spent} credits were spent instead of {jobs * PRICE_CREDITS}")
    if wrong:
        raise WrongBooksError("; ".join(wrong))


async def idle(place: Place, jobs: int) -> dict[str, float]:
    """Submit `jobs` one at a time to an idle worker; returns the milliseconds from submit to the provider's start."""
    provider, settled = IdleProvider(), asyncio.Event()
    entered: list[float] = []
    provider.entered = entered.append
    waits, chance = [], random.Random(1)
    async with place.opened(provider, settled.set) as flow:
        await flow.database.write(fund, ACCOUNTS, jobs * PRICE_CREDITS)
        worker = Worker(flow, SLOTS)
        await worker.start()
        for number in range(jobs + WARM_UP):
            await asyncio.sleep(chance.uniform(*IDLE_GAP_S))
            settled.clear()
            asked = time.monotonic()
            await submit(flow, order(flow, ACCOUNTS[number % CUSTOMERS], f"key-{number}"))
            async with asyncio.timeout(MAX_S):
                await settled.wait()
            waits.append((entered[-1] - asked) * 1e3)
        await worker.stop(grace_s=1.0)
    return points(waits[WARM_UP:])


def main() -> None:
    """Measure and print; see `benchmarks.engines.report`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("lifecycle", "settle", "idle"))
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--on", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--durability", choices=("full", "normal"), default="full", help="of SQLite")
    parser.add_argument("--folder", type=Path, required=True)
    chosen = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    measure = {"lifecycle": lifecycle, "settle": settle, "idle": idle}[chosen.what]
    with ExitStack() as stack:
        server = stack.enter_context(postgres_server()) if chosen.on == "postgres" else None
        runner = stack.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
        hand_in(runner.run(measure(Place(chosen.folder, chosen.durability, server), chosen.jobs)))


if __name__ == "__main__":
    main()
