"""SQLite behind the seam: one transaction for each unit, whatever else is in the group and whoever stopped waiting."""

import asyncio
import gc
import threading
import warnings
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from penstock.kit import sqlite
from penstock.kit.clock import ManualClock
from penstock.kit.database import DatabaseUnavailableError, Transaction
from penstock.kit.sqlite import SqliteDatabase


def make(tx: Transaction) -> None:
    tx.run("CREATE TABLE things (id INTEGER PRIMARY KEY)")


def add(tx: Transaction, number: int) -> int:
    tx.run("INSERT INTO things (id) VALUES (:id)", id=number)
    return number


def add_and_fail(tx: Transaction, number: int, error: BaseException) -> None:
    add(tx, number)
    raise error


def numbers(tx: Transaction) -> list[int]:
    return [row["id"] for row in tx.all("SELECT id FROM things ORDER BY id")]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    opened = SqliteDatabase(tmp_path / "test.sqlite3", durability="normal")
    await opened.write(make)
    yield opened
    await opened.close()


class Hold:
    """Occupies the writing thread until it is let go, so that what comes meanwhile is committed as one group."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._begun, self._go = threading.Event(), threading.Event()
        self._waiting = asyncio.ensure_future(database.write(self._wait))

    async def begun(self) -> "Hold":
        await asyncio.to_thread(self._begun.wait)
        return self

    def _wait(self, tx: Transaction) -> None:
        self._begun.set()
        self._go.wait()

    async def let_go(self) -> None:
        self._go.set()
        await self._waiting


async def queue_up(*writes: "asyncio.Future[int] | asyncio.Task[int]") -> None:
    """Let tasks put their units into the queue."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_unit_that_raises_is_undone_alone(database: SqliteDatabase) -> None:
    hold = await Hold(database).begun()
    good = asyncio.create_task(database.write(add, 1))
    bad = asyncio.create_task(database.write(add_and_fail, 2, KeyError("mine")))
    clash = asyncio.create_task(database.write(add, 1))
    later = asyncio.create_task(database.write(add, 3))
    await queue_up()
    await hold.let_go()

    outcomes = await asyncio.gather(good, bad, clash, later, return_exceptions=True)

    assert outcomes[0] == 1
    assert outcomes[3] == 3
    assert isinstance(outcomes[1], KeyError)
    assert "UNIQUE" in str(outcomes[2])
    assert not isinstance(outcomes[2], DatabaseUnavailableError)
    assert await database.read(numbers) == [1, 3]


async def test_units_that_wait_together_share_a_commit(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = 0

    def count(label: str) -> None:
        nonlocal commits
        commits += label == "sqlite.after_commit"

    hold = await Hold(database).begun()
    writes = [asyncio.create_task(database.write(add, number)) for number in range(sqlite.GROUP_UNITS + 1)]
    await queue_up()
    monkeypatch.setattr(sqlite, "checkpoint", count)
    await hold.let_go()
    await asyncio.gather(*writes)

    assert commits == 3, "one for the unit that held the thread, one for a full group, one for the rest"


@pytest.mark.parametrize("error", [StopIteration("mine"), KeyboardInterrupt(), asyncio.CancelledError()])
async def test_whatever_a_unit_raises_the_others_are_answered(database: SqliteDatabase, error: BaseException) -> None:
    hold = await Hold(database).begun()
    bad = asyncio.get_running_loop().create_future()

    async def attempt() -> None:
        try:
            await database.write(add_and_fail, 1, error)
        except BaseException as raised:
            bad.set_result(raised)

    attempting = asyncio.create_task(attempt())
    good = asyncio.create_task(database.write(add, 2))
    await queue_up()
    await hold.let_go()

    assert await good == 2
    await attempting
    assert type(error).__name__ in f"{type(bad.result()).__name__} {bad.result()}"
    assert await database.read(numbers) == [2]


async def test_calls_after_commit_come_in_order_and_before_the_answer(database: SqliteDatabase) -> None:
    told: list[str] = []

    def unit(tx: Transaction, name: str) -> None:
        tx.after_commit(lambda: told.append(f"{name} first"))
        tx.after_commit(lambda: told.append(f"{name} second"))

    async def write(name: str) -> None:
        await database.write(unit, name)
        told.append(f"{name} answered")

    hold = await Hold(database).begun()
    writing = asyncio.gather(write("a"), write("b"))
    await queue_up()
    assert told == []
    await hold.let_go()
    await writing

    assert [event for event in told if event.startswith("a")] == ["a first", "a second", "a answered"]
    assert [event for event in told if "answered" not in event] == ["a first", "a second", "b first", "b second"]


async def test_what_is_rolled_back_calls_nobody(database: SqliteDatabase) -> None:
    told: list[str] = []

    def unit(tx: Transaction) -> None:
        tx.after_commit(lambda: told.append("called"))
        raise KeyError

    with pytest.raises(KeyError):
        await database.write(unit)
    assert told == []


async def test_a_call_after_commit_that_fails_is_reported_and_harms_nobody(database: SqliteDatabase) -> None:
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["exception"]))

    def fail() -> None:
        raise IndexError

    def unit(tx: Transaction) -> str:
        tx.after_commit(fail)
        return "answered"

    assert await database.write(unit) == "answered"
    assert [type(error) for error in reported] == [IndexError]


