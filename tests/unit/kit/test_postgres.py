"""PostgreSQL behind the seam: what only a server with many writers can do to a unit of work."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress

import asyncpg
import pytest

from penstock.kit import postgres_connections
from penstock.kit.database import DatabaseUnavailableError, Transaction
from penstock.kit.postgres import PostgresDatabase
from penstock.kit.postgres_connections import connect, shown
from tests.support.postgres import Server, server


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[PostgresDatabase]:
    opened = await PostgresDatabase.open(postgres_url, connections=4)
    await opened.write(lambda tx: tx.run("CREATE TABLE things (id INTEGER PRIMARY KEY, count INTEGER NOT NULL)"))
    await opened.write(lambda tx: tx.run("INSERT INTO things VALUES (1, 0), (2, 0)"))
    yield opened
    await opened.close()


class Meeting:
    """Lets two units meet in the middle, the first time they run."""

    def __init__(self) -> None:
        self.there = 0
        self.runs = 0

    def wait(self, tx: Transaction) -> None:
        self.runs += 1
        self.there += 1
        while self.there < 2:
            tx.value("SELECT 1")


def count_up(tx: Transaction, number: int) -> None:
    tx.run("UPDATE things SET count = count + 1 WHERE id = :id", id=number)


def counts(tx: Transaction) -> list[int]:
    return [row["count"] for row in tx.all("SELECT count FROM things ORDER BY id")]


async def test_of_two_that_lock_in_opposite_orders_the_loser_runs_again(database: PostgresDatabase) -> None:
    meeting = Meeting()

    def unit(tx: Transaction, first: int, second: int) -> None:
        count_up(tx, first)
        meeting.wait(tx)
        count_up(tx, second)

    await asyncio.gather(database.write(unit, 1, 2), database.write(unit, 2, 1))
    assert await database.read(counts) == [2, 2]
    assert meeting.runs == 3, "one of them was undone and ran again"


async def test_of_two_that_take_one_key_the_loser_runs_again_and_sees_it(database: PostgresDatabase) -> None:
    meeting = Meeting()

    def unit(tx: Transaction) -> bool:
        if tx.one("SELECT id FROM things WHERE id = 9") is not None:
            return False
        meeting.wait(tx)
        return tx.run("INSERT INTO things VALUES (9, 0)") == 1

    assert sorted(await asyncio.gather(database.write(unit), database.write(unit))) == [False, True]


async def test_a_key_that_is_simply_taken_is_said(database: PostgresDatabase) -> None:
    with pytest.raises(asyncpg.UniqueViolationError, match="things_pkey"):
        await database.write(lambda tx: tx.run("INSERT INTO things VALUES (1, 0)"))


async def test_who_waits_for_a_lock_for_too_long_is_told(database: PostgresDatabase, postgres_url: str) -> None:
    other = await asyncpg.connect(postgres_url)
    holding = other.transaction()
    await holding.start()
    await other.execute("UPDATE things SET count = 5 WHERE id = 1")

    def unit(tx: Transaction) -> None:
        tx.run("SET LOCAL lock_timeout = '20ms'")
        count_up(tx, 1)

    with pytest.raises(DatabaseUnavailableError, match="pg_stat_activity"):
        await database.write(unit)
    await holding.rollback()
    await other.close()
    await database.write(count_up, 1)
    assert await database.read(counts) == [1, 0]


KILLED = """
import asyncio, os, signal
from penstock.kit import checkpoints
from penstock.kit.postgres import PostgresDatabase

async def count_up():
    database = await PostgresDatabase.open({url!r}, connections=2)
    checkpoints.arm(lambda label: os.kill(os.getpid(), signal.SIGKILL) if label == {label!r} else None)
    await database.write(lambda tx: tx.run("UPDATE things SET count = count + 1 WHERE id = 1"))

