"""Units for owners (`write_for`): each as if it were alone, whoever shares its transaction."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.flows import PATIENCE_S

from penstock.kit.clock import ManualClock
from penstock.kit.database import Database, DatabaseUnavailableError, Transaction
from penstock.kit.postgres import PostgresDatabase
from penstock.kit.sqlite import SqliteDatabase

OWNERS = [f"owner {number:02}" for number in range(12)]


def make(tx: Transaction) -> None:
    tx.run("CREATE TABLE things (owner TEXT PRIMARY KEY, count INTEGER NOT NULL, note TEXT)")
    tx.many("INSERT INTO things (owner, count) VALUES (:owner, 0)", [{"owner": owner} for owner in OWNERS])


def count_of(tx: Transaction, owner: str) -> int:
    return int(tx.value("SELECT count FROM things WHERE owner = :owner", owner=owner))


def count_up(tx: Transaction, owner: str) -> int:
    """Read, then write what was read and one: two at one time would lose one."""
    count = count_of(tx, owner) + 1
    assert tx.run("UPDATE things SET count = :count WHERE owner = :owner", count=count, owner=owner) == 1
    return count


def counts(tx: Transaction) -> dict[str, int]:
    return {row["owner"]: row["count"] for row in tx.all("SELECT owner, count FROM things ORDER BY owner")}


@pytest.fixture(params=("sqlite", "postgresql"))
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    opened: Database
    if request.param == "sqlite":
        opened = SqliteDatabase(tmp_path / "test.sqlite3", clock=ManualClock(), durability="normal")
    else:
        opened = await PostgresDatabase.open(request.getfixturevalue("postgres_url"), clock=ManualClock())
    await opened.write(make)
    yield opened
    await opened.close()


async def all_at_once(database: Database, unit: Callable[..., Any], owners: list[str] = OWNERS) -> list[Any]:
    """Run a unit for each owner at one time; returns results and errors in their order."""
    writes = [database.write_for(owner, unit, owner) for owner in owners]
    return await asyncio.gather(*writes, return_exceptions=True)


async def test_each_gets_its_own_answers(database: Database) -> None:
    def unit(tx: Transaction, owner: str) -> list[Any]:
        number = OWNERS.index(owner)
        mine = {"owner": owner}
        names = [f"{owner}/{each:02}" for each in range(number)]
        tx.alone(owner)
        tx.many("INSERT INTO things (owner, count) VALUES (:owner, 1)", [{"owner": name} for name in names])
        like = f"{owner}/%"
        return [
            tx.one("SELECT owner FROM things WHERE owner = :owner", **mine),
            tx.one("SELECT owner FROM things WHERE owner = :owner", owner=f"not {owner}"),
            tx.all("SELECT owner FROM things WHERE owner LIKE :like ORDER BY owner DESC", like=like),
            tx.value("SELECT COUNT(*) FROM things WHERE owner LIKE :like", like=like),
            tx.run("UPDATE things SET note = 'late' WHERE owner LIKE :like", like=like),
            tx.run("INSERT INTO things (owner, count) VALUES (:owner, 9) ON CONFLICT DO NOTHING", **mine),
            tx.one("UPDATE things SET count = :n WHERE owner = :owner RETURNING count", n=number, **mine),
            tx.value("WITH mine AS (SELECT count FROM things WHERE owner = :owner) SELECT count FROM mine", **mine),
            tx.run("DELETE FROM things WHERE owner LIKE :like", like=like),
        ]

    answers = await all_at_once(database, unit)
    assert answers == [
        [
            {"owner": owner},
            None,
            [{"owner": f"{owner}/{each:02}"} for each in reversed(range(number))],
            *(number, number, 0, {"count": number}, number, number),
        ]
        for number, owner in enumerate(OWNERS)
    ]


async def test_units_of_one_owner_come_one_after_the_other(database: Database) -> None:
    owners = OWNERS * 5
    found = await all_at_once(database, count_up, owners)
    assert Counter(zip(owners, found, strict=True)) == Counter((owner, n) for owner in OWNERS for n in range(1, 6))
    assert await database.read(counts) == dict.fromkeys(OWNERS, 5)


async def test_units_that_ask_different_things_go_on_beside_each_other(database: Database) -> None:
    def unit(tx: Transaction, owner: str) -> int:
        for _ in range(OWNERS.index(owner) % 4):
            count_up(tx, owner)
        return count_of(tx, owner)

    assert await all_at_once(database, unit) == [number % 4 for number in range(len(OWNERS))]


async def test_who_raises_leaves_nothing_and_spoils_nothing(database: Database) -> None:
    said: list[str] = []

    def unit(tx: Transaction, owner: str) -> int:
        tx.after_commit(lambda: said.append(owner))
        count = count_up(tx, owner)
        if OWNERS.index(owner) % 3 == 1:
            raise LookupError(owner)
        return count

    found = await all_at_once(database, unit)
    bad = set(OWNERS[1::3])
    assert {str(each) for each in found if isinstance(each, LookupError)} == bad
    assert await database.read(counts) == {owner: int(owner not in bad) for owner in OWNERS}
    assert sorted(said) == sorted(set(OWNERS) - bad), "each call once, and only after a commit"


async def test_a_statement_that_fails_hurts_its_unit_only(database: Database) -> None:
    def unit(tx: Transaction, owner: str) -> int:
        if owner == OWNERS[5]:
            tx.run("INSERT INTO things (owner, count) VALUES (:owner, NULL)", owner="nobody")
        return count_up(tx, owner)

    found = await all_at_once(database, unit)
    assert [OWNERS[place] for place, each in enumerate(found) if each != 1] == [OWNERS[5]]
    assert await database.read(counts) == {owner: int(owner != OWNERS[5]) for owner in OWNERS}


async def test_a_unit_goes_on_when_its_caller_is_cancelled(database: Database) -> None:
    said = asyncio.Event()

    def unit(tx: Transaction, owner: str) -> int:
        if owner == OWNERS[7]:
            tx.after_commit(said.set)
        return count_up(tx, owner)

    callers = [asyncio.create_task(database.write_for(owner, unit, owner)) for owner in OWNERS]
    await asyncio.sleep(0)
    callers[7].cancel()
    with pytest.raises(asyncio.CancelledError):
        await callers[7]
    async with asyncio.timeout(PATIENCE_S):
        await said.wait()
        await asyncio.gather(*callers, return_exceptions=True)
    assert await database.read(counts) == dict.fromkeys(OWNERS, 1)


async def test_whatever_happened_before_it_is_closed_is_done(database: Database) -> None:
    writes = [asyncio.create_task(database.write_for(owner, count_up, owner)) for owner in OWNERS]
    await asyncio.sleep(0)
    await database.close()
    assert await asyncio.gather(*writes) == [1] * len(OWNERS)
    with pytest.raises(DatabaseUnavailableError, match="closed"):
        await database.write_for("anybody", counts)
