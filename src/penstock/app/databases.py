"""Which database a process works on: the SQLite file in its data folder, or a PostgreSQL server that many share."""

from penstock.app.folder import DataFolder
from penstock.app.migrate import Place
from penstock.kit.clock import Clock
from penstock.kit.database import Database, DatabaseUnavailableError
from penstock.kit.errors import Problem
from penstock.kit.postgres import PostgresDatabase
from penstock.kit.sqlite import Durability, SqliteDatabase
from penstock.product.settings import Settings


def place_of(settings: Settings, folder: DataFolder) -> Place:
    """Return where the database is."""
    return settings.database_url or folder.database


async def open_database(
    settings: Settings, folder: DataFolder, *, clock: Clock | None = None, durability: Durability = "full"
) -> Database:
    """Open the database of a process. Errors: Problem `unavailable` for a server that can't be used, and why.

    Args:
        durability: of SQLite; a PostgreSQL server is told in its own configuration.
    """
    if settings.database_url is None:
        return SqliteDatabase(folder.database, clock=clock, durability=durability)
    try:
        return await PostgresDatabase.open(
            settings.database_url, clock=clock, connections=settings.database_connections
        )
    except DatabaseUnavailableError as error:
        raise Problem("unavailable", str(error)) from error
