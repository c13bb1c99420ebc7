"""Indented outlines: a line belongs to the nearest line above it that is indented less."""

import re

from penstock.diagrams.shapes import Tree

TAB = 4
OUTERMOST = -100  # headings come from here on, before any indentation
MAX_LINE_CHARACTERS = 120  # longer lines are prose
_BULLET = re.compile(r"(?:[-*+•]|\d{1,3}[.)])\s+")
_HEADING = re.compile(r"(#{1,6})\s+")
# How people begin when they want something drawn for them, rather than an outline as it stands.
_ASKS = re.compile(
    r"(?:please|draw|create|make|show|generate|design|build|write|give|i want|i need|can you)\b", re.IGNORECASE
)


def read_outline(text: str) -> Tree | None:
    """Return the tree of an outline; None if the text is none: nothing in it is indented, bulleted or a heading."""
    levels = [_level(line) for line in text.splitlines() if line.strip()]
    if len(levels) < 2 or not any(marked for _, marked, _ in levels) or _is_prose([words for _, _, words in levels]):
        return None
    top = Tree("")
    path: list[tuple[int, Tree]] = [(OUTERMOST, top)]
    for indent, _, words in levels:
        node = Tree(words)
        while path[-1][0] >= indent:
            path.pop()
        path[-1][1].children.append(node)
        path.append((indent, node))
    return top.children[0] if len(top.children) == 1 else top


def _level(line: str) -> tuple[int, bool, str]:
    """Return how far a line is indented, whether it is marked as part of an outline, and its words."""
    bare = line.expandtabs(TAB)
    words = bare.strip()
    indent = len(bare) - len(bare.lstrip())
    if (heading := _HEADING.match(words)) is not None:
        return len(heading[1]) + OUTERMOST, True, words[heading.end() :]  # before everything below it
    if (bullet := _BULLET.match(words)) is not None:
        return indent + 1, True, words[bullet.end() :].strip()
    return indent, indent > 0, words


def _is_prose(lines: list[str]) -> bool:
    return any(len(line) > MAX_LINE_CHARACTERS for line in lines) or _ASKS.match(lines[0]) is not None
