"""Connections to PostgreSQL: opened with a clear word on what is wrong, and a few kept for a process to share.

A unit of work ends its transaction and begins nothing else, so a connection needs no tidying between two of them, and
no pool that does so (each return would cost as much as a statement).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg

from penstock.kit.database import DatabaseUnavailableError

OLDEST_VERSION = 14
CONNECT_S = 10.0
ACQUIRE_S = 10.0  # how long a unit waits for a connection
CLOSE_S = 5.0
STATEMENT_S = 20.0  # how long a statement may take before its connection counts as lost
LOCK_WAIT_S = 10.0  # how long it waits for another transaction; the same as for SQLite's one writer
IDLE_TRANSACTION_S = 30.0  # a process that stops in the middle of a unit holds its locks no longer than a job's lease
CACHED_STATEMENTS = 512  # prepared statements of each connection

APPLICATION = "penstock"  # how the server calls these connections in pg_stat_activity
_LIMITS = {
    "idle_in_transaction_session_timeout": f"{IDLE_TRANSACTION_S:.0f}s",
    "lock_timeout": f"{LOCK_WAIT_S:.0f}s",
}

# What says something about the database and not about the statement, and what to do.
TROUBLE: dict[type[Exception], str] = {
    asyncpg.DiskFullError: "free some disk space on the database server",
    asyncpg.TooManyConnectionsError: "allow more connections on the server (max_connections) or run fewer processes",
    asyncpg.InsufficientResourcesError: "give the database server more memory or disk",
    asyncpg.LockNotAvailableError: "another transaction holds what this one needs; see pg_stat_activity",
    asyncpg.ReadOnlySQLTransactionError: "this server takes no writes; is it a standby?",
    asyncpg.CannotConnectNowError: "the server starts up or shuts down; wait for it",
    asyncpg.OperatorInterventionError: "the server was stopped, or the statement cancelled there",
    asyncpg.IdleInTransactionSessionTimeoutError: "this process stood still for too long",
    asyncpg.PostgresConnectionError: "see whether the server runs and can be reached",
    asyncpg.PostgresSystemError: "look after the disk of the database server",
    asyncpg.InternalServerError: "look into the log of the database server",
}


class Connections:
    """Up to `most` connections to one database, opened when they are first needed.

    Args:
        url: such as `postgresql://user:password@host:5432/name`.
    """

    def __init__(self, url: str, most: int) -> None:
        self._url, self._most = url, most
        self._free = asyncio.Semaphore(most)
        self._idle: list[asyncpg.Connection] = []  # the last one used first: its memory is the warmest
        self._closed = False

    @asynccontextmanager
    async def borrow(self) -> AsyncIterator["asyncpg.Connection"]:
        """Lend a connection that is in no transaction. Errors: DatabaseUnavailableError where none can be had."""
        try:
            async with asyncio.timeout(ACQUIRE_S):
                await self._free.acquire()
        except TimeoutError as error:
            told = f"{shown(self._url)}: none of {self._most} connections became free in {ACQUIRE_S:g} s"
            raise DatabaseUnavailableError(told) from error
        try:
            connection = self._unused() or await connect(self._url)
            try:
                yield connection
            finally:
                self._take_back(connection)
        finally:
            self._free.release()

    def _unused(self) -> "asyncpg.Connection | None":
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return None

    def _take_back(self, connection: "asyncpg.Connection") -> None:
        if self._closed or connection.is_closed() or connection.is_in_transaction():
            connection.terminate()
        else:
            self._idle.append(connection)

    async def close(self) -> None:
        """Close what is idle now, and what is lent as soon as it comes back."""
        self._closed = True
        idle, self._idle = self._idle, []
        for connection in idle:
            await goodbye(connection)


async def connect(url: str, *, application: str = APPLICATION, patient: bool = False) -> "asyncpg.Connection":
    """Open one connection; a `patient` one waits for answers and locks as long as it takes.

    Errors: DatabaseUnavailableError, with what to do.
    """
    limits = {} if patient else _LIMITS
    # Statements here are short: compiling them would take longer than they do. And they want the first few rows of an
    # index in its order: a bitmap reads all that match, with those that are long gone, and loses the order.
    server_settings = {"application_name": application, "jit": "off", "enable_bitmapscan": "off", **limits}
    try:
        connection = await asyncpg.connect(
            url,
            timeout=CONNECT_S,
            command_timeout=None if patient else STATEMENT_S,
            statement_cache_size=CACHED_STATEMENTS,
            max_cached_statement_lifetime=0,  # as long as the connection
            server_settings=server_settings,
        )
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DatabaseUnavailableError(_why_not(url, error)) from error
    version = connection.get_server_version()
    if version.major < OLDEST_VERSION:
        await goodbye(connection)
        raise DatabaseUnavailableError(
            f"{shown(url)} is PostgreSQL {version.major}, and Penstock needs {OLDEST_VERSION} or later."
        )
    return connection


async def goodbye(connection: "asyncpg.Connection") -> None:
    """Close a connection, also one whose server is gone."""
    try:
        await connection.close(timeout=CLOSE_S)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()


def shown(url: str) -> str:
    """Return the address of a database as it may be logged: without user, password and options."""
    parts = urlsplit(url)
    return f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"


def advice(error: Exception) -> str | None:
    """Return what to do about trouble with the database; None for an error that is none."""
    return next((told for kind, told in TROUBLE.items() if isinstance(error, kind)), None)


def _why_not(url: str, error: Exception) -> str:
    where = shown(url)
    match error:
        case asyncpg.InvalidCatalogNameError():
            name = urlsplit(url).path.lstrip("/")
            return f"{where}: the server has no such database. Make it first: createdb {name or '<name>'}."
        case asyncpg.InvalidAuthorizationSpecificationError():
            return f"{where} refuses the user or the password: {error}. Look at PENSTOCK_DATABASE_URL."
        case asyncpg.PostgresError() if (told := advice(error)) is not None:
            return f"{where}: {error} ({told})."
        case TimeoutError():
            return f"{where} did not answer in {CONNECT_S:g} seconds. See whether the server can be reached from here."
        case OSError():
            return f"{where} can't be reached: {error}. See whether the server runs, and where."
    return f"{where} can't be used: {error}."
