"""Diagrams without any model: a text that already has a structure is written down as Mermaid.

    JSON | SQL | arrow list | CSV edges | outline  ->  shape  ->  Mermaid

Nothing is understood here: prose is not taken.
"""

from collections.abc import Callable

from penstock.diagrams import arrows, ddl, document, outline, shapes
from penstock.diagrams.parser import MAX_CHARACTERS
from penstock.diagrams.shapes import Edge, NotDrawnError

TAKEN = (
    "Without a model, these texts can be drawn: an indented outline, arrows such as “A -> B: label” one in each line, "
    "CSV with the columns from, to and label, SQL with CREATE TABLE, or JSON."
)


def draw(text: str, kind: str = "auto") -> str:
    """Return the Mermaid text for a structured text.

    Args:
        kind: `flowchart`, `sequence`, `class`, `er`, `mindmap`, or `auto` for what suits the text.

    Errors: NotDrawnError, for the customer.
    """
    ways = _ways(text)
    chosen = next(iter(ways)) if kind == "auto" else kind
    if chosen not in ways:
        raise NotDrawnError(f"Without a model, this text can be drawn as {' or '.join(ways)}, not as {kind}.")
    drawn = ways[chosen]()
    if len(drawn) > MAX_CHARACTERS:
        raise NotDrawnError("This comes to a larger diagram than Mermaid draws. Please send a part of it.")
    return drawn


def _ways(text: str) -> dict[str, Callable[[], str]]:
    """Return how a text can be drawn, what suits it best first. Errors: NotDrawnError for prose."""
    if document.looks_like_json(text):
        read = document.read_json(text)
        tree = document.tree_of(read)
        return {
            "mindmap": lambda: shapes.mindmap(tree),
            "class": lambda: shapes.classes(*document.classes_of(read)),
        }
    if ddl.creates_tables(text):
        boxes, links = ddl.read_tables(text)
        return {"er": lambda: shapes.entities(boxes, links), "class": lambda: shapes.classes(boxes, links)}
    if arrows.has_arrows(text):
        edges, alone = arrows.read_arrows(text)
        return _graph(edges, alone)
    if (rows := arrows.read_table(text)) is not None:
        return _graph(rows, [])
    if (tree_found := outline.read_outline(text)) is not None:
        return {
            "mindmap": lambda: shapes.mindmap(tree_found),
            "flowchart": lambda: shapes.flowchart(shapes.edges_of(tree_found), shapes.roots_of(tree_found)),
        }
    raise NotDrawnError(TAKEN)


def _graph(edges: list[Edge], alone: list[str]) -> dict[str, Callable[[], str]]:
    ways = {"flowchart": lambda: shapes.flowchart(edges, alone), "sequence": lambda: shapes.sequence(edges, alone)}
    answered = any(edge.back for edge in edges)
    return dict(reversed(ways.items())) if answered else ways
