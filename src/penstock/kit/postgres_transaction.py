"""An open transaction on PostgreSQL: a plain function's statements, awaited where it can't await.

A unit of work runs in a greenlet; each statement switches to the event loop and back (`greenlet_spawn` and `await_`
are what SQLAlchemy's own asyncio support is made of). Statements go to asyncpg as they are, past SQLAlchemy: it keeps
them prepared on the server, by their text.
"""

import hashlib
import re
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar

import asyncpg
from sqlalchemy.util.concurrency import await_

from penstock.kit.database import Dialect, Row, TextRefusedError, Transaction
from penstock.kit.statements import MAX_STATEMENTS, numbered

# A transaction that ends gives these locks back by itself. Two names with one number only wait for each other.
LOCK_NAME = "pg_advisory_xact_lock"
ALONE = f"SELECT {LOCK_NAME}($1)"

_VALUES = re.compile(r"\A(?P<into>\s*INSERT\s.+?)\bVALUES\s*\((?P<values>.+)\)\s*\Z", re.DOTALL)


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

    def run_alone(self, name: str, sql: str, /, **parameters: Any) -> int:
        """Take the name's lock and insert in one statement. See `Transaction.run_alone`."""
        if name in self._alone:
            return self.run(sql, **parameters)
        translated, names = numbered(sql)
        values = [*(parameters[each] for each in names), lock_number(name)]
        changed = self._execute(alone_form(translated, len(values)), values)
        self._alone.add(name)
        return changed

    def _found(self, sql: str, parameters: Mapping[str, Any]) -> list[Row]:
        translated, names = numbered(sql)
        return self._fetch(translated, [parameters[name] for name in names])

    def _execute(self, sql: str, values: Sequence[Any]) -> int:
        return _changed(_answer(self._connection.execute(sql, *values)))

    def _execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        _answer(self._connection.executemany(sql, rows))

    def _fetch(self, sql: str, values: Sequence[Any]) -> list[Row]:
        return [dict(row) for row in _answer(self._connection.fetch(sql, *values))]


@lru_cache(maxsize=MAX_STATEMENTS)
def alone_form(sql: str, parameter: int) -> str:
    """Return an `INSERT … VALUES (…)` that first takes the lock whose number is this parameter.

    The server neither flattens nor skips a sub-select that calls a volatile function, so the lock is there before the
    new row is made. Errors: ValueError for any other statement.
    """
    found = _VALUES.match(sql)
    if found is None:
        raise ValueError(f"not an INSERT of one row of VALUES: {sql}")
    alone = f"(SELECT {LOCK_NAME}(${parameter}::bigint)) AS alone"
    return f"{found['into']}SELECT {found['values']} FROM {alone}"  # noqa: S608 - constants of ours


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
