"""Hints over PostgreSQL itself (LISTEN and NOTIFY), for processes that share a database and no Redis.

They go over a connection of their own, after the commit that they tell of: a NOTIFY inside a writing transaction would
hold the server's one lock for notifications until its commit is on disk, so that no two of them could commit together
(see `docs/decisions`). Losing one in a crash of the server costs nothing, hence no waiting for the disk here.
"""

from collections.abc import Callable

import asyncpg

from penstock.kit.database import DatabaseUnavailableError
from penstock.kit.postgres_connections import connect, goodbye, shown
from penstock.kit.shared_hints import LineError

CHANNEL = "penstock_hints"
DONT_WAIT = "SET synchronous_commit = off"
SAY = "SELECT pg_notify($1, $2)"


class PostgresLine:
    """See `Line`."""

    def __init__(self, url: str) -> None:
        self.name = shown(url)
        self._url = url
        self._connection: asyncpg.Connection | None = None

    async def open(self, heard: Callable[[str], None], broken: Callable[[], None]) -> None:
        """Connect and listen."""
        try:
            connection = await connect(self._url)
            self._connection = connection
            connection.add_termination_listener(lambda _: broken())
            await connection.execute(DONT_WAIT)
            await connection.add_listener(CHANNEL, lambda _connection, _process, _channel, text: heard(text))
        except DatabaseUnavailableError as error:
            raise LineError(str(error)) from error
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise LineError(f"{self.name}: {error}") from error

    async def say(self, text: str) -> None:
        """Say a text."""
        assert self._connection is not None, "say comes after open"
        try:
            await self._connection.execute(SAY, CHANNEL, text)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise LineError(f"{self.name}: {error}") from error

    async def close(self) -> None:
        """Disconnect."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await goodbye(connection)
