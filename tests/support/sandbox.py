"""A database for tests that need transactions and nothing around them: in memory, or on a PostgreSQL server."""

import asyncio
import sqlite3
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from penstock.kit.clock import ManualClock
from penstock.kit.database import Row, Transaction
from penstock.kit.postgres import BEGIN_WRITE, PostgresDatabase
from penstock.kit.sqlite_transaction import SqliteTransaction
from tests.support.flows import empty_database

P = ParamSpec("P")
T = TypeVar("T")


class Sandbox:
    """Every table, empty, and a clock that moves when told to."""

    def __init__(self) -> None:
        self.clock = ManualClock()

        def connect() -> sqlite3.Connection:
            raw = sqlite3.connect(":memory:", isolation_level=None)
            raw.deserialize(empty_database())
            raw.execute("PRAGMA foreign_keys = ON")
            return raw

        self._engine = create_engine("sqlite://", creator=connect, poolclass=StaticPool, isolation_level="AUTOCOMMIT")
        self._connection = self._engine.connect()
        self.told: list[Callable[[], None]] = []

    def do(self, unit: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a unit of work in one transaction; what it raises undoes it."""
        tx = SqliteTransaction(self._connection, self.clock.now())
        tx.run("BEGIN IMMEDIATE")
        try:
            result = unit(tx, *args, **kwargs)
        except BaseException:
            tx.run("ROLLBACK")
            raise
        tx.run("COMMIT")
        self.told += tx.committed()
        return result

    def rows(self, sql: str, **parameters: Any) -> list[Row]:
        """Return what a query finds."""
        return self.do(lambda tx: tx.all(sql, **parameters))

    def run(self, sql: str, **parameters: Any) -> int:
        """Change something behind everybody's back; returns the number of rows."""
        return self.do(lambda tx: tx.run(sql, **parameters))

    def close(self) -> None:
        self._connection.close()
        self._engine.dispose()

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class PostgresSandbox(Sandbox):
    """The same on PostgreSQL, with an event loop that runs while a unit does."""

    def __init__(self, url: str) -> None:
        self.clock = ManualClock()
        self.told = []
        self._loop = asyncio.Runner()
        self._database = self._loop.run(PostgresDatabase.open(url, clock=self.clock, connections=1))

    def do(self, unit: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        call: Callable[[Transaction], T] = partial(_call, unit, args, kwargs)
        result, told = self._loop.run(self._database._once(BEGIN_WRITE, partial(self._database._single, call)))
        self.told += told
        return result

    def close(self) -> None:
        self._loop.run(self._database.close())
        self._loop.close()


def _call(unit: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any], transaction: Transaction) -> T:
    return unit(transaction, *args, **kwargs)
