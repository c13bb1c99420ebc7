"""Arrow lists and CSV: one edge in each line. `A -> B: label`, or `A,B,label`."""

import csv
import io
import re

from penstock.diagrams.shapes import Edge, NotDrawnError

_ARROW = re.compile(r"\s*(-->>|->>|-->|->|==>|=>|<--|<-|→|⟶|⇒|←)\s*")
_BACKWARDS = frozenset({"<--", "<-", "←"})
_ANSWERS = frozenset({"-->>", "-->", "<--"})
_COMMENT = re.compile(r"\s*(?:#|//|%%)")
_HEADERS = frozenset({"from", "source", "src", "parent", "start"})
_DELIMITERS = (",", ";", "\t")


def has_arrows(text: str) -> bool:
    """Return whether every line that says something is an arrow or one name, and one at least is an arrow."""
    lines = _lines(text)
    arrows = [line for line in lines if _ARROW.search(line)]
    return bool(arrows) and len(arrows) * 2 >= len(lines)


def read_arrows(text: str) -> tuple[list[Edge], list[str]]:
    """Return the edges and the names that stand alone in a line. Errors: NotDrawnError."""
    edges: list[Edge] = []
    alone: list[str] = []
    for line in _lines(text):
        ends = _ARROW.split(line)
        if len(ends) == 1:
            alone.append(line)
            continue
        last, _, words = ends[-1].partition(":")
        names = [*(end.strip() for end in ends[0:-1:2]), last.strip()]
        if not all(names):
            raise NotDrawnError(f"This arrow has only one end: “{line[:80]}”. Write it as A -> B: label.")
        for at, arrow in enumerate(ends[1::2]):
            source, target = names[at], names[at + 1]
            if arrow in _BACKWARDS:
                source, target = target, source
            edges.append(Edge(source, target, words.strip(), back=arrow in _ANSWERS))
    return edges, alone


def read_table(text: str) -> list[Edge] | None:
    """Return the edges of CSV with two or three columns (from, to, label); None if the text is no such table."""
    for delimiter in _DELIMITERS:
        try:
            rows = [row for row in csv.reader(io.StringIO(text.strip()), delimiter=delimiter) if any(row)]
        except csv.Error:
            continue
        sizes = {len(row) for row in rows}
        if len(rows) >= 2 and sizes <= {2, 3}:
            return _edges(rows)
    return None


def _edges(rows: list[list[str]]) -> list[Edge] | None:
    if rows[0][0].strip().lower() in _HEADERS:
        rows = rows[1:]
    cells = [[cell.strip() for cell in (*row, "")[:3]] for row in rows]
    if not all(source and target for source, target, _ in cells):
        return None
    return [Edge(source, target, words) for source, target, words in cells]


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip() and not _COMMENT.match(line)]