async def test_work_goes_on_when_nobody_waits_any_more(database: SqliteDatabase) -> None:
    hold = await Hold(database).begun()
    writing = asyncio.create_task(database.write(add, 1))
    await queue_up()
    writing.cancel()
    await asyncio.wait([writing])
    assert writing.cancelled()
    await hold.let_go()

    assert await database.write(numbers) == [1]


async def test_a_reader_sees_one_moment(database: SqliteDatabase) -> None:
    seen, written = threading.Event(), threading.Event()

    def look_twice(tx: Transaction) -> tuple[list[int], list[int]]:
        before = numbers(tx)
        seen.set()
        written.wait()
        return before, numbers(tx)

    await database.write(add, 1)
    reading = asyncio.create_task(database.read(look_twice))
    await asyncio.to_thread(seen.wait)
    await database.write(add, 2)
    written.set()

    assert await reading == ([1], [1])
    assert await database.read(numbers) == [1, 2]


async def test_a_reader_cannot_write(database: SqliteDatabase) -> None:
    with pytest.raises(Exception, match="readonly") as caught:
        await database.read(add, 1)
    assert not isinstance(caught.value, DatabaseUnavailableError), "that is a mistake in the code, not of the disk"
    assert await database.read(numbers) == []


async def test_a_unit_has_one_time(tmp_path: Path) -> None:
    clock = ManualClock()
    database = SqliteDatabase(tmp_path / "test.sqlite3", clock=clock)
    try:
        assert await database.write(lambda tx: tx.now) == clock.now()
        clock.advance(5)
        assert await database.read(lambda tx: tx.now) == clock.now()
    finally:
        await database.close()


async def test_closing_finishes_what_is_queued_and_folds_the_log(database: SqliteDatabase) -> None:
    hold = await Hold(database).begun()
    writes = [asyncio.create_task(database.write(add, number)) for number in range(5)]
    await queue_up()
    closing = asyncio.create_task(database.close())
    await queue_up()
    with pytest.raises(DatabaseUnavailableError, match="closed"):
        await database.write(add, 99)
    await hold.let_go()
    await closing

    assert await asyncio.gather(*writes) == list(range(5))
    assert [path.name for path in database.path.parent.iterdir()] == [database.path.name]
    with pytest.raises(DatabaseUnavailableError, match="closed"):
        await database.read(numbers)
    await database.close()


async def test_what_was_written_is_there_after_reopening(database: SqliteDatabase) -> None:
    await database.write(add, 7)
    await database.close()
    again = SqliteDatabase(database.path)
    assert await again.read(numbers) == [7]
    await again.close()


def test_an_event_loop_that_closed_keeps_nobody_waiting(tmp_path: Path) -> None:
    """A loop dies with a write under way: the writing thread goes on for the next one."""
    database = SqliteDatabase(tmp_path / "test.sqlite3")
    begun, go = threading.Event(), threading.Event()

    def wait(tx: Transaction) -> None:
        begun.set()
        go.wait()
        make(tx)

    async def leave() -> None:
        writing = asyncio.create_task(database.write(wait))
        await asyncio.to_thread(begun.wait)
        writing.cancel()

    asyncio.run(leave())
    go.set()

    async def come_back() -> list[int]:
        await database.write(add, 1)
        found = await database.read(numbers)
        await database.close()
        return found

    assert asyncio.run(come_back()) == [1]


async def test_nothing_is_left_open(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "test.sqlite3")
    await database.write(make)
    await database.read(numbers)
    threads = threading.active_count()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await database.close()
        gc.collect()
    assert threading.active_count() <= threads
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("sqlite")]
