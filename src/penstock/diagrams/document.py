"""JSON: as a tree of what is in it, or as the classes that its objects have in common."""

import json
from typing import Any

from penstock.diagrams.shapes import Box, Column, Link, NotDrawnError, Tree

MAX_DEPTH = 40
_KINDS = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}


def looks_like_json(text: str) -> bool:
    """Return whether a text begins as an object or a list does."""
    return text.lstrip()[:1] in {"{", "["}


def read_json(text: str) -> dict[str, Any] | list[Any]:
    """Return the document. Errors: NotDrawnError that says where it is wrong."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise NotDrawnError(f"This looks like JSON and can't be read: {error.msg} ({where}).") from error
    except (RecursionError, ValueError) as error:
        raise NotDrawnError("This JSON goes too deep, or holds a number that is too long.") from error
    if not isinstance(document, dict | list) or not document:
        raise NotDrawnError("This JSON holds nothing to draw.")
    return document


def tree_of(document: object, words: str = "document", depth: int = 0) -> Tree:
    """Return a document as a tree. Errors: NotDrawnError, too deep."""
    _not_too_deep(depth)
    if isinstance(document, dict):
        return Tree(words, [tree_of(each, str(name), depth + 1) for name, each in document.items()])
    if isinstance(document, list):
        return Tree(words, [tree_of(each, str(at), depth + 1) for at, each in enumerate(document, 1)])
    return Tree(f"{words} = {document if isinstance(document, str) else json.dumps(document)}")


def classes_of(document: object) -> tuple[list[Box], list[Link]]:
    """Return one class for each place of an object, with links to what it holds. Errors: NotDrawnError, too deep."""
    found: dict[str, dict[str, str]] = {}
    links: dict[tuple[str, str, str], bool] = {}

    def look(value: object, name: str, depth: int) -> None:
        _not_too_deep(depth)
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, list):
                look(each, name, depth + 1)
            elif isinstance(each, dict):
                fields = found.setdefault(name, {})
                for key, inner in each.items():
                    part = _first(inner)
                    if isinstance(part, dict):
                        links[(name, key, key)] = isinstance(inner, list)
                        look(inner, key, depth + 1)
                    else:
                        fields[key] = f"{_KINDS.get(type(part), 'any')}{'_list' if isinstance(inner, list) else ''}"

    look(document, "document", 0)
    boxes = [Box(name, [Column(key, kind) for key, kind in fields.items()]) for name, fields in found.items()]
    if not boxes:
        raise NotDrawnError("There is no object in this JSON, so there are no classes.")
    return boxes, [Link(source, target, words, many) for (source, target, words), many in links.items()]


def _first(value: object) -> object:
    while isinstance(value, list):
        value = value[0] if value else None
    return value


def _not_too_deep(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise NotDrawnError(f"This JSON goes deeper than {MAX_DEPTH} levels.")
