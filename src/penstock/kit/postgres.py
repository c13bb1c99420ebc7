"""PostgreSQL behind the database seam: a pool of connections, one transaction on each, units run again after a race.

Writes are READ COMMITTED: a unit locks what it decides by, so nothing needs to be checked at the commit. Two units
that lock in opposite orders, or take the same unique key at the same moment, are told so by the server; the one that
lost is undone and run again from its beginning, now that it can see the other. Reads are one snapshot (REPEATABLE
READ, READ ONLY).

Whoever stops waiting for a unit doesn't stop the unit: it goes on to its end, as on SQLite.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Concatenate, TypeVar

import asyncpg
from sqlalchemy.util.concurrency import greenlet_spawn

from penstock.kit.checkpoints import checkpoint
from penstock.kit.clock import Clock, SystemClock
from penstock.kit.database import DatabaseUnavailableError, P, T, Transaction
from penstock.kit.postgres_connections import TROUBLE, Connections, advice, shown
from penstock.kit.postgres_sets import Sets
from penstock.kit.postgres_together import BEGIN as BEGIN_TOGETHER
from penstock.kit.postgres_together import CommitLostError, Together
from penstock.kit.postgres_transaction import ConnectionLostError, SingleTransaction

R = TypeVar("R")

CONNECTIONS = 10  # of one process, at most; the server must allow as many for all processes together
TRIES = 8  # of a unit that lost a race
RETRY_PAUSE_S = 0.01  # before the second try at most; doubles
CANCELLED_WAIT_S = 1.0  # how long a cancelled caller waits for its unit, so that what it does next finds it done
LOST = "see whether the server runs and can be reached"

BEGIN_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
BEGIN_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

# The unit lost to another one that was running at the same time; by now that one is done.
_RACES = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.UniqueViolationError,
    asyncpg.InvalidCachedStatementError,
)
_TROUBLE: tuple[type[Exception], ...] = (ConnectionLostError, *TROUBLE)
_READ_ONLY = asyncpg.ReadOnlySQLTransactionError


class PostgresDatabase:
    """A PostgreSQL database, opened once per process by `open`."""

    def __init__(self, url: str, clock: Clock, connections: int) -> None:
        """Connect to nothing yet."""
        self.name, self.clock = shown(url), clock
        self._connections = Connections(url, connections)
        self._closed = False
        self._under_way: set[asyncio.Task[Any]] = set()
        self._chance = random.Random()  # noqa: S311 - spreads retries, guards nothing
        in_one = partial(self._once, BEGIN_TOGETHER)
        self._sets = Sets()
        self._together = Together(self._write, in_one, self.clock.now, self._tell, self._sets)

    @classmethod
    async def open(cls, url: str, *, clock: Clock | None = None, connections: int = CONNECTIONS) -> "PostgresDatabase":
        """Connect to the database at `url`, such as `postgresql://user:password@host:5432/name`.

        Errors: DatabaseUnavailableError, with what to do, for a server that can't be reached or is too old, and for
        a user, password or database that it doesn't know.
        """
        database = cls(url, clock or SystemClock(), connections)
        async with database._connections.borrow():
            return database

    async def write(self, unit: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `unit` in one transaction; returns after the commit. See `Database.write`."""
        self._check_open()
        return await self._outlasting(self._write(partial(_call, unit, args, kwargs)))

    async def write_for(
        self, owner: str, unit: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `unit` in one transaction, perhaps together with units of others. See `Database.write_for`."""
        self._check_open()
        result: T = await self._outlasting(self._together.join(owner, partial(_call, unit, args, kwargs)))
        return result

    async def read(self, unit: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `unit` on one consistent snapshot. See `Database.read`."""
        self._check_open()
        result, _ = await self._once(BEGIN_READ, partial(self._single, partial(_call, unit, args, kwargs)))
        return result

    async def close(self) -> None:
        """Finish what is under way and close every connection."""
        self._closed = True
        if self._under_way:
            await asyncio.wait(self._under_way)
        await self._connections.close()

    def _check_open(self) -> None:
        if self._closed:
            raise DatabaseUnavailableError(f"{self.name} is closed")

    async def _outlasting(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for `work`, which goes on if the caller is cancelled."""
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.done():
                task.add_done_callback(_forget)
                await asyncio.wait([task], timeout=CANCELLED_WAIT_S)
            raise

    async def _write(self, call: Callable[[Transaction], T]) -> T:
        for tried in range(1, TRIES + 1):
            try:
                result, calls = await self._once(BEGIN_WRITE, partial(self._single, call))
            except _RACES:
                if tried == TRIES:
                    raise
                await asyncio.sleep(self._chance.uniform(0, RETRY_PAUSE_S * 2 ** (tried - 1)))
            else:
                self._tell(calls)
                return result
        raise AssertionError("the last try returns or raises")

    async def _single(
        self, call: Callable[[Transaction], T], connection: "asyncpg.Connection"
    ) -> tuple[T, list[Callable[[], None]]]:
        transaction = SingleTransaction(connection, self.clock.now(), self._sets)
        result: T = await greenlet_spawn(call, transaction)
        return result, transaction.committed()

    async def _once(self, begin: str, work: Callable[["asyncpg.Connection"], Awaitable[R]]) -> R:
        """Do `work` in one transaction and commit."""
        try:
            async with self._connections.borrow() as connection:
                await _command(connection, begin)
                try:
                    result = await work(connection)
                except BaseException as error:
                    await _roll_back(connection)
                    if isinstance(error, asyncpg.InterfaceError) and connection.is_closed():
                        raise ConnectionLostError(str(error)) from error
                    raise
                if begin is not BEGIN_READ:
                    checkpoint("postgres.before_commit")
                if await self._commit(connection) != "COMMIT":
                    raise RuntimeError("a unit of work went on after a statement of it had failed")
                if begin is not BEGIN_READ:
                    checkpoint("postgres.after_commit")
                return result
        except _TROUBLE as error:
            if begin is BEGIN_READ and isinstance(error, _READ_ONLY):
                raise  # a mistake of the unit
            raise self._lost(error) from error

    async def _commit(self, connection: "asyncpg.Connection") -> str:
        try:
            return await _command(connection, "COMMIT")
        except _TROUBLE as error:
            raise CommitLostError(str(self._lost(error))) from error

    def _lost(self, error: Exception) -> DatabaseUnavailableError:
        return DatabaseUnavailableError(f"{self.name}: {error} ({advice(error) or LOST})")

    def _tell(self, calls: list[Callable[[], None]]) -> None:
        for call in calls:
            try:
                call()
            except Exception as error:  # noqa: BLE001 - what was asked for is done; the others must hear of it too
                context = {"message": "a call after a commit failed", "exception": error}
                asyncio.get_running_loop().call_exception_handler(context)


async def _command(connection: "asyncpg.Connection", sql: str) -> str:
    """Begin or end a transaction. Errors: ConnectionLostError; asyncpg's own."""
    try:
        status: str = await connection.execute(sql)
    except (OSError, TimeoutError) as error:
        raise ConnectionLostError(str(error) or "no answer in time") from error
    return status


async def _roll_back(connection: "asyncpg.Connection") -> None:
    """Undo what is open, so that the connection can be used again; one that can't even do that is closed."""
    try:
        if not connection.is_closed():
            await connection.execute("ROLLBACK")
    except Exception:  # noqa: BLE001 - why the unit failed is what the caller is told
        connection.terminate()


def _forget(task: "asyncio.Task[Any]") -> None:
    """Look at how a unit ended that nobody waits for any more: on SQLite, too, nobody would be told."""
    if not task.cancelled():
        task.exception()


def _call(unit: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any], transaction: Transaction) -> T:
    return unit(transaction, *args, **kwargs)
