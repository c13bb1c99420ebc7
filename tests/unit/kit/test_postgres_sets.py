"""The same statement many times at once: that it does what it does one by one, and where it must not be tried."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import asyncpg
import pytest

from penstock.kit.postgres_sets import Kind, Sets, alone_form, one_by_one, one_row, set_form
from penstock.kit.postgres_together import BEGIN

INSERT = "INSERT INTO things (owner, count) VALUES ($1, $2)"
ADD_ALONE = alone_form(INSERT, 3)
UPSERT = f"{INSERT} ON CONFLICT (owner) DO UPDATE SET count = excluded.count"
ONE_BY_ONE_ONLY = [
    "UPDATE things SET count = 1 WHERE owner = $1 OR count = $2",
    "UPDATE things SET count = 1 WHERE count BETWEEN 1 AND count = $1",
    "UPDATE things SET count = 1 WHERE CASE WHEN true AND owner = $1 AND true THEN count = 0 END",
    "UPDATE things SET count = $1 WHERE owner IN (SELECT owner FROM things WHERE owner = $2)",
    "UPDATE things SET count = $1 WHERE owner > $2",
    "UPDATE things SET count = $1 WHERE note = ' AND owner = $2'",
    "UPDATE things SET count = $1 -- WHERE owner = $2",
    "UPDATE things SET count = $1",
    "UPDATE things SET count = o.count FROM others o WHERE things.owner = $1",
    "INSERT INTO things (owner, count) VALUES ($1, $2), ($3, $4)",
    "INSERT INTO things (owner, count) VALUES ($1, $2) RETURNING owner",
    UPSERT,
    "DELETE FROM things WHERE owner = $1",
    "WITH a AS (SELECT $1::int) SELECT * FROM a",
]


@pytest.fixture
async def connection(postgres_url: str) -> AsyncIterator["asyncpg.Connection"]:
    opened = await asyncpg.connect(postgres_url)
    await opened.execute("""
        CREATE TABLE things (
            id BIGSERIAL, owner TEXT PRIMARY KEY, count BIGINT NOT NULL, note TEXT, kinds TEXT[] NOT NULL DEFAULT '{}')
    """)
    await opened.executemany("INSERT INTO things (owner, count) VALUES ($1, $2)", [("a", 1), ("b", 2), ("c", 3)])
    yield opened
    await opened.close()


async def contents(connection: "asyncpg.Connection") -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await connection.fetch("SELECT owner, count, note, kinds FROM things ORDER BY owner")]


ASKED: list[tuple[str, Kind, str, Sequence[Sequence[Any]]]] = [
    ("rows, in their order", "fetch", "SELECT owner, count FROM things WHERE count >= $1 ORDER BY owner DESC LIMIT $2",
     [(2, 1), (1, 5), (9, 5), (1, 0)]),
    ("locked rows", "fetch", "SELECT count FROM things WHERE owner = $1 FOR NO KEY UPDATE", [("b",), ("a",), ("z",)]),
    ("a number of rows", "fetch", "SELECT COUNT(*) FROM things WHERE count > $1", [(0,), (2,), (7,)]),
    ("changes by key", "run", "UPDATE things SET count = count + $1 WHERE owner = $2",
     [(10, "a"), (20, "z"), (30, "c")]),
    ("changes by key and more", "run", "UPDATE things SET note = $1 WHERE owner = $2 AND count > 1 AND note IS NULL",
     [("x", "a"), (None, "b"), ("z", "c")]),
    ("changes that say what came of them", "fetch",
     "UPDATE things SET count = $1 WHERE owner = $2 RETURNING (SELECT t.count FROM things t WHERE t.owner = $2) AS was",
     [(10, "a"), (20, "z"), (30, "c")]),
    ("changes of one row, twice", "run", "UPDATE things SET count = count + $1 WHERE owner = $2", [(1, "a"), (2, "a")]),
    ("changes by an unclear key", "run", "UPDATE things SET count = 0 WHERE owner = $1 OR count = $2",
     [("a", 3), ("b", 9)]),
    ("new rows", "run", "INSERT INTO things (owner, count) VALUES ($1, $2 + 1)", [("d", 4), ("e", 5)]),
    ("new rows with texts that look like parameters", "run",
     "INSERT INTO things (owner, count, note) VALUES ($1, 0, '$2')",
     [("d",), ("e",)]),
    ("new rows under locks", "run", ADD_ALONE, [("d", 4, 7), ("e", 5, 7)]),
    ("new rows or changed ones", "run", UPSERT, [("a", 8), ("d", 4)]),
    ("new rows unless they are there", "run",
     "INSERT INTO things (owner, count) VALUES ($1, $2) ON CONFLICT (owner) DO NOTHING", [("a", 8), ("d", 4)]),
    ("new rows that say what they are", "fetch", "INSERT INTO things (owner, count) VALUES ($1, $2) RETURNING owner",
     [("d", 4), ("e", 5)]),
    ("rows that go", "run", "DELETE FROM things WHERE owner = $1", [("a",), ("z",)]),
    ("lists", "run", "UPDATE things SET kinds = $1 WHERE owner = $2", [(["x", "y"], "a"), ([], "b")]),
    ("statements with more than one part", "fetch", "WITH w AS (SELECT $1::bigint AS n) SELECT n + 1 AS m FROM w",
     [(1,), (2,)]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "sql", "rows"), [case[1:] for case in ASKED], ids=[case[0] for case in ASKED])
async def test_many_at_once_are_answered_like_one_by_one(
    connection: "asyncpg.Connection", kind: Kind, sql: str, rows: Sequence[Sequence[Any]]
) -> None:
    transaction = connection.transaction()
    await transaction.start()
    one = [(await Sets().each(connection, kind, sql, [row]))[0] for row in rows]
    left = await contents(connection)
    await transaction.rollback()
    assert list(await Sets().each(connection, kind, sql, rows)) == one
    assert await contents(connection) == left


@pytest.mark.parametrize(
    "sql", ["INSERT INTO things (owner, count) VALUES ($1, $2)", UPSERT], ids=["set", "one by one"]
)
async def test_many_rows_are_sent_at_once(connection: "asyncpg.Connection", sql: str) -> None:
    await Sets().many(connection, sql, [("d", 4), ("e", 5)])
    assert [row[:2] for row in await contents(connection)] == [("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5)]


async def test_a_row_that_is_made_under_a_lock_has_it_before_its_number(
    connection: "asyncpg.Connection", postgres_url: str
) -> None:
    """Numbers of one name grow in the order of commits, so whoever holds the name makes its number first."""
    other = await asyncpg.connect(postgres_url)
    try:
        transaction = other.transaction()
        await transaction.start()
        await other.execute("SELECT pg_advisory_xact_lock(8)")
        adding = asyncio.create_task(Sets().many(connection, ADD_ALONE, [("d", 4, 7), ("e", 5, 8), ("f", 6, 9)]))
        await waits_for_a_lock(other)
        held = await other.fetchval("INSERT INTO things (owner, count) VALUES ('held', 0) RETURNING id")
        await transaction.commit()
        await adding
    finally:
        await other.close()
    found = {row["owner"]: row["id"] for row in await connection.fetch("SELECT owner, id FROM things")}
    assert found["d"] < held < found["e"] < found["f"]


async def waits_for_a_lock(connection: "asyncpg.Connection") -> None:
    async with asyncio.timeout(20):
        while not await connection.fetchval("SELECT COUNT(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.01)


async def test_a_set_finds_its_rows_by_their_key(connection: "asyncpg.Connection") -> None:
    """Nothing has been counted yet, so the planner takes a partial index for as good as empty."""
    await connection.execute("CREATE INDEX ix_open ON things (count) WHERE note IS NULL")
    await connection.execute("INSERT INTO things (owner, count) SELECT 'x' || n, n FROM generate_series(1, 5000) n")
    form = set_form("UPDATE things SET note = $1 WHERE owner = $2 AND note IS NULL", ["text", "text"])
    assert form is not None
    await connection.execute(f"{BEGIN}; SET LOCAL enable_bitmapscan = off")
    plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {form.sql}", ["x"], ["x1"]))
    assert "things_pkey" in plan, plan


def test_a_set_has_its_keys_first() -> None:
    form = set_form("UPDATE t SET a = $1 WHERE id = $2 AND b = 'x' AND c > 1 RETURNING d", ["int8", "text"])
    assert form is not None
    assert form.sql == (
        "UPDATE t SET a = given.p1 FROM unnest($1::int8[], $2::text[]) WITH ORDINALITY AS given (p1, p2, place) "
        "WHERE id = given.p2 AND (b = 'x' AND c > 1) IS TRUE RETURNING d, given.place - 1 AS _unit"
    )
    assert form.keys == (1,)


@pytest.mark.parametrize("sql", ONE_BY_ONE_ONLY)
def test_what_is_not_sure_to_do_the_same_is_no_set(sql: str) -> None:
    assert set_form(sql, ["text"] * 4) is None


def test_statements_say_to_whose_turn_their_rows_belong() -> None:
    assert one_by_one("SELECT a FROM b WHERE c = $1", 1) == (
        "SELECT asked.*, $2::int AS _unit FROM (SELECT a FROM b WHERE c = $1) AS asked"
    )
    assert one_by_one("\nupdate b SET a = $1", 1) == (
        "WITH asked AS (\nupdate b SET a = $1 RETURNING 1) SELECT COUNT(*) AS changed, $2::int AS _unit FROM asked"
    )
    assert one_by_one("DELETE FROM b RETURNING a", 0) == (
        "WITH asked AS (DELETE FROM b RETURNING a) SELECT asked.*, $1::int AS _unit FROM asked"
    )
    assert one_by_one("WITH c AS (DELETE FROM b RETURNING a) SELECT a FROM c", 0) is None


def test_only_one_row_of_values_is_one_row() -> None:
    assert one_row("INSERT INTO a (b) VALUES (LOWER($1))") == ("INSERT INTO a (b) ", "LOWER($1)")
    assert one_row("INSERT INTO a (b) VALUES ($1), ($2)") is None
    assert one_row("INSERT INTO a (b) SELECT $1") is None
