"""An open transaction on SQLite: statements go straight to the DBAPI cursor, which knows `:names` by itself."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from sqlalchemy import Connection

from penstock.kit.database import Dialect, Row, Transaction


class SqliteTransaction(Transaction):
    """Thin enough for the hot path. See `Transaction`."""

    dialect: ClassVar[Dialect] = "sqlite"

    def __init__(self, connection: Connection, now: float) -> None:
        """Work on `connection` with `now` (seconds since 1970 UTC) as the one time of this transaction."""
        super().__init__(now)
        self.connection = connection
        self._cursor = connection.connection.cursor()

    def run(self, sql: str, /, **parameters: Any) -> int:
        """Execute a statement and return the number of rows it changed."""
        self._cursor.execute(sql, parameters)
        return self._cursor.rowcount

    def many(self, sql: str, rows: Iterable[Mapping[str, Any]], /) -> None:
        """Execute a statement once for each of `rows`."""
        self._cursor.executemany(sql, list(rows))

    def one(self, sql: str, /, **parameters: Any) -> Row | None:
        """Return the first row as a dict, or None."""
        self._cursor.execute(sql, parameters)
        row = self._cursor.fetchone()
        return None if row is None else dict(zip(self._names(), row, strict=True))

    def all(self, sql: str, /, **parameters: Any) -> list[Row]:
        """Return every row as a dict."""
        self._cursor.execute(sql, parameters)
        rows = self._cursor.fetchall()
        names = self._names()
        return [dict(zip(names, row, strict=True)) for row in rows]

    def value(self, sql: str, /, **parameters: Any) -> Any:
        """Return the first column of the first row, or None."""
        self._cursor.execute(sql, parameters)
        row = self._cursor.fetchone()
        return None if row is None else row[0]

    def alone(self, name: str, /) -> None:
        """Do nothing: every writer is alone."""

    def many_alone(self, sql: str, rows: Iterable[tuple[str, Mapping[str, Any]]], /) -> None:
        """Execute a statement once for each row: every writer is alone. See `Transaction.many_alone`."""
        self.many(sql, (row for _, row in rows))

    def _names(self) -> tuple[str, ...]:
        return tuple(column[0] for column in self._cursor.description or ())
