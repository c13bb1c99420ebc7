"""SQLite behind the database seam: one writer thread with group commit, a few reading threads.

SQLite allows one writer. Several writing connections starve each other, so all writes of this process go through
one thread that owns one connection. Units of work that queue up while a commit waits for the disk share the next
transaction, each inside its own savepoint: one that raises is undone alone, and one fsync pays for all of them
(group commit; Helland et al., "Group Commit Timers and High Volume Transaction Systems", 1987).

Another process (the command line, a second server on the same file) may write too; BEGIN IMMEDIATE then waits for
up to `BUSY_TIMEOUT_S`.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, Literal, NamedTuple

from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from penstock.kit.checkpoints import checkpoint
from penstock.kit.clock import Clock, SystemClock
from penstock.kit.database import DatabaseUnavailableError, P, T, Transaction
from penstock.kit.sqlite_transaction import SqliteTransaction

BUSY_TIMEOUT_S = 10.0
GROUP_UNITS = 64  # units of work in one commit at most: bounds how long the first of them waits
READERS = 2  # threads
CACHE_KIB = 16_384  # page cache of each connection
CACHED_STATEMENTS = 512  # prepared statements of each connection

# What says something about the database and not about the statement: primary result codes of SQLite, and what to do.
_UNAVAILABLE = {
    sqlite3.SQLITE_FULL: "free some disk space",
    sqlite3.SQLITE_IOERR: "look after the disk",
    sqlite3.SQLITE_BUSY: "another process is writing to it; stop that one or wait for it",
    sqlite3.SQLITE_LOCKED: "another process is writing to it; stop that one or wait for it",
    sqlite3.SQLITE_CANTOPEN: "see whether its folder exists and may be written to",
    sqlite3.SQLITE_READONLY: "see whether the file and its folder may be written to",
    sqlite3.SQLITE_CORRUPT: "restore it from a backup",
    sqlite3.SQLITE_NOTADB: "this is not a database; restore it from a backup",
    sqlite3.SQLITE_NOMEM: "free some memory",
}

Durability = Literal["full", "normal"]


class _Unit(NamedTuple):
    call: Callable[[Transaction], Any]
    future: asyncio.Future[Any]


class _Outcome(NamedTuple):
    unit: _Unit
    result: Any
    error: BaseException | None
    calls: list[Callable[[], None]]


class _GroupLostError(Exception):
    """SQLite undid the whole transaction by itself; the cause tells why."""


class SqliteDatabase:
    """A SQLite file, opened once per process.

    Args:
        path: the file; its folder must exist.
        clock: gives each transaction its time.
        durability: `full` survives a power cut, `normal` may lose the last commits in one (never consistency).
    """

    def __init__(self, path: Path, *, clock: Clock | None = None, durability: Durability = "full") -> None:
        self.path = path
        self.clock = clock or SystemClock()
        self._durability = durability
        self._units: queue.SimpleQueue[_Unit | None] = queue.SimpleQueue()
        self._gate = threading.Lock()  # nothing gets into the queue behind the mark that ends it
        self._closed = False
        self._local = threading.local()
        self._connections: list[Connection] = []
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="sqlite-read")
        self._writer = threading.Thread(target=self._write_loop, name="sqlite-write", daemon=True)
        self._writer.start()

    async def write(self, unit: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `unit` in one transaction; returns after the commit. See `Database.write`."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        with self._gate:
            self._check_open()
            self._units.put(_Unit(partial(_call, unit, args, kwargs), future))
        return await future

    async def write_for(
        self,
        owner: str,  # noqa: ARG002 - on SQLite, units of one owner are one after the other like all others
        unit: Callable[Concatenate[Transaction, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Do as `write`, which shares its commits among all units anyway. See `Database.write_for`."""
        return await self.write(unit, *args, **kwargs)

    async def read(self, unit: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `unit` on one consistent snapshot. See `Database.read`."""
        loop = asyncio.get_running_loop()
        with self._gate:
            self._check_open()
            reading = loop.run_in_executor(self._readers, partial(self._read, partial(_call, unit, args, kwargs)))
        return await reading

    async def close(self) -> None:
        """Finish what is queued, fold the write-ahead log into the file and close every connection."""
        with self._gate:
            if not self._closed:
                self._closed = True
                self._units.put(None)
        await asyncio.to_thread(self._writer.join)
        await asyncio.to_thread(self._readers.shutdown)
        while self._connections:
            _dispose(self._connections.pop())

    def _check_open(self) -> None:
        if self._closed:
            raise DatabaseUnavailableError(f"{self.path} is closed")

    def _read(self, call: Callable[[Transaction], T]) -> T:
        try:
            connection: Connection | None = getattr(self._local, "connection", None)
            if connection is None:
                connection = self._local.connection = self._open(read_only=True)
                self._connections.append(connection)
            transaction = SqliteTransaction(connection, self.clock.now())
            transaction.run("BEGIN")
            try:
                return call(transaction)
            finally:
                if _raw(connection).in_transaction:
                    transaction.run("COMMIT")
        except (sqlite3.Error, DBAPIError) as error:
            raise self._translated(error) from error

    def _write_loop(self) -> None:
        connection: Connection | None = None
        while units := self._next_group():
            try:
                if connection is None:
                    connection = self._open(read_only=False)
                outcomes = self._commit_group(connection, units)
            except (sqlite3.Error, _GroupLostError) as error:
                outcomes = [_Outcome(unit, None, self._lost(error), []) for unit in units]
                if connection is not None and not _rolled_back(connection):
                    _dispose(connection)
                    connection = None
            _deliver(outcomes)
        if connection is not None:
            _dispose(connection)

    def _next_group(self) -> list[_Unit]:
        """Wait for a unit and take with it what else is queued; nothing once the database is closed."""
        units: list[_Unit] = []
        while len(units) < GROUP_UNITS and (not units or not self._units.empty()):
            unit = self._units.get()
            if unit is None:
                self._units.put(None)  # for the next look, after this group
                break
            units.append(unit)
        return units

    def _commit_group(self, connection: Connection, units: list[_Unit]) -> list[_Outcome]:
        cursor = connection.connection.cursor()
        cursor.execute("BEGIN IMMEDIATE")
        outcomes = [self._attempt(connection, unit) for unit in units]
        checkpoint("sqlite.before_commit")
        cursor.execute("COMMIT")
        checkpoint("sqlite.after_commit")
        return outcomes

    def _attempt(self, connection: Connection, unit: _Unit) -> _Outcome:
        transaction = SqliteTransaction(connection, self.clock.now())
        transaction.run("SAVEPOINT unit")
        try:
            result = unit.call(transaction)
        except BaseException as error:
            if not _raw(connection).in_transaction:  # a full disk or an I/O error may undo the whole group
                raise _GroupLostError from error
            transaction.run("ROLLBACK TO unit")
            transaction.run("RELEASE unit")
            return _Outcome(unit, None, self._translated(error), [])
        transaction.run("RELEASE unit")
        return _Outcome(unit, result, None, transaction.committed())

    def _translated(self, error: BaseException) -> BaseException:
        """Return what the caller gets: its own mistake as it is, the database's trouble under one name."""
        code = _primary_code(error)
        if code in _UNAVAILABLE and code != sqlite3.SQLITE_READONLY:  # which is what a unit that writes in `read` gets
            return self._lost(error)
        if isinstance(error, StopIteration):  # a future takes anything but this
            wrapped = RuntimeError("a unit of work raised StopIteration")
            wrapped.__cause__ = error
            return wrapped
        return error

    def _lost(self, error: BaseException) -> DatabaseUnavailableError:
        cause = error.__cause__ or error if isinstance(error, _GroupLostError) else error
        lost = trouble(self.path, cause) or DatabaseUnavailableError(f"{self.path}: {getattr(cause, 'orig', cause)}")
        lost.__cause__ = cause
        return lost

    def _open(self, *, read_only: bool) -> Connection:
        def connect() -> sqlite3.Connection:
            raw = sqlite3.connect(
                self.path,
                timeout=BUSY_TIMEOUT_S,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=CACHED_STATEMENTS,
            )
            try:
                for pragma in _pragmas(self._durability, read_only=read_only):
                    raw.execute(f"PRAGMA {pragma}")
            except BaseException:
                raw.close()
                raise
            return raw

        engine = create_engine("sqlite://", creator=connect, poolclass=StaticPool, isolation_level="AUTOCOMMIT")
        try:
            return engine.connect()
        except DBAPIError as error:
            raise error.orig or error from error


def _pragmas(durability: Durability, *, read_only: bool) -> list[str]:
    # Savepoints keep journals of their own, which otherwise spill to temporary files: a quarter of the writer's time.
    common = [f"cache_size=-{CACHE_KIB}", "foreign_keys=ON", "temp_store=MEMORY"]
    if read_only:
        return [*common, "query_only=ON"]
    return ["journal_mode=WAL", f"synchronous={durability.upper()}", *common]


def _call(unit: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any], transaction: Transaction) -> T:
    return unit(transaction, *args, **kwargs)


