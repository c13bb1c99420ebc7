"""SQLite in trouble: a full disk, a database that somebody else holds, a file that can't be opened."""

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest

from penstock.kit import sqlite
from penstock.kit.database import DatabaseUnavailableError, Transaction
from penstock.kit.sqlite import SqliteDatabase

SOON_S = 0.05  # instead of the ten seconds that a locked database is waited for


def make(tx: Transaction) -> None:
    tx.run("CREATE TABLE blobs (id INTEGER PRIMARY KEY, content BLOB)")


def add(tx: Transaction, size: int) -> None:
    tx.run("INSERT INTO blobs (content) VALUES (zeroblob(:size))", size=size)


def count(tx: Transaction) -> int:
    return int(tx.value("SELECT COUNT(*) FROM blobs"))


def fill_up(tx: Transaction) -> None:
    """Let the file grow no further, as if the disk were full."""
    pages = tx.value("PRAGMA page_count")
    tx.run(f"PRAGMA max_page_count = {pages + 2}")


def make_room(tx: Transaction) -> None:
    tx.run("PRAGMA max_page_count = 1000000")


async def test_a_full_disk_is_told_by_name_and_harms_nobody_else(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "test.sqlite3")
    await database.write(make)
    await database.write(fill_up)

    outcomes = await asyncio.gather(
        database.write(add, 10), database.write(add, 1_000_000), database.write(add, 10), return_exceptions=True
    )

    assert isinstance(outcomes[1], DatabaseUnavailableError)
    assert "full" in str(outcomes[1])
    assert "free some disk space" in str(outcomes[1])
    kept = sum(outcome is None for outcome in outcomes)
    assert await database.read(count) == kept, "what was answered is there, and nothing else"

    await database.write(make_room)
    await database.write(add, 1_000_000)
    assert await database.read(count) == kept + 1
    await database.close()


async def test_a_disk_that_fills_up_at_the_commit_loses_the_group_and_says_so(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "test.sqlite3")
    await database.write(make)

    def vanish(tx: Transaction) -> None:
        """SQLite ends a transaction by itself on some errors: this is what it looks like from outside."""
        tx.run("ROLLBACK")
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        raise error

    writes = [database.write(add, 10), database.write(vanish), database.write(add, 10)]
    first, lost, last = await asyncio.gather(*writes, return_exceptions=True)

    assert isinstance(lost, DatabaseUnavailableError)
    assert "look after the disk" in str(lost)
    kept = sum(outcome is None for outcome in (first, last))
    assert all(outcome is None or isinstance(outcome, DatabaseUnavailableError) for outcome in (first, last))
    assert await database.read(count) == kept
    await database.close()


async def test_a_locked_database_is_waited_for(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "test.sqlite3")
    await database.write(make)
    other = sqlite3.connect(database.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    writing = asyncio.create_task(database.write(add, 10))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not writing.done()
    assert await database.read(count) == 0, "readers are not kept waiting"
    other.execute("COMMIT")
    await writing
    other.close()
    assert await database.read(count) == 1
    await database.close()


async def test_a_database_that_stays_locked_is_unavailable_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", SOON_S)
    database = SqliteDatabase(tmp_path / "test.sqlite3")
    await database.write(make)
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseUnavailableError, match="another process") as caught:
        await database.write(add, 10)
    assert str(database.path) in str(caught.value)
    other.execute("ROLLBACK")
    other.close()
    await database.write(add, 10)
    assert await database.read(count) == 1
    await database.close()


async def test_a_database_locked_from_the_start_is_opened_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", SOON_S)
    other = sqlite3.connect(tmp_path / "test.sqlite3", isolation_level=None)
    other.execute("CREATE TABLE mine (id INTEGER)")
    other.execute("BEGIN EXCLUSIVE")
    database = SqliteDatabase(tmp_path / "test.sqlite3")
    with pytest.raises(DatabaseUnavailableError):
        await database.write(make)
    with pytest.raises(DatabaseUnavailableError):
        await database.read(count)
    other.execute("COMMIT")
    other.close()
    await database.write(make)
    assert await database.read(count) == 0
    await database.close()


async def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "missing" / "test.sqlite3")
    for attempt in (database.write, database.read):
        with pytest.raises(DatabaseUnavailableError, match="whether its folder exists"):
            await attempt(count)
    await database.close()


async def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "test.sqlite3"
    path.write_bytes(b"not a database, but long enough to be looked at " * 100)
    database = SqliteDatabase(path)
    with pytest.raises(DatabaseUnavailableError, match="not a database"):
        await database.write(make)
    await database.close()


async def test_two_writers_of_one_process_interleave_safely(tmp_path: Path) -> None:
    """Two event loops in two threads on one database: each is answered in its own."""
    database = SqliteDatabase(tmp_path / "test.sqlite3")
    await database.write(make)

    async def write_some() -> None:
        await asyncio.gather(*(database.write(add, 10) for _ in range(20)))

    thread = threading.Thread(target=lambda: asyncio.run(write_some()))
    thread.start()
    await write_some()
    await asyncio.to_thread(thread.join)
    assert await database.read(count) == 40
    await database.close()
