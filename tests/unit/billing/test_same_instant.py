"""A payment and its refund in the same instant, on PostgreSQL: neither sees what the other has not committed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import permutations
from typing import Any

import asyncpg
import pytest

from penstock.accounts import people
from penstock.billing import apply, plans
from penstock.billing.payments import Fact, PaymentFact, ReferenceFact, ReversalFact
from penstock.billing.record import record
from penstock.kit.clock import ManualClock
from penstock.kit.database import Transaction
from penstock.kit.postgres import PostgresDatabase
from penstock.ledger import service as ledger
from penstock.ledger import statement
from tests.support.shop import selling

FREE = 3  # what registration brought
GATE = 4_711
WAITING = """
SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database WHERE NOT granted AND datname = current_database()
"""
PRODUCT = selling()


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[PostgresDatabase]:
    opened = await PostgresDatabase.open(postgres_url, clock=ManualClock())
    yield opened
    await opened.close()


@pytest.fixture
async def gate(postgres_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection that holds a lock, by which a unit is kept from its commit."""
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("SELECT pg_advisory_lock($1)", GATE)
    yield connection
    await connection.close()


def sign_up(tx: Transaction) -> str:
    account = people.register(tx, "ann@example.org", "hash", "free")
    assert account is not None
    plans.begin(tx, PRODUCT, account.id, "free")
    return account.id


def take(tx: Transaction, fact: Fact, before_commit: Callable[[Transaction], Any] | None = None) -> None:
    for account in record(tx, "stripe", [fact]):
        apply.bring_in_line(tx, account, PRODUCT, people.set_plan)
    if before_commit is not None:
        before_commit(tx)


def wait_at_the_gate(tx: Transaction) -> None:
    tx.value("SELECT pg_advisory_xact_lock(:gate)", gate=GATE)


async def until_it_waits(gate: asyncpg.Connection, task: "asyncio.Task[None]", count: int) -> None:
    """Return once so many units wait for a lock, or the task is done without waiting."""
    while not task.done() and await gate.fetchval(WAITING) < count:
        await asyncio.sleep(0)


def told(account: str, *, by_reference: bool) -> list[Fact]:
    """Return a payment of ten credits, a refund of half of it, and, if that is how it is named, the money's name."""
    paid = PaymentFact("in_1", 1.0, "cus_1", account, "top_up", "paid", 500, "usd", "Top-up", 1.0, (), 10)
    refund = ReversalFact("re_1", 1.0, "pi_1" if by_reference else "in_1", "refund", 250, counts=True)
    return [paid, refund, *([ReferenceFact("pi_1", "in_1", 1.0)] if by_reference else [])]


@pytest.mark.parametrize("order", list(permutations(range(2))))
async def test_whoever_is_second_corrects(
    database: PostgresDatabase, gate: asyncpg.Connection, order: tuple[int, ...]
) -> None:
    ann = await database.write(sign_up)
    facts = told(ann, by_reference=False)
    await at_once(database, gate, [facts[which] for which in order])

    assert (await database.read(statement.balance, ann)).available == FREE + 5
    assert await database.read(ledger.violations) == []


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_also_where_a_third_fact_ties_them_together(
    database: PostgresDatabase, gate: asyncpg.Connection, order: tuple[int, ...]
) -> None:
    ann = await database.write(sign_up)
    facts = told(ann, by_reference=True)
    await database.write(take, facts[order[0]])
    await at_once(database, gate, [facts[which] for which in order[1:]])

    assert (await database.read(statement.balance, ann)).available == FREE + 5
    assert await database.read(ledger.violations) == []


async def at_once(database: PostgresDatabase, gate: asyncpg.Connection, facts: list[Fact]) -> None:
    """Take the first fact up to its commit, then the second, and only then let the first commit."""
    first = asyncio.create_task(database.write(take, facts[0], wait_at_the_gate))
    await until_it_waits(gate, first, 1)
    second = asyncio.create_task(database.write(take, facts[1]))
    await until_it_waits(gate, second, 2)
    await gate.execute("SELECT pg_advisory_unlock($1)", GATE)
    await asyncio.gather(first, second)


async def test_many_at_once_wait_for_nobody_who_waits_for_them(database: PostgresDatabase) -> None:
    """Batches in any order, as webhooks and a reconciliation bring them: all of them end, and come out right."""
    ann = await database.write(sign_up)
    facts = told(ann, by_reference=True)

    def batch(tx: Transaction, order: tuple[int, ...]) -> None:
        for account in record(tx, "stripe", [facts[which] for which in order]):
            apply.bring_in_line(tx, account, PRODUCT, people.set_plan)

    await asyncio.gather(
        *(database.write(batch, order) for size in (1, 2, 3) for order in permutations(range(3), size))
    )

    assert (await database.read(statement.balance, ann)).available == FREE + 5
