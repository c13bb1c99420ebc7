"""Brings a database to the shape that this version of Penstock works with.

The steps lie in `migrations/versions`, run by Alembic from inside the package: no configuration file, no command of
its own. One transaction holds all of them, behind a lock, so a crash leaves the old shape whole, and of two processes
that start together the second finds the work done.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from penstock.kit import postgres_connections, sqlite
from penstock.kit.database import DatabaseUnavailableError
from penstock.kit.errors import Problem
from penstock.kit.postgres_transaction import lock_number

SCRIPTS = Path(__file__).parent / "migrations"
LOCK = lock_number("penstock migrations")

Place = Path | str
"""Where a database is: a SQLite file, or the address of a PostgreSQL database."""

CONNECTED = text(
    "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = :application"
)

T = TypeVar("T")


@lru_cache(maxsize=1)
def newest() -> str:
    """Return the revision that this version of Penstock works with."""
    head = ScriptDirectory(str(SCRIPTS)).get_current_head()
    assert head is not None
    return head


def revision_of(place: Place) -> str | None:
    """Return the revision of a database; None for one that is new or missing."""
    if isinstance(place, Path) and not place.exists():
        return None
    return _on(place, _revision)


def migrate(place: Place) -> tuple[str | None, str]:
    """Bring a database to the newest revision; returns the one it had and the one it has.

    Errors: Problem `unavailable` for a database that a newer Penstock has migrated, or that can't be used.
    """
    return _on(place, _migrate)


def bring_up(place: Place, *, alone: bool) -> None:
    """Migrate a database that nobody else uses; refuse one of another shape that somebody does.

    Args:
        alone: nobody else uses the file; a PostgreSQL server says by itself who is connected.
    Errors: Problem `unavailable`.
    """
    if isinstance(place, str):
        _on(place, _migrate_if_alone)
    elif alone:
        migrate(place)
    else:
        _refuse_other(revision_of(place))


def _migrate(connection: Connection) -> tuple[str | None, str]:
    _lock(connection)
    before = _revision(connection)
    refuse_newer(before)
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    connection.exec_driver_sql("COMMIT")
    return before, newest()


def _migrate_if_alone(connection: Connection) -> None:
    """The same on PostgreSQL, where others may be at work on other machines."""
    if _revision(connection) == newest():
        return
    if connection.execute(CONNECTED, {"application": postgres_connections.APPLICATION}).scalar_one():
        _refuse_other(_revision(connection))
    else:
        _migrate(connection)


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_other(found: str | None) -> None:
    refuse_newer(found)
    if found != newest():
        raise Problem(
            "unavailable",
            f"The database has the shape {found}, this version of Penstock needs {newest()}, and another "
            "process works on it. Stop that one first.",
        )


def refuse_newer(revision: str | None) -> None:
    """Raise `unavailable` for a revision that this version does not know."""
    known = {script.revision for script in ScriptDirectory(str(SCRIPTS)).walk_revisions()}
    if revision is not None and revision not in known:
        detail = f"The database has the shape {revision} of a newer Penstock. Install that version, or a backup's data."
        raise Problem("unavailable", detail)


def _on(place: Place, work: Callable[[Connection], T]) -> T:
    """Do something on a connection of its own, which commits nothing by itself.

    Errors: Problem `unavailable`, with what to do.
    """
    try:
        return asyncio.run(_on_postgres(place, work)) if isinstance(place, str) else _on_sqlite(place, work)
    except DatabaseUnavailableError as error:
        raise Problem("unavailable", str(error)) from error


def _on_sqlite(path: Path, work: Callable[[Connection], T]) -> T:
    def connect() -> sqlite3.Connection:
        return sqlite3.connect(path, timeout=sqlite.BUSY_TIMEOUT_S, isolation_level=None)

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            return work(connection)
    except DBAPIError as error:
        if (told := sqlite.trouble(path, error)) is not None:
            raise told from error
        raise
    finally:
        engine.dispose()


async def _on_postgres(url: str, work: Callable[[Connection], T]) -> T:
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: postgres_connections.connect(url, application="penstock migration", patient=True),
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
    )
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(work)
    finally:
        await engine.dispose()
