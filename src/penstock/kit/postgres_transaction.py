"""An open transaction on PostgreSQL: a plain function's statements, awaited where it can't await.

A unit of work runs in a greenlet; each statement switches to the event loop and back (`greenlet_spawn` and `await_`
are what SQLAlchemy's own asyncio support is made of). Statements go to asyncpg as they are, past SQLAlchemy: it keeps
them prepared on the server, by their text.
"""

import hashlib
from abc import abstractmethod
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import asyncpg
from sqlalchemy.util.concurrency import await_

from penstock.kit.database import Dialect, Row, TextRefusedError, Transaction
from penstock.kit.postgres_sets import LOCK_NAME, Sets, alone_form
from penstock.kit.statements import numbered

# A transaction that ends gives these locks back by itself. Two names with one number only wait for each other.
ALONE = f"SELECT {LOCK_NAME}($1)"


class ConnectionLostError(Exception):
    """The connection broke or did not answer; the cause tells how."""


class PostgresTransaction(Transaction):
    """A transaction in PostgreSQL's words; how they get to the server is left open. See `Transaction`."""

    dialect: ClassVar[Dialect] = "postgresql"

    def __init__(self, now: float) -> None:
        """Begin with `now` (seconds since 1970 UTC) as the one time of this transaction."""
        super().__init__(now)
        self._alone: set[str] = set()

    def run(self, sql: str, /, **parameters: Any) -> int:
        """Execute a statement and return the number of rows it changed."""
        translated, names = numbered(sql)
        return self._execute(translated, [parameters[name] for name in names])

    def many(self, sql: str, rows: Iterable[Mapping[str, Any]], /) -> None:
        """Execute a statement once for each of `rows`, all of them on their way at one time."""
        translated, names = numbered(sql)
        values = [[row[name] for name in names] for row in rows]
        if values:
            self._execute_many(translated, values)

    def one(self, sql: str, /, **parameters: Any) -> Row | None:
        """Return the first row as a dict, or None."""
        found = self._found(sql, parameters)
        return found[0] if found else None

    def all(self, sql: str, /, **parameters: Any) -> list[Row]:
        """Return every row as a dict."""
        return self._found(sql, parameters)

    def value(self, sql: str, /, **parameters: Any) -> Any:
        """Return the first column of the first row, or None."""
        found = self._found(sql, parameters)
        return next(iter(found[0].values())) if found else None

    def alone(self, name: str, /) -> None:
        """Let no other transaction be alone under the same name until this one ends. See `Transaction.alone`."""
        if name not in self._alone:
            self._execute(ALONE, [lock_number(name)])
            self._alone.add(name)

    def many_alone(self, sql: str, rows: Iterable[tuple[str, Mapping[str, Any]]], /) -> None:
        """Take the names' locks and insert in one statement. See `Transaction.many_alone`."""
        translated, names = numbered(sql)
        values = [[*(row[each] for each in names), lock_number(name)] for name, row in rows]
        if values:
            self._execute_many(alone_form(translated, len(names) + 1), values)

    def _found(self, sql: str, parameters: Mapping[str, Any]) -> list[Row]:
        translated, names = numbered(sql)
        return self._fetch(translated, [parameters[name] for name in names])

    @abstractmethod
    def _execute(self, sql: str, values: Sequence[Any]) -> int:
        """Execute a statement and return the number of rows it changed."""

    @abstractmethod
    def _execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Execute a statement once for each of `rows`, of which there is one at least."""

    @abstractmethod
    def _fetch(self, sql: str, values: Sequence[Any]) -> list[Row]:
        """Return every row."""


class SingleTransaction(PostgresTransaction):
    """One unit of work on a connection of its own."""

    def __init__(self, connection: "asyncpg.Connection", now: float, sets: Sets) -> None:
        """Work on `connection`; see `PostgresTransaction`."""
        super().__init__(now)
        self._connection, self._sets = connection, sets

    def _execute(self, sql: str, values: Sequence[Any]) -> int:
        return _changed(_answer(self._connection.execute(sql, *values)))

    def _execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        _answer(self._sets.many(self._connection, sql, rows))

    def _fetch(self, sql: str, values: Sequence[Any]) -> list[Row]:
        return [dict(row) for row in _answer(self._connection.fetch(sql, *values))]


def lock_number(name: str) -> int:
    """Return the number of an advisory lock: 64 bits of the name's hash, signed."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), signed=True)


def _answer(asked: Awaitable[Any]) -> Any:
    """Wait for the server, which is all that can fail in this way.

    Errors: ConnectionLostError, TextRefusedError; asyncpg's own.
    """
    try:
        return await_(asked)
    except asyncpg.CharacterNotInRepertoireError as error:
        raise TextRefusedError(str(error)) from error
    except (OSError, TimeoutError) as error:
        raise ConnectionLostError(str(error) or "no answer in time") from error


def _changed(status: str) -> int:
    """Read a command tag such as `UPDATE 3` or `INSERT 0 1`; 0 for one without a number, such as `CREATE TABLE`."""
    last = status.rpartition(" ")[2]
    return int(last) if last.isdecimal() else 0
