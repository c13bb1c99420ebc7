"""The seam to the database: units of work in, results out, one transaction each.

A unit of work is a plain function whose first parameter is a `Transaction`. `await database.write(unit, …)` runs
it in one transaction and returns what it returned once that is on disk; if it raises, nothing of it remains.
Orchestrators (endpoints, submit, settle, maintenance) call `write` and `read`; everything below takes the open
transaction and never commits.

Statements are text with `:names`, kept as named constants in `queries.py` and `queue.py`, one text for every database;
the few that must differ are `Variants`, chosen by `tx.dialect`. Times are seconds since 1970 UTC in double precision,
JSON is text: the same on every database.

On SQLite a unit is the only writer. On PostgreSQL units run at the same time under READ COMMITTED, where a statement
sees what was committed before it began. What a unit decides by, it therefore locks first (the wallet's row, or a name
by `Transaction.alone`), or guards the change itself by it (`WHERE id = :id AND state = 'running'`). It may be run
again from its beginning, so beside its transaction it changes nothing.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Concatenate, Literal, ParamSpec, Protocol, TypeVar

from sqlalchemy import MetaData

from penstock.kit.errors import DatabaseUnavailableError as DatabaseUnavailableError  # noqa: PLC0414 - raised by all here

Row = dict[str, Any]
Dialect = Literal["sqlite", "postgresql"]
Variants = Mapping[Dialect, str]
"""A statement that databases want in different words: `tx.one(LOCK_WALLET[tx.dialect], …)`."""
P = ParamSpec("P")
T = TypeVar("T")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class TextRefusedError(Exception):
    """A text has a character that the database can neither keep nor look for: a zero, on PostgreSQL."""


class Transaction(ABC):
    """An open transaction: what a unit of work speaks with. One implementation for each database.

    `now` is its one time, in seconds since 1970 UTC; `dialect` chooses among `Variants` of a statement.
    """

    dialect: ClassVar[Dialect]

    def __init__(self, now: float) -> None:
        """Begin nothing: the database that runs the unit does."""
        self.now = now
        self._after_commit: list[Callable[[], None]] = []

    @abstractmethod
    def run(self, sql: str, /, **parameters: Any) -> int:
        """Execute a statement and return the number of rows it changed."""

    @abstractmethod
    def many(self, sql: str, rows: Iterable[Mapping[str, Any]], /) -> None:
        """Execute a statement once for each of `rows`."""

    @abstractmethod
    def one(self, sql: str, /, **parameters: Any) -> Row | None:
        """Return the first row as a dict, or None."""

    @abstractmethod
    def all(self, sql: str, /, **parameters: Any) -> list[Row]:
        """Return every row as a dict; the statement itself must carry a LIMIT where rows are many."""

    @abstractmethod
    def value(self, sql: str, /, **parameters: Any) -> Any:
        """Return the first column of the first row, or None."""

    @abstractmethod
    def alone(self, name: str, /) -> None:
        """Let no other transaction be alone under the same name until this one ends.

        Nothing to do where every writer is alone anyway. Row locks come first: after this a unit waits for no row,
        and it takes several names in their order, so that no two units wait for each other. Names that everybody takes
        before any row (`billing.record`) keep that order as well.
        """

    @abstractmethod
    def many_alone(self, sql: str, rows: Iterable[tuple[str, Mapping[str, Any]]], /) -> None:
        """For each (name, row), be `alone` under the name and execute `INSERT … VALUES (…)`, in one step for all.

        What the table gives a row by itself, such as a number that grows, is given once nobody else is alone.
        """

    def after_commit(self, call: Callable[[], None], /) -> None:
        """Call `call` on the event loop once this transaction is on disk; never if it is rolled back."""
        self._after_commit.append(call)

    def committed(self) -> list[Callable[[], None]]:
        """Return what was asked for by `after_commit`; for the database that runs this transaction."""
        return self._after_commit


class Database(Protocol):
    """What SQLite and PostgreSQL are to everybody else."""

    async def write(self, unit: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `unit` in one transaction; returns after the commit.

        Errors:
            what `unit` raised, after a roll-back; DatabaseUnavailableError if the commit itself failed.
        """
        ...

    async def write_for(
        self, owner: str, unit: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `unit` in one transaction, perhaps in the same one as units of other owners; returns after the commit.

        For the many small units under load. The unit locks and changes only what belongs to `owner` (an account), and
        what it reads of others is only an estimate to it: it may see what they are about to commit.

        Errors: as `write`; a unit that raises leaves nothing and spoils nothing for the others.
        """
        ...

    async def read(self, unit: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `unit` on one consistent snapshot; it cannot write."""
        ...

    async def close(self) -> None:
        """Finish what is queued and close every connection."""
        ...
