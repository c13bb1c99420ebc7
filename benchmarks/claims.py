"""What a claim costs with 10, 1,000 and 100,000 jobs in the queue, and with one customer holding 90 % of them.

A claim reads the head of a partial index, so neither how many wait behind it nor who they belong to should matter. On
SQLite the figure is the CPU time of the database's thread for one claim of one job, on PostgreSQL the time until the
server on the same machine has answered; the median of many. Each claimed job goes back to the end of the queue, so that
every claim takes another one. Sizes are measured in turns.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncpg
from tests.support.postgres import Server

from benchmarks.engines.noop import RUNNING_LIMIT, IdleProvider, open_flow
from benchmarks.engines.postgres_server import postgres_server
from benchmarks.figure import Figure
from penstock.jobs import queue
from penstock.jobs.flow import Flow
from penstock.kit.database import Transaction

GROUP = "claim"
SIZES = (10, 1_000, 100_000)  # jobs in the queue
ROUNDS, CLAIMS = 5, 100  # claims of each queue in a round
LARGE_SHARE = 0.9  # of the queue belongs to one customer, in the second measurement

TO_THE_END = "UPDATE jobs SET state = 'ready', lease_until = NULL, rank = :rank WHERE id = :id"


Took = dict[tuple[int, bool], float]
"""Microseconds of a claim, by size of the queue and whether one customer holds most of it."""


def figures(out: Path) -> list[Figure]:
    """Measure; `out` stays empty."""
    found = compare("claim.cost", asyncio.run(measure(SIZES, ROUNDS, CLAIMS)))
    with postgres_server() as server:
        return found + compare("claim.postgres", asyncio.run(measure(SIZES, ROUNDS, CLAIMS, server)))


async def measure(sizes: tuple[int, ...], rounds: int, claims: int, server: Server | None = None) -> Took:
    """Return what a claim takes on `server`, or else on SQLite."""
    took: dict[tuple[int, bool], list[float]] = {}
    clock_ns = time.thread_time_ns if server is None else time.perf_counter_ns
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="penstock-bench-")))
        flows = {
            (size, large): await _filled(stack, folder / f"{size}-{large}", backlog(size, large=large), server)
            for size in sizes
            for large in (False, True)
        }
        for _ in range(rounds):
            for queue_of, flow in flows.items():
                for _ in range(claims):
                    took.setdefault(queue_of, []).append(await flow.database.write(timed_claim, clock_ns))
    return {queue_of: statistics.median(times) for queue_of, times in took.items()}


async def _filled(stack: AsyncExitStack, folder: Path, rows: Iterator[dict[str, Any]], server: Server | None) -> Flow:
    folder.mkdir()
    url = None if server is None else server.make_database()
    flow = await stack.enter_async_context(
        open_flow(folder, IdleProvider(), durability="normal", delivered=lambda: None, url=url)
    )
    await flow.database.write(lambda tx: tx.many(queue.INSERT_JOB, list(rows)))
    if url is not None:
        await _tidied(url)
    return flow


async def _tidied(url: str) -> None:
    """Do at once what a running server does by itself before long."""
    connection = await asyncpg.connect(url)
    await connection.execute("VACUUM (ANALYZE) jobs")
    await connection.close()


def backlog(size: int, *, large: bool) -> Iterator[dict[str, Any]]:
    """Yield the rows of a queue: every customer's first jobs ready as far as its limit goes, the others waiting.

    Args:
        large: whether the first customer holds `LARGE_SHARE` of the jobs; otherwise everybody holds as many as may run.
    """
    theirs = round(size * LARGE_SHARE) if large else 0
    for number in range(size):
        mine = number < theirs
        customer = 0 if mine else 1 + (number - theirs) // RUNNING_LIMIT
        yield {
            "id": f"job_{number:09}",
            "account_id": f"acc_{customer}",
            "operation": "nothing",
            "plan": "paid",
            "product_version": "v1",
            "price": 1,
            "inputs": "{}",
            "options": "{}",
            "state": "waiting" if mine and number >= RUNNING_LIMIT else "ready",
            "rank": float(number),
            "now": 0.0,
            "predicted_wait_s": None,
            "cache_key": None,
            "cached_from": None,
        }


def timed_claim(tx: Transaction, clock_ns: Callable[[], int]) -> float:
    """Claim one job, put it at the end of the queue again; returns the microseconds of the claim alone."""
    started = clock_ns()
    (job,) = queue.claim(tx, "wkr_bench", 1)
    took = clock_ns() - started
    tx.run(TO_THE_END, id=job["id"], rank=tx.now)
    return took / 1_000


def compare(prefix: str, took: Took) -> list[Figure]:
    """Turn the medians into figures, each against the shortest queue with many customers."""
    shortest = min(size for size, _ in took)
    base = f"{prefix}.{shortest}"
    found = []
    for (size, large), cost in sorted(took.items(), key=lambda one: (one[0][1], one[0][0])):
        name = f"{prefix}.{size}" + (".one_customer" if large else "")
        ratios = {} if name == base else {base: cost / took[shortest, False]}
        found.append(Figure(name, cost, "us", ratios))
    return found