asyncio.run(count_up())
"""


@pytest.mark.parametrize(("label", "left"), [("postgres.before_commit", 0), ("postgres.after_commit", 1)])
async def test_who_is_killed_leaves_all_or_nothing(
    database: PostgresDatabase, postgres_url: str, label: str, left: int
) -> None:
    script = KILLED.format(url=postgres_url, label=label)
    ended = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", script], check=False)
    assert ended.returncode == -signal.SIGKILL
    await database.write(count_up, 2)  # whoever is gone holds no lock
    assert await database.read(counts) == [left, 1]


async def test_a_unit_that_hides_a_failure_is_not_committed(database: PostgresDatabase) -> None:
    def unit(tx: Transaction) -> None:
        count_up(tx, 1)
        with suppress(asyncpg.PostgresError):
            tx.run("SELECT nothing FROM nowhere")

    with pytest.raises(RuntimeError, match="went on after a statement"):
        await database.write(unit)
    assert await database.read(counts) == [0, 0]


async def test_a_parameter_of_the_wrong_type_is_a_mistake_and_no_trouble(database: PostgresDatabase) -> None:
    with pytest.raises(asyncpg.DataError, match="invalid input"):
        await database.write(lambda tx: tx.run("UPDATE things SET count = :count", count="many"))


async def test_a_connection_that_breaks_costs_its_unit_only(database: PostgresDatabase) -> None:
    def unit(tx: Transaction) -> None:
        count_up(tx, 1)
        tx.run("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(DatabaseUnavailableError):
        await database.write(unit)
    await database.write(count_up, 2)
    assert await database.read(counts) == [0, 1]


async def test_when_every_connection_is_busy_a_unit_waits_and_is_told_in_the_end(
    database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_connections, "ACQUIRE_S", 0.05)
    done = asyncio.Event()

    def unit(tx: Transaction) -> None:
        while not done.is_set():
            tx.value("SELECT 1")

    holding = [asyncio.create_task(database.write(unit)) for _ in range(4)]
    await asyncio.sleep(0)
    with pytest.raises(DatabaseUnavailableError, match="none of 4 connections became free"):
        await database.write(count_up, 1)
    done.set()
    await asyncio.gather(*holding)
    await database.write(count_up, 1)


async def test_a_server_that_goes_and_comes_back() -> None:
    with server(synchronous_commit="on") as own:
        database = await PostgresDatabase.open(own.url())
        await database.write(lambda tx: tx.run("CREATE TABLE things (id INTEGER)"))
        own.stop("immediate")
        for _ in range(2):
            with pytest.raises(DatabaseUnavailableError, match=r"postgresql://127\.0\.0\.1"):
                await database.write(lambda tx: tx.run("INSERT INTO things VALUES (1)"))
        with pytest.raises(DatabaseUnavailableError):
            await database.read(lambda tx: tx.all("SELECT id FROM things"))
        own.start()
        await database.write(lambda tx: tx.run("INSERT INTO things VALUES (2)"))
        assert await database.read(lambda tx: tx.all("SELECT id FROM things")) == [{"id": 2}]
        await database.close()


# ---- at the start -------------------------------------------------------------------------------------------------


async def test_a_server_that_is_not_there_is_said() -> None:
    with pytest.raises(DatabaseUnavailableError, match=r"can't be reached: .*See whether the server runs"):
        await PostgresDatabase.open("postgresql://ann:secret@127.0.0.1:1/penstock")


async def test_a_database_that_is_not_there_is_said(postgres_server: Server) -> None:
    with pytest.raises(DatabaseUnavailableError, match=r"no such database\. Make it first: createdb nothing"):
        await PostgresDatabase.open(postgres_server.url("nothing"))


async def test_a_user_that_is_refused_is_said(postgres_server: Server) -> None:
    with pytest.raises(DatabaseUnavailableError, match="refuses the user or the password"):
        await PostgresDatabase.open(postgres_server.url(user="nobody"))


async def test_a_server_that_is_too_old_is_said(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_connections, "OLDEST_VERSION", 99)
    with pytest.raises(DatabaseUnavailableError, match=r"is PostgreSQL \d+, and Penstock needs 99 or later"):
        await connect(postgres_url)


def test_a_password_is_never_shown() -> None:
    assert shown("postgresql://ann:s@cret@db.example.org:5432/shop?sslmode=require") == (
        "postgresql://db.example.org:5432/shop"
    )
