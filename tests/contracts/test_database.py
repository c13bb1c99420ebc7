"""Every database keeps its promises: whole units or none, one snapshot for a reader, no unit ends with its caller."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.flows import PATIENCE_S

from penstock.kit.clock import ManualClock
from penstock.kit.database import Database, DatabaseUnavailableError, Transaction
from penstock.kit.postgres import PostgresDatabase
from penstock.kit.sqlite import SqliteDatabase

KINDS = ("sqlite", "postgresql")


def make(tx: Transaction) -> None:
    tx.run("CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT)")


def add(tx: Transaction, number: int, name: str | None = None) -> int:
    assert tx.run("INSERT INTO things (id, name) VALUES (:id, :name)", id=number, name=name) == 1
    return number


def numbers(tx: Transaction) -> list[int]:
    return [row["id"] for row in tx.all("SELECT id FROM things ORDER BY id")]


@pytest.fixture(params=KINDS)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    opened: Database
    if request.param == "sqlite":
        opened = SqliteDatabase(tmp_path / "test.sqlite3", clock=ManualClock(), durability="normal")
    else:
        opened = await PostgresDatabase.open(request.getfixturevalue("postgres_url"), clock=ManualClock())
    await opened.write(make)
    yield opened
    await opened.close()


async def test_a_unit_sees_what_it_wrote_and_others_see_it_afterwards(database: Database) -> None:
    def unit(tx: Transaction, number: int, *, name: str) -> list[int]:
        add(tx, number, name)
        return numbers(tx)

    assert await database.write(unit, 7, name="seven") == [7]
    assert await database.read(numbers) == [7]


async def test_a_unit_that_raises_leaves_nothing(database: Database) -> None:
    def unit(tx: Transaction) -> None:
        add(tx, 1)
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await database.write(unit)
    assert await database.read(numbers) == []


async def test_a_statement_that_fails_undoes_its_unit(database: Database) -> None:
    await database.write(add, 1)

    def unit(tx: Transaction) -> None:
        add(tx, 2)
        tx.run("INSERT INTO things (id) VALUES (NULL)")
        tx.run("INSERT INTO nowhere (id) VALUES (1)")

    with pytest.raises(Exception, match=r"null value|nowhere"):
        await database.write(unit)
    assert await database.read(numbers) == [1]


async def test_how_statements_answer(database: Database) -> None:
    def unit(tx: Transaction) -> None:
        tx.many("INSERT INTO things (id, name) VALUES (:id, :name)", [{"id": n, "name": f"n{n}"} for n in range(5)])
        tx.many("INSERT INTO things (id) VALUES (:id)", [])
        assert tx.run("UPDATE things SET name = :name WHERE id > :id", id=2, name="late") == 2
        assert tx.run("DELETE FROM things WHERE id = :id", id=99) == 0
        assert tx.one("SELECT id, name FROM things WHERE id = :id", id=1) == {"id": 1, "name": "n1"}
        assert tx.one("SELECT id FROM things WHERE id = :id", id=99) is None
        assert tx.one("UPDATE things SET name = NULL WHERE id = :id RETURNING id", id=0) == {"id": 0}
        assert tx.value("SELECT COUNT(*) FROM things WHERE name = :name", name="late") == 2
        assert tx.value("SELECT id FROM things WHERE id = 99") is None
        assert tx.all("SELECT name FROM things WHERE id < 2 ORDER BY id") == [{"name": None}, {"name": "n1"}]

    await database.write(unit)


async def test_every_unit_has_one_time(database: Database) -> None:
    assert await database.write(lambda tx: tx.now) == ManualClock().now()


async def test_calls_after_the_commit_come_before_the_answer_and_never_without_a_commit(database: Database) -> None:
    said: list[str] = []

    def good(tx: Transaction) -> None:
        tx.after_commit(lambda: said.append("first"))
        tx.after_commit(lambda: said.append("second"))
        add(tx, 1)

    def bad(tx: Transaction) -> None:
        tx.after_commit(lambda: said.append("never"))
        raise LookupError

    await database.write(good)
    assert said == ["first", "second"]
    with pytest.raises(LookupError):
        await database.write(bad)
    assert said == ["first", "second"]


async def test_a_call_after_the_commit_that_fails_is_reported_and_keeps_nobody_from_hearing(database: Database) -> None:
    said: list[str] = []
    reported: list[BaseException] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["exception"]))

    def fail() -> None:
        raise IndexError

    def unit(tx: Transaction) -> int:
        tx.after_commit(fail)
        tx.after_commit(lambda: said.append("after it"))
        return add(tx, 1)

    assert await database.write(unit) == 1
    assert said == ["after it"]
    assert [type(error) for error in reported] == [IndexError]


async def test_a_unit_goes_on_when_its_caller_is_cancelled(database: Database) -> None:
    said = asyncio.Event()

    def unit(tx: Transaction) -> None:
        add(tx, 1)
        tx.after_commit(said.set)

    caller = asyncio.create_task(database.write(unit))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    async with asyncio.timeout(PATIENCE_S):
        await said.wait()
    assert await database.read(numbers) == [1]


async def test_a_reader_sees_one_moment(database: Database) -> None:
    await database.write(add, 1)
    loop = asyncio.get_running_loop()
    begun, written = asyncio.Event(), asyncio.Event()

    def twice(tx: Transaction) -> tuple[list[int], list[int]]:
        before = numbers(tx)
        loop.call_soon_threadsafe(begun.set)
        _wait_for(tx, written)
        return before, numbers(tx)

    reading = asyncio.create_task(database.read(twice))
    await begun.wait()
    await database.write(add, 2)
    written.set()
    assert await reading == ([1], [1])
    assert await database.read(numbers) == [1, 2]


def _wait_for(tx: Transaction, event: asyncio.Event) -> None:
    """Ask the database again and again until the event loop has set `event`."""
    while not event.is_set():
        tx.value("SELECT 1")


async def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(Exception, match=r"read-only|readonly") as caught:
        await database.read(add, 1)
    assert not isinstance(caught.value, DatabaseUnavailableError), "it is a mistake of the unit, not of the database"
    assert await database.read(numbers) == []


async def test_whatever_happened_before_it_is_closed_is_done(database: Database) -> None:
    said: list[int] = []

    def unit(tx: Transaction, number: int) -> None:
        add(tx, number)
        tx.after_commit(lambda: said.append(number))

    writes = [asyncio.create_task(database.write(unit, number)) for number in range(20)]
    await asyncio.sleep(0)
    await database.close()
    await asyncio.gather(*writes)
    assert sorted(said) == list(range(20))
    with pytest.raises(DatabaseUnavailableError, match="closed"):
        await database.write(add, 99)
    with pytest.raises(DatabaseUnavailableError, match="closed"):
        await database.read(numbers)


async def test_two_that_must_be_alone_are_never_there_together(database: Database) -> None:
    """Each reads the highest number and adds the next: two at one time would add the same."""

    def add_next(tx: Transaction) -> int:
        tx.alone("things")
        tx.alone("things")
        return add(tx, int(tx.value("SELECT COALESCE(MAX(id), 0) FROM things")) + 1)

    added = await asyncio.gather(*(database.write(add_next) for _ in range(30)))
    assert sorted(added) == list(range(1, 31))


async def test_who_inserts_alone_is_there_alone_until_the_end(database: Database) -> None:
    """What was inserted alone before is there to be seen, although each looks only after its own row is in."""

    def add_and_look(tx: Transaction, nth: int) -> list[int]:
        tx.alone("names")
        tx.many_alone("INSERT INTO things (id) VALUES (:id)", [("things", {"id": n}) for n in (nth, 1_000 + nth)])
        return [number for number in numbers(tx) if number < 1_000]

    seen = await asyncio.gather(*(database.write(add_and_look, nth) for nth in range(1, 31)))
    assert sorted(len(each) for each in seen) == list(range(1, 31))
