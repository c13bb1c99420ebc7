"""An open transaction on PostgreSQL: a plain function's statements, awaited where it can't await.

A unit of work runs in a greenlet; each statement switches to the event loop and back (`greenlet_spawn` and `await_`
are what SQLAlchemy's own asyncio support is made of). Statements go to asyncpg as they are, past SQLAlchemy: it keeps
them prepared on the server, by their text.
"""

import hashlib
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import asyncpg
from sqlalchemy.util.concurrency import await_

from penstock.kit.database import Dialect, Row, Transaction
from penstock.kit.statements import numbered

# A transaction that ends gives these locks back by itself. Two names with one number only wait for each other.
ALONE = "SELECT pg_advisory_xact_lock($1)"


class ConnectionLostError(Exception):
    """The connection broke or did not answer; the cause tells how."""


class PostgresTransaction(Transaction):
    """See `Transaction`."""

    dialect: ClassVar[Dialect] = "postgresql"

    def __init__(self, connection: "asyncpg.Connection", now: float) -> None:
        """Work on `connection` with `now` (seconds since 1970 UTC) as the one time of this transaction."""
        super().__init__(now)
        self._connection = connection
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

    def _found(self, sql: str, parameters: Mapping[str, Any]) -> list[Row]:
        translated, names = numbered(sql)
        return self._fetch(translated, [parameters[name] for name in names])

    def _execute(self, sql: str, values: Sequence[Any]) -> int:
        return changed(_answer(self._connection.execute(sql, *values)))

    def _execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        _answer(self._connection.executemany(sql, rows))

    def _fetch(self, sql: str, values: Sequence[Any]) -> list[Row]:
        return [dict(row) for row in _answer(self._connection.fetch(sql, *values))]


def lock_number(name: str) -> int:
    """Return the number of an advisory lock: 64 bits of the name's hash, signed."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), signed=True)


def _answer(asked: Awaitable[Any]) -> Any:
    """Wait for the server, which is all that can fail in this way. Errors: ConnectionLostError; asyncpg's own."""
    try:
        return await_(asked)
    except (OSError, TimeoutError) as error:
        raise ConnectionLostError(str(error) or "no answer in time") from error


def changed(status: str) -> int:
    """Read a command tag such as `UPDATE 3` or `INSERT 0 1`; 0 for one without a number, such as `CREATE TABLE`."""
    last = status.rpartition(" ")[2]
    return int(last) if last.isdecimal() else 0
