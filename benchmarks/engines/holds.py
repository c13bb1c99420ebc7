"""Holds and captures on PostgreSQL, as a program: `ours` by the ledger's functions, `procedure` by `holds.sql`.

Each hold and each capture is a transaction of its own; both work on the same tables, and at the end the ledger's books
are checked for both.
"""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import uvloop

from benchmarks.engines.noop import fund
from benchmarks.engines.ours import WrongBooksError
from benchmarks.engines.postgres_server import postgres_cpu_s, postgres_server
from benchmarks.engines.report import MAX_S, cpu_s, hand_in
from penstock.kit.database import Transaction
from penstock.kit.postgres import CONNECTIONS, PostgresDatabase
from penstock.ledger import service as ledger

AMOUNT = 2  # credits of each hold
AT_ONCE = 50  # customers' requests that are open at one time
PROCEDURES = Path(__file__).with_name("holds.sql")

Step = Callable[[str, str], Awaitable[object]]
"""Something done for an account and a job."""


async def measure(how: str, url: str, wallets: int, pairs: int, spent_s: Callable[[], float]) -> dict[str, float]:
    """Do `pairs` holds and captures; returns pairs per second and microseconds of CPU. Errors: WrongBooksError."""
    accounts = [f"acc_{number}" for number in range(wallets)]
    database = await PostgresDatabase.open(url)
    try:
        await database.write(fund, accounts, AMOUNT * pairs)
        doing = _ours(database, accounts, pairs) if how == "ours" else _procedure(url, accounts, pairs)
        spent, took = -spent_s(), await doing
        spent += spent_s()
        await database.read(check_books, pairs)
    finally:
        await database.close()
    return {"rate": pairs / took, "cpu_us": spent / pairs * 1e6}


async def _ours(database: PostgresDatabase, accounts: list[str], pairs: int) -> float:
    async def hold(account_id: str, job_id: str) -> None:
        await database.write_for(account_id, _hold, account_id, job_id)

    async def capture(account_id: str, job_id: str) -> None:
        await database.write_for(account_id, _capture, account_id, job_id)

    return await _timed(hold, capture, accounts, pairs)


def _hold(tx: Transaction, account_id: str, job_id: str) -> None:
    ledger.hold(tx, ledger.lock(tx, account_id), job_id, AMOUNT, "Held")


def _capture(tx: Transaction, account_id: str, job_id: str) -> None:
    ledger.capture(tx, ledger.lock(tx, account_id), job_id, AMOUNT, "Spent")


async def _procedure(url: str, accounts: list[str], pairs: int) -> float:
    async with asyncpg.create_pool(url, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool:
        await pool.execute(PROCEDURES.read_text())

        async def hold(account_id: str, job_id: str) -> None:
            await pool.execute("SELECT plain_hold($1, $2, $3, $4)", account_id, job_id, AMOUNT, time.time())

        async def capture(account_id: str, job_id: str) -> None:
            await pool.execute("SELECT plain_capture($1, $2, $3)", account_id, job_id, time.time())

        return await _timed(hold, capture, accounts, pairs)


async def _timed(hold: Step, capture: Step, accounts: list[str], pairs: int) -> float:
    """Return the seconds that all pairs take, `AT_ONCE` of them open at one time."""
    numbers = iter(range(pairs))

    async def requests() -> None:
        for number in numbers:
            account_id, job_id = accounts[number % len(accounts)], f"job_{number}"
            await hold(account_id, job_id)
            await capture(account_id, job_id)

    started = time.perf_counter()
    async with asyncio.timeout(MAX_S):
        await asyncio.gather(*(requests() for _ in range(AT_ONCE)))
    return time.perf_counter() - started


def check_books(tx: Transaction, pairs: int) -> None:
    """Make sure that every credit is explained, and that each pair has spent its own. Errors: WrongBooksError."""
    wrong = ledger.violations(tx)
    spent = tx.value("SELECT SUM(amount)::bigint FROM transfers WHERE credit = 'spent'")
    if spent != pairs * AMOUNT:
        wrong.append(f"{spent} credits were spent instead of {pairs * AMOUNT}")
    if wrong:
        raise WrongBooksError("; ".join(wrong))


def main() -> None:
    """Measure and print; see `benchmarks.engines.report`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("how", choices=("ours", "procedure"))
    parser.add_argument("--wallets", type=int, required=True)
    parser.add_argument("--pairs", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    chosen = parser.parse_args()
    with postgres_server() as server, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:

        def spent_s() -> float:
            return cpu_s() + postgres_cpu_s(server)

        hand_in(runner.run(measure(chosen.how, server.make_database(), chosen.wallets, chosen.pairs, spent_s)))


if __name__ == "__main__":
    main()
