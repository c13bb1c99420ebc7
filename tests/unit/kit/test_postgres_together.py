"""Units of several owners in one transaction of PostgreSQL: that they are, and what keeps them from it."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from penstock.kit import postgres, postgres_together
from penstock.kit.database import DatabaseUnavailableError, Transaction
from penstock.kit.postgres import PostgresDatabase
from penstock.kit.postgres_together import GROUP_UNITS
from penstock.kit.postgres_transaction import ConnectionLostError

OWNERS = [f"owner {number:03}" for number in range(3 * GROUP_UNITS)]


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[PostgresDatabase]:
    opened = await PostgresDatabase.open(postgres_url, connections=4)
    await opened.write(lambda tx: tx.run("CREATE TABLE things (owner TEXT PRIMARY KEY, count INTEGER NOT NULL)"))
    await opened.write(fill)
    yield opened
    await opened.close()


def fill(tx: Transaction) -> None:
    tx.many("INSERT INTO things VALUES (:owner, 0)", [{"owner": owner} for owner in OWNERS])


def count_up(tx: Transaction, owner: str) -> int:
    """Count and return the transaction's number."""
    tx.run("UPDATE things SET count = count + 1 WHERE owner = :owner", owner=owner)
    return int(tx.value("SELECT txid_current()"))


def total(tx: Transaction) -> int:
    return int(tx.value("SELECT SUM(count) FROM things"))


async def test_many_units_share_few_transactions(database: PostgresDatabase) -> None:
    found = await asyncio.gather(*(database.write_for(owner, count_up, owner) for owner in OWNERS))
    # Those that come first find nobody to share with; all others fill groups.
    assert len(set(found)) <= postgres_together.GROUPS + len(OWNERS) // GROUP_UNITS + 1
    assert await database.read(total) == len(OWNERS)


async def test_no_transaction_has_two_units_of_one_owner(database: PostgresDatabase) -> None:
    owners = [owner for owner in OWNERS[:8] for _ in range(6)]
    found = await asyncio.gather(*(database.write_for(owner, count_up, owner) for owner in owners))
    assert len(set(zip(owners, found, strict=True))) == len(owners)
    assert await database.read(total) == len(owners)


async def test_one_that_waits_for_a_lock_holds_up_nobody_else(database: PostgresDatabase, postgres_url: str) -> None:
    other = await asyncpg.connect(postgres_url)
    try:
        lock = other.transaction()
        await lock.start()
        await other.execute("UPDATE things SET count = 5 WHERE owner = $1", OWNERS[7])
        waiting = {owner: asyncio.create_task(database.write_for(owner, count_up, owner)) for owner in OWNERS[:12]}
        others = [task for owner, task in waiting.items() if owner != OWNERS[7]]
        await asyncio.wait(others)
        assert not waiting[OWNERS[7]].done()
        await lock.rollback()
        await waiting[OWNERS[7]]
    finally:
        await other.close()
    assert await database.read(total) == 12


async def test_names_are_taken_when_nobody_waits_for_a_row_any_more(database: PostgresDatabase) -> None:
    """One unit is late: the names of the others must not be held while it still locks rows."""
    order: list[str] = []
    late = OWNERS[5]

    def unit(tx: Transaction, owner: str) -> None:
        for _ in range(5 if owner == late else 1):
            count_up(tx, owner)
        order.append("rows")
        tx.alone(owner)
        order.append("name")

    leaders, others = OWNERS[: postgres_together.GROUPS], OWNERS[postgres_together.GROUPS : 12]
    before = [database.write_for(owner, count_up, owner) for owner in leaders]  # these find nobody to share with
    await asyncio.gather(*before, *(database.write_for(owner, unit, owner) for owner in others))
    assert order == ["rows"] * len(others) + ["name"] * len(others)


async def test_a_commit_whose_answer_is_lost_is_not_made_again(
    database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands already, such as a job that was accepted, must not come into being a second time."""
    ask, lost = postgres._command, set[int]()

    async def losing(connection: asyncpg.Connection, sql: str) -> str:
        status = await ask(connection, sql)
        if sql == "COMMIT" and len(lost) < postgres_together.GROUPS + 1:
            lost.add(len(lost))
            connection.terminate()
            raise ConnectionLostError("no answer in time")
        return status

    monkeypatch.setattr(postgres, "_command", losing)
    writes = [database.write_for(owner, count_up, owner) for owner in OWNERS[: 2 * GROUP_UNITS]]
    found = await asyncio.gather(*writes, return_exceptions=True)
    assert await database.read(total) == len(writes)
    told = [each for each in found if isinstance(each, DatabaseUnavailableError)]
    assert len(told) > postgres_together.GROUPS, "whoever shared the last of those commits is told, too"
