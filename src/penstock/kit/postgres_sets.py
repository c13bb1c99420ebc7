"""One statement in place of the same statement many times: its parameters come as arrays, an element for each time.

    UPDATE t SET a = $1 WHERE id = $2      30 times
    UPDATE t SET a = given.p1 FROM unnest($1::int8[], $2::text[]) WITH ORDINALITY AS given (p1, p2, place)
        WHERE id = given.p2 RETURNING given.place - 1 AS _unit      once

What is left of a small statement on its way is mostly the way: binding, starting and ending its plan. A statement has
a form as a set only where it does the same: a SELECT asks for each row by itself (LATERAL), an INSERT adds each row,
and an UPDATE must name the rows that it changes by `column = $n`, each time another value, so that no row is changed
twice. Whatever can't be said so is sent once for each, all of them on their way at one time.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import asyncpg

from penstock.kit.database import Row
from penstock.kit.statements import MAX_STATEMENTS

Kind = Literal["run", "fetch"]
Values = Sequence[Any]

LOCK_NAME = "pg_advisory_xact_lock"
UNIT = "_unit"

_VERB = re.compile(r"\s*(\w+)")
_RETURNING = re.compile(r"\bRETURNING\b", re.IGNORECASE)
_CHANGES = frozenset({"INSERT", "UPDATE", "DELETE"})
# What may hide a word comes first: texts, quoted names, comments.
_TOKEN = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|\$(?P<number>\d+)|(?P<bracket>[()])|(?P<word>[A-Za-z_]\w*)"
)
_EQUAL = re.compile(r"(?:\w+\.)?\w+ = \$(?P<number>\d+)")
_ONE_ROW = re.compile(r"\A(?P<into>\s*INSERT\s.+?)\bVALUES\s*\((?P<values>.+)\)\s*\Z", re.DOTALL | re.IGNORECASE)
_ALONE = re.compile(rf"\bFROM (?P<alone>\(SELECT {LOCK_NAME}\(\$\d+::bigint\)\) AS alone)\s*\Z")
_UNSURE = frozenset({"OR", "CASE", "BETWEEN", "FROM"})  # on the way of an UPDATE: what it changes can't be told


@dataclass(frozen=True)
class SetForm:
    """A statement for many times at once.

    Args:
        sql: with one array for each parameter of the statement for one time.
        keys: parameters (from 0) of which one must differ each time; None where all may be equal.
        answers: whether rows come back, each with its place as `_unit`.
    """

    sql: str
    keys: tuple[int, ...] | None
    answers: bool

    def fits(self, rows: Sequence[Values]) -> bool:
        """Whether it does what the statement does once for each of `rows`."""
        return self.keys is None or any(len({row[key] for row in rows}) == len(rows) for key in self.keys)


class Sets:
    """Sends the same statement many times; what it finds out about statements holds for one database."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._forms: dict[str, SetForm | None] = {}

    async def many(self, connection: "asyncpg.Connection", sql: str, rows: Sequence[Values]) -> None:
        """Execute a statement once for each row of parameters. Errors: asyncpg's own."""
        if (form := await self._form(connection, sql, rows)) is None:
            await connection.executemany(sql, rows)
        else:
            await connection.fetch(form.sql, *zip(*rows, strict=True))

    async def each(
        self, connection: "asyncpg.Connection", kind: Kind, sql: str, rows: Sequence[Values]
    ) -> Sequence[int | list[Row]]:
        """Return for each row of parameters what it finds or, for `run`, how many rows it changes.

        Errors: asyncpg's own.
        """
        form = await self._form(connection, sql, rows)
        if form is not None and not form.answers:
            await connection.fetch(form.sql, *zip(*rows, strict=True))
            return [1] * len(rows) if kind == "run" else [[] for _ in rows]
        if form is not None:
            answers = _sorted(await connection.fetch(form.sql, *zip(*rows, strict=True)), len(rows))
        elif (marked := one_by_one(sql, len(rows[0]))) is not None:
            asked = [(*row, place) for place, row in enumerate(rows)]
            answers = _sorted(await connection.fetchmany(marked, asked), len(rows))
            if kind == "run" and counts(sql):
                return [answer[0]["changed"] for answer in answers]
        else:
            answers = [[dict(row) for row in await connection.fetch(sql, *row)] for row in rows]
        return [len(answer) for answer in answers] if kind == "run" else answers

    async def _form(self, connection: "asyncpg.Connection", sql: str, rows: Sequence[Values]) -> SetForm | None:
        """Return how to send a statement for all `rows` at once; None where that can't be."""
        if len(rows) == 1:
            return None
        if sql not in self._forms:
            types = (await connection.prepare(sql)).get_parameters()
            plain = all(each.schema == "pg_catalog" and each.kind == "scalar" for each in types)
            self._forms[sql] = set_form(sql, [each.name for each in types]) if plain else None
        form = self._forms[sql]
        return form if form is not None and form.fits(rows) else None


def _sorted(found: Iterable["asyncpg.Record"], places: int) -> list[list[Row]]:
    """Give the rows to the places that they name."""
    answers: list[list[Row]] = [[] for _ in range(places)]
    for row in found:
        values = dict(row)
        answers[values.pop(UNIT)].append(values)
    return answers


def counts(sql: str) -> bool:
    """Whether the form `one_by_one` of a statement answers with the number of rows that it changed."""
    return _verb(sql) in _CHANGES and _RETURNING.search(sql) is None


