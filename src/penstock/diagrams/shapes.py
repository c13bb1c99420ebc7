"""What structured texts come to, and how it is written in Mermaid."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from penstock.diagrams.labels import identifier, label

MAX_NODES = 500
MAX_EDGES = 500
"""Mermaid draws no more, whatever a text says."""


class NotDrawnError(Exception):
    """A text that no diagram can be made of; says to the customer why, and what would do."""


@dataclass
class Tree:
    """A label with what belongs to it."""

    words: str
    children: list["Tree"] = field(default_factory=list)


@dataclass(frozen=True)
class Edge:
    """From one node to another, by their labels; `back` for an answer in a sequence."""

    source: str
    target: str
    words: str = ""
    back: bool = False


@dataclass(frozen=True)
class Column:
    """A column of a table, or a field of a class."""

    name: str
    kind: str
    key: str = ""
    """`PK`, `FK`, both with a comma, or nothing."""


@dataclass
class Box:
    """A table or a class, with what it has."""

    name: str
    columns: list[Column] = field(default_factory=list)


@dataclass(frozen=True)
class Link:
    """One box refers to another; `many` of the first to one of the second."""

    source: str
    target: str
    words: str = ""
    many: bool = True


def mindmap(tree: Tree) -> str:
    """Write a tree as a mind map."""
    _enough(sum(1 for _ in _walk(tree)), "lines", MAX_NODES)
    lines = [f'{"  " * (depth + 1)}n{at}["{label(node.words)}"]' for at, (depth, node) in enumerate(_walk(tree))]
    return "\n".join(["mindmap", *lines])


def edges_of(tree: Tree) -> list[Edge]:
    """Return the edges from each node to its children; nodes with equal labels become one."""
    return [Edge(node.words, child.words) for _, node in _walk(tree) if node.words for child in node.children]


def roots_of(tree: Tree) -> list[str]:
    """Return what stands at the top: the tree's own label, or those below it where it has none."""
    return [tree.words] if tree.words else [child.words for child in tree.children]


def flowchart(edges: list[Edge], alone: list[str] | None = None) -> str:
    """Write edges as a flowchart from top to bottom; `alone` are nodes that may have no edge."""
    _enough(len(edges), "arrows", MAX_EDGES)
    ids = _ids([*(end for edge in edges for end in (edge.source, edge.target)), *(alone or [])], "n")
    nodes = [f'  {name}["{label(words)}"]' for words, name in ids.items()]
    arrows = [f"  {ids[edge.source]} -->{_said(edge)} {ids[edge.target]}" for edge in edges]
    return "\n".join(["flowchart TD", *nodes, *arrows])


def sequence(edges: list[Edge], alone: list[str] | None = None) -> str:
    """Write edges as messages, in their order."""
    _enough(len(edges), "arrows", MAX_EDGES)
    ids = _ids([*(end for edge in edges for end in (edge.source, edge.target)), *(alone or [])], "p")
    people = [f"  participant {name} as {label(words)}" for words, name in ids.items()]
    messages = [
        f"  {ids[edge.source]}{'-->>' if edge.back else '->>'}{ids[edge.target]}: {label(edge.words)}" for edge in edges
    ]
    return "\n".join(["sequenceDiagram", *people, *messages])


def entities(boxes: list[Box], links: list[Link]) -> str:
    """Write tables and what refers to what as an entity relationship diagram."""
    ids = _ids([box.name for box in boxes] + [end for link in links for end in (link.source, link.target)], "t")
    has = {box.name: box for box in boxes}
    lines = ["erDiagram"]
    for name, written in ids.items():
        lines += _braced(f'  {written}["{label(name)}"]', _attributes(has.get(name, Box(name))))
    for link in links:
        end = "o{" if link.many else "o|"
        lines.append(f'  {ids[link.target]} ||--{end} {ids[link.source]} : "{label(link.words)}"')
    return "\n".join(lines)


def classes(boxes: list[Box], links: list[Link]) -> str:
    """Write boxes as classes, with an arrow from each to what it is made of."""
    ids = _ids([box.name for box in boxes] + [end for link in links for end in (link.source, link.target)], "c")
    has = {box.name: box for box in boxes}
    lines = ["classDiagram"]
    for name, written in ids.items():
        fields = [
            f"+{identifier(each.kind, 'value')} {identifier(each.name, 'field')}"
            for each in has.get(name, Box(name)).columns
        ]
        lines += _braced(f'  class {written}["{label(name)}"]', fields)
    for link in links:
        end = '"many" ' if link.many else ""
        lines.append(f"  {ids[link.source]} *-- {end}{ids[link.target]} : {label(link.words)}")
    return "\n".join(lines)


def _attributes(box: Box) -> list[str]:
    lines = []
    for each in box.columns:
        name = identifier(each.name, "column")
        comment = "" if name == each.name else f' "{label(each.name)}"'
        lines.append(f"{identifier(each.kind, 'type')} {name} {each.key}".rstrip() + comment)
    return lines


def _braced(head: str, lines: list[str]) -> list[str]:
    return [f"{head} {{", *(f"    {line}" for line in lines), "  }"] if lines else [head]


def _said(edge: Edge) -> str:
    return f'|"{label(edge.words)}"|' if edge.words.strip() else ""


def _walk(tree: Tree) -> Iterator[tuple[int, Tree]]:
    left = [(0, tree)]
    while left:
        depth, node = left.pop()
        yield depth, node
        left.extend((depth + 1, child) for child in reversed(node.children))


def _ids(words: list[str], letter: str) -> dict[str, str]:
    """Return an id for each label, in the order in which they come first. Errors: NotDrawnError, too many."""
    unique = list(dict.fromkeys(words))
    _enough(len(unique), "boxes", MAX_NODES)
    return {each: f"{letter}{at}" for at, each in enumerate(unique, 1)}


def _enough(count: int, what: str, most: int) -> None:
    if count > most:
        raise NotDrawnError(f"This comes to {count:,} {what}, and a diagram holds {most}. Please send a part of it.")
