"""SQL's CREATE TABLE: tables with their columns, and what refers to what. sqlglot reads it, whatever the dialect."""

import logging
import re

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from penstock.diagrams.shapes import Box, Column, Link, NotDrawnError

_CREATES = re.compile(r"\bCREATE\s+(?:\w+\s+){0,3}TABLE\b", re.IGNORECASE)
_DIALECTS = ("postgres", "mysql", "tsql", "sqlite")

logging.getLogger("sqlglot").setLevel(logging.CRITICAL)  # it warns of statements that are of no interest here


def creates_tables(text: str) -> bool:
    """Return whether a text says CREATE TABLE."""
    return _CREATES.search(text) is not None


def read_tables(text: str) -> tuple[list[Box], list[Link]]:
    """Return the tables and their references. Errors: NotDrawnError with what SQL's parser says."""
    boxes, links = [], []
    for schema in _schemas(text):
        box, found = _table(schema)
        boxes.append(box)
        links += found
    if not boxes:
        raise NotDrawnError("No table with columns was found in this SQL. CREATE TABLE statements are drawn.")
    return boxes, list(dict.fromkeys(links))


def _schemas(text: str) -> list[exp.Schema]:
    """Return the tables as the dialect reads them that makes the most of the text."""
    found: list[list[exp.Schema]] = []
    complaint = ""
    for dialect in _DIALECTS:
        try:
            statements = sqlglot.parse(text, read=dialect)
        except (SqlglotError, RecursionError) as error:
            complaint = complaint or str(error).splitlines()[0][:200]
            continue
        made = [each.this for each in statements if isinstance(each, exp.Create) and each.kind == "TABLE"]
        found.append([each for each in made if isinstance(each, exp.Schema)])
    if found:
        return max(found, key=len)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", complaint)
    raise NotDrawnError(f"This SQL can't be read: {plain}")


def _table(schema: exp.Schema) -> tuple[Box, list[Link]]:
    name = schema.this.name
    keys: dict[str, list[str]] = {}
    links: list[Link] = []
    columns = [each for each in schema.expressions if isinstance(each, exp.ColumnDef)]
    for part in schema.expressions:
        for key in part.find_all(exp.PrimaryKey):
            for column in key.expressions:
                keys.setdefault(column.name, []).append("PK")
        for key in part.find_all(exp.ForeignKey):
            names = [column.name for column in key.expressions]
            for column in names:
                keys.setdefault(column, []).append("FK")
            links += _links(name, key.args.get("reference"), ", ".join(names))
    for column in columns:
        kinds = [constraint.args.get("kind") for constraint in column.args.get("constraints") or []]
        if any(isinstance(kind, exp.PrimaryKeyColumnConstraint) for kind in kinds):
            keys.setdefault(column.name, []).append("PK")
        for kind in kinds:
            if isinstance(kind, exp.Reference):
                keys.setdefault(column.name, []).append("FK")
                links += _links(name, kind, column.name)
    shown = [Column(each.name, _kind(each), ", ".join(dict.fromkeys(keys.get(each.name, [])))) for each in columns]
    return Box(name, shown), links


def _links(source: str, reference: exp.Expression | None, words: str) -> list[Link]:
    table = None if reference is None else reference.find(exp.Table)
    return [] if table is None else [Link(source, table.name, words)]


def _kind(column: exp.ColumnDef) -> str:
    kind = column.args.get("kind")
    return "column" if kind is None else kind.sql()