@lru_cache(maxsize=MAX_STATEMENTS)
def one_by_one(sql: str, parameters: int) -> str | None:
    """Return a statement whose rows say to whose turn they belong: one more parameter comes back in each.

    None where that can't be said: such statements go by themselves.
    """
    mark = f"${parameters + 1}::int AS {UNIT}"
    if _verb(sql) == "SELECT":
        return f"SELECT asked.*, {mark} FROM ({sql}) AS asked"  # noqa: S608 - constants of ours
    if counts(sql):
        return f"WITH asked AS ({sql} RETURNING 1) SELECT COUNT(*) AS changed, {mark} FROM asked"  # noqa: S608
    if _verb(sql) in _CHANGES:
        return f"WITH asked AS ({sql}) SELECT asked.*, {mark} FROM asked"  # noqa: S608
    return None


def set_form(sql: str, types: Sequence[str]) -> SetForm | None:
    """Return the form of a statement for many times at once, None where it has none.

    Args:
        sql: with `$1`, `$2`, ….
        types: of its parameters, as PostgreSQL calls them.
    """
    if not types:
        return None
    names = ", ".join(f"p{number}" for number in range(1, len(types) + 1))
    arrays = ", ".join(f"${number}::{name}[]" for number, name in enumerate(types, 1))
    given = f"unnest({arrays}) WITH ORDINALITY AS given ({names}, place)"
    match _verb(sql):
        case "SELECT":
            asked = f"CROSS JOIN LATERAL ({_from_given(sql)}) AS asked"
            return SetForm(f"SELECT asked.*, given.place - 1 AS {UNIT} FROM {given} {asked}", None, answers=True)  # noqa: S608
        case "INSERT":
            return _insert_form(sql, given)
        case "UPDATE":
            return _update_form(sql, given)
    return None


def _insert_form(sql: str, given: str) -> SetForm | None:
    """Only where each time adds one row: nothing is said about conflicts, and nothing is asked back."""
    if (found := one_row(sql)) is not None:
        into, values = found
        return SetForm(f"{_from_given(into)}SELECT {_from_given(values)} FROM {given}", None, answers=False)  # noqa: S608
    if (alone := _ALONE.search(sql)) is not None:  # by its place, so that each lock is there before its row is made
        inserted, lock = _from_given(sql[: alone.start()]), _from_given(alone["alone"])
        return SetForm(f"{inserted}FROM {given} CROSS JOIN LATERAL {lock}", None, answers=False)
    return None


def _update_form(sql: str, given: str) -> SetForm | None:
    clauses = _clauses(sql)
    if clauses is None:
        return None
    change, conditions, returning = clauses
    keys = [found for each in conditions if (found := _EQUAL.fullmatch(each))]
    if not keys:
        return None
    # The keys lead to the rows: hidden from the planner, the rest can't lure it into a partial index whose rows it
    # takes for few because it has not counted them lately.
    named = [key[0] for key in keys]
    rest = " AND ".join(each for each in conditions if each not in named)
    where = " AND ".join([*named, f"({rest}) IS TRUE"] if rest else named)
    back = f"{returning}, " if returning else "RETURNING "
    text = f"{_from_given(change)} FROM {given} WHERE {_from_given(where)} {_from_given(back)}given.place - 1 AS {UNIT}"
    return SetForm(text, tuple(int(key["number"]) - 1 for key in keys), answers=True)


def _clauses(sql: str) -> tuple[str, list[str], str] | None:
    """Cut an UPDATE into what it changes, the conditions that must all hold, and RETURNING with what it returns."""
    where, cuts, returning = None, [], len(sql)
    for word, start, end in _outside_brackets(sql):
        if word == "RETURNING":
            returning = start
            break
        if word in _UNSURE:
            return None
        if word == "WHERE":
            where = start
        if word == "WHERE" or (word == "AND" and where is not None):
            cuts.append((start, end))
    if where is None:
        return None
    ends = [*(start for start, _ in cuts[1:]), returning]
    conditions = [sql[end:until].strip() for (_, end), until in zip(cuts, ends, strict=True)]
    return sql[:where].rstrip(), conditions, sql[returning:].rstrip()


def one_row(sql: str) -> tuple[str, str] | None:
    """Cut an `INSERT … VALUES (…)` of one row into what stands before VALUES and the values; None for any other."""
    found = _ONE_ROW.match(sql)
    if found is None:
        return None
    depth = 0
    for token in _TOKEN.finditer(found["values"]):
        depth += {"(": 1, ")": -1}.get(token["bracket"], 0)
        if depth < 0:
            return None
    return found["into"], found["values"]


@lru_cache(maxsize=MAX_STATEMENTS)
def alone_form(sql: str, parameter: int) -> str:
    """Return an `INSERT … VALUES (…)` that first takes the lock whose number is this parameter.

    The server neither flattens nor skips a sub-select that calls a volatile function, so the lock is there before the
    new row is made. Errors: ValueError for any other statement.
    """
    found = one_row(sql)
    if found is None:
        raise ValueError(f"not an INSERT of one row of VALUES: {sql}")
    into, values = found
    return f"{into}SELECT {values} FROM (SELECT {LOCK_NAME}(${parameter}::bigint)) AS alone"  # noqa: S608 - ours


def _outside_brackets(sql: str) -> Iterator[tuple[str, int, int]]:
    """Yield each word outside of all brackets, in capitals, and where it stands."""
    depth = 0
    for token in _TOKEN.finditer(sql):
        depth += {"(": 1, ")": -1}.get(token["bracket"], 0)
        if token["word"] and depth == 0:
            yield token["word"].upper(), token.start(), token.end()


def _from_given(sql: str) -> str:
    return _TOKEN.sub(lambda found: found[0] if found["number"] is None else f"given.p{found['number']}", sql)


def _verb(sql: str) -> str:
    found = _VERB.match(sql)
    return found[1].upper() if found else ""