def trouble(path: Path, error: BaseException) -> DatabaseUnavailableError | None:
    """Return what an error says about the database and what to do; None for one that is about a statement."""
    advice = _UNAVAILABLE.get(_primary_code(error))
    return None if advice is None else DatabaseUnavailableError(f"{path}: {getattr(error, 'orig', error)} ({advice})")


def _primary_code(error: BaseException) -> int:
    """Return the kind of a SQLite error, also of one that SQLAlchemy wrapped; SQLITE_OK for anything else."""
    extended = getattr(getattr(error, "orig", error), "sqlite_errorcode", None)
    return sqlite3.SQLITE_OK if extended is None else int(extended) & 0xFF


def _raw(connection: Connection) -> sqlite3.Connection:
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw


def _rolled_back(connection: Connection) -> bool:
    """Undo what is open; False for a connection that can't even do that and must be replaced."""
    raw = _raw(connection)
    try:
        if raw.in_transaction:
            raw.execute("ROLLBACK")
    except sqlite3.Error:
        return False
    return True


def _dispose(connection: Connection) -> None:
    connection.close()
    connection.engine.dispose()


def _deliver(outcomes: list[_Outcome]) -> None:
    """Hand each outcome to the event loop that waits for it, one wake-up for each loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Outcome]] = {}
    for outcome in outcomes:
        by_loop.setdefault(outcome.unit.future.get_loop(), []).append(outcome)
    for loop, theirs in by_loop.items():
        with suppress(RuntimeError):  # a loop that was closed meanwhile: nobody waits any more
            loop.call_soon_threadsafe(_resolve, loop, theirs)


def _resolve(loop: asyncio.AbstractEventLoop, outcomes: list[_Outcome]) -> None:
    for outcome in outcomes:
        for call in outcome.calls:
            try:
                call()
            except Exception as error:  # noqa: BLE001 - the others in the group must hear of their commit all the same
                loop.call_exception_handler({"message": "a call after a commit failed", "exception": error})
        if outcome.unit.future.done():  # whoever waited was cancelled; the work stands all the same
            continue
        if outcome.error is not None:
            outcome.unit.future.set_exception(outcome.error)
        else:
            outcome.unit.future.set_result(outcome.result)
