"""The same migrations on PostgreSQL: the same tables as are declared, once, and never under somebody who works."""

import asyncio
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
from alembic import command

from penstock.app import migrate
from penstock.kit.errors import Problem
from penstock.kit.postgres import PostgresDatabase
from tests.support import postgres
from tests.support.postgres import Server

# Everything that the server knows of tables, but not how it was written.
SHAPE = """
SELECT 'column' AS kind, c.table_name AS owner, c.column_name AS name,
    concat_ws(' ', c.data_type, c.is_nullable, c.column_default, c.is_identity) AS definition
FROM information_schema.columns c WHERE c.table_schema = 'public'
UNION ALL
SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL
SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
"""


@pytest.fixture
def url(postgres_server: Server) -> Iterator[str]:
    """The address of an empty database."""
    made = postgres_server.make_database("template1")
    yield made
    postgres_server.drop(made)


def rows(url: str, sql: str) -> list[Any]:
    async def ask() -> list[Any]:
        connection = await asyncpg.connect(url)
        try:
            return list(await connection.fetch(sql))
        finally:
            await connection.close()

    return postgres.run(ask())


def shape(url: str) -> set[tuple[str, ...]]:
    return {tuple(row.values()) for row in rows(url, SHAPE) if "alembic" not in row["owner"]}


def test_migrated_is_what_is_declared(url: str, postgres_url: str) -> None:
    assert migrate.migrate(url) == (None, migrate.newest())
    assert shape(url) == shape(postgres_url)
    assert ("wallets", "ck_wallets_available") in {found[1:3] for found in shape(url)}


def test_a_second_time_there_is_nothing_to_do(url: str) -> None:
    migrate.migrate(url)
    assert migrate.migrate(url) == (migrate.newest(), migrate.newest())
    assert migrate.revision_of(url) == migrate.newest()


async def test_processes_that_start_together_migrate_once(url: str) -> None:
    await asyncio.gather(*(asyncio.to_thread(migrate.bring_up, url, alone=False) for _ in range(4)))
    assert await asyncio.to_thread(migrate.revision_of, url) == migrate.newest()


async def test_nobody_is_migrated_under_a_process_that_works(url: str) -> None:
    working = await PostgresDatabase.open(url)
    with pytest.raises(Problem, match=r"has the shape None.*another process works on it"):
        await asyncio.to_thread(migrate.bring_up, url, alone=False)
    await working.close()
    await asyncio.to_thread(migrate.bring_up, url, alone=False)
    beside = await PostgresDatabase.open(url)
    await asyncio.to_thread(migrate.bring_up, url, alone=False)
    await beside.close()


def test_a_step_that_fails_leaves_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade = command.upgrade

    def upgrade_and_fail(*arguments: Any) -> None:
        upgrade(*arguments)
        raise RuntimeError("a step failed")

    monkeypatch.setattr(command, "upgrade", upgrade_and_fail)
    with pytest.raises(RuntimeError, match="a step failed"):
        migrate.migrate(url)
    assert shape(url) == set()
    assert migrate.revision_of(url) is None


def test_a_newer_shape_is_refused(url: str) -> None:
    migrate.migrate(url)
    rows(url, "UPDATE alembic_version SET version_num = '9999_future'")
    with pytest.raises(Problem, match="of a newer Penstock"):
        migrate.bring_up(url, alone=True)


def test_a_server_that_cannot_be_used_is_a_problem_in_words() -> None:
    with pytest.raises(Problem, match="can't be reached"):
        migrate.migrate("postgresql://ann:secret@127.0.0.1:1/penstock")
