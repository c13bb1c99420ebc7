"""From a document to a product: the second step of loading, with every mistake of shape in plain English.

The models find what is wrong; here each finding becomes what a maker would say about it. What was expected comes
from the schema at the place of the mistake, what to write instead from what stands there.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, time
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from penstock.product.mistakes import Complaint, did_you_mean, listed
from penstock.product.positions import KeyPath
from penstock.product.reference import PATTERN_WORDS, Node, keys_at, node_at, resolved, tables_with
from penstock.product.schema import Product
from penstock.product.schema_parts import COLOUR_PATTERN, COST_PATTERN, DOLLARS_PATTERN, NAME_PATTERN
from penstock.product.schema_work import NAMED, NUMBERED, TABLED

MAX_SHOWN_CHARACTERS = 60  # of a value quoted in a message
Document = Mapping[str, Any]
_MISSING = object()


def read_structure(document: Document, version: str, folder: Path = Path()) -> Product | list[Complaint]:
    """Return the product, or everything in which the document is not of the shape of one."""
    try:
        return Product.model_validate(document, context={"version": version, "folder": folder})
    except ValidationError as error:
        return _complaints(document, error.errors(include_url=False, include_context=True))


def value_at(document: Document, path: KeyPath) -> Any:
    """Return the value at `path`, or None where there is none."""
    found = _lookup(document, path)
    return None if found is _MISSING else found


def shown(value: object) -> str:
    """Write a value as it would stand in the file, shortened."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, date | time):
        return str(value)
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[:MAX_SHOWN_CHARACTERS]}…"


def _complaints(document: Document, errors: list[ErrorDetails]) -> list[Complaint]:
    found: dict[KeyPath, Complaint] = {}
    for error in errors:
        path = _path(document, error)
        found.setdefault(path, _complaint(document, path, error))  # wrong once, not for each kind it might have
    misspelt = {_corrected(complaint) for complaint in found.values() if complaint.reason == _UNKNOWN}
    return [
        complaint
        for path, complaint in found.items()
        # A misspelt key is not missing too, and a list of wrong entries is not empty too.
        if not (complaint.reason == _ABSENT and path in misspelt)
        and not (complaint.reason == _EMPTY and any(path == other[: len(path)] != other for other in found))
    ]


def _path(document: Document, error: ErrorDetails) -> KeyPath:
    """Return the part of the model's path that is also in the file, and a missing key."""
    path: KeyPath = ()
    for part in error["loc"]:
        if part in {NAMED, NUMBERED, TABLED}:
            continue
        if _lookup(document, (*path, part)) is _MISSING:
            return (*path, part) if error["type"] == "missing" else path
        path = (*path, part)
    return path


def _lookup(document: Document, path: KeyPath) -> Any:
    value: Any = document
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return _MISSING
    return value


def _complaint(document: Document, path: KeyPath, error: ErrorDetails) -> Complaint:
    if error["type"] == "extra_forbidden":
        return Complaint(path, _UNKNOWN, _known_keys(path))
    node = node_at(path) or {}
    if error["type"] == "missing":
        return Complaint(path, _ABSENT, _example(path, node))
    if error["loc"][-1] == "[key]":
        return Complaint(path, f"a name cannot be {shown(path[-1])}", _name_suggestion(str(path[-1])))
    if path[:1] == ("texts",) and isinstance(_lookup(document, path), dict):
        return Complaint(
            path, "is read as a table, because of its points", 'Put the whole key in quotes: "error.busy.title".'
        )
    if error["type"] in _REWORDINGS:
        node = next((kind for kind in node.get("anyOf", []) if kind.get("type") == "integer"), node)
    reword = _REWORDINGS.get(error["type"], _wrong_kind)
    reason, suggestion = reword(_lookup(document, path), node)
    return Complaint(path, reason, suggestion)


_UNKNOWN = "unknown key"
_ABSENT = "is missing"
_EMPTY = "is empty, but needs one entry at least"


def _known_keys(path: KeyPath) -> str | None:
    """Offer the key that was likely meant, or say where such a key belongs, or which keys there are."""
    key = str(path[-1])
    known = list(keys_at(path[:-1]))
    elsewhere = " or ".join(
        f"in [{table}]" if table else "at the top, before any [table]" for table in tables_with(key)
    )
    otherwise = f"This key belongs {elsewhere}." if elsewhere else f"Keys here: {', '.join(known)}."
    return did_you_mean(key, known, otherwise=otherwise)


def _corrected(complaint: Complaint) -> KeyPath:
    """Return the path that a misspelt key stands for."""
    match = re.fullmatch(r'Did you mean "(.*)"\?', complaint.suggestion or "")
    return (*complaint.path[:-1], match[1]) if match else ()


def _example(path: KeyPath, node: Node) -> str | None:
    examples = node.get("examples")
    return f"For example: {path[-1]} = {as_toml(examples[0])}" if examples else None


def as_toml(value: object) -> str:
    """Write a value in TOML, tables in braces."""
    if isinstance(value, dict):
        inner = ", ".join(f"{key} = {as_toml(item)}" for key, item in value.items())
        return f"{{ {inner} }}"
    if isinstance(value, list):
        return f"[{', '.join(as_toml(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False)


def _wrong_kind(value: object, node: Node) -> tuple[str, str | None]:
    return f"is {shown(value)}, but must be {_expected(node)}", next(_repairs(value, node), None)


def _expected(node: Node) -> str:
    if "pattern" in node:
        return PATTERN_WORDS[node["pattern"]]
    if "anyOf" in node:
        return " or ".join(_expected(resolved(kind)) for kind in node["anyOf"])
    if "enum" in node or "const" in node:
        return listed(node.get("enum", [node.get("const")]), "or")
    return _KINDS.get(node.get("type", ""), "something else")


def _repairs(value: object, node: Node) -> Iterator[str]:
    """Yield what could be written instead, likeliest first."""
    for each in node.get("anyOf", []):
        yield from _repairs(value, resolved(each))
    kind, pattern = node.get("type"), node.get("pattern")
    if isinstance(value, str) and kind in {"integer", "number"} and re.fullmatch(r"\s*-?\d+(\.\d+)?\s*", value):
        yield f"Write {value.strip()} without quotes."
    if isinstance(value, str) and kind == "boolean" and value.casefold() in {"true", "false"}:
        yield f"Write {value.casefold()} without quotes."
    if isinstance(value, float) and kind == "integer" and value.is_integer():
        yield f"Write {int(value)}."
    if isinstance(value, str) and kind == "array":
        yield f"Write [{json.dumps(value, ensure_ascii=False)}]."
    if isinstance(value, int | float) and not isinstance(value, bool) and pattern in {DOLLARS_PATTERN, COST_PATTERN}:
        yield f'Write "{value:.2f}".' if pattern == DOLLARS_PATTERN else f'Write "{value}".'
    elif isinstance(value, int | float | date | time) and kind == "string" and not pattern:
        yield f'Write "{shown(value)}" in quotes.'


def _wrong_value(value: object, node: Node) -> tuple[str, str | None]:
    known = node.get("enum", [node.get("const")])
    return f"is {shown(value)}, but must be {listed(known, 'or')}", did_you_mean(str(value), known)


def _wrong_pattern(value: object, node: Node) -> tuple[str, str | None]:
    if value == "":
        return f"is empty, but must be {_expected(node)}", None
    suggest = _PATTERN_REPAIRS.get(node.get("pattern", ""))
    return f"is {shown(value)}, but must be {_expected(node)}", suggest(str(value)) if suggest else None


def _name_suggestion(value: str) -> str:
    slug = name_like(value)
    return f'Write "{slug}".' if slug else f"Write {PATTERN_WORDS[NAME_PATTERN]}."


def name_like(value: str) -> str:
    """Return the name closest to a free text: `My Photos` becomes `my_photos`; empty if there is nothing to keep."""
    slug = re.sub(r"[^a-z0-9]+", "_", value.casefold()).strip("_")
    return re.sub(r"^[0-9_]+", "", slug)[:40].rstrip("_")


def _colour_suggestion(value: str) -> str | None:
    digits = value.strip().removeprefix("#")
    if re.fullmatch(r"[0-9a-fA-F]{3}", digits):
        digits = "".join(digit * 2 for digit in digits)
    return f'Write "#{digits[:6]}".' if re.fullmatch(r"[0-9a-fA-F]{6}(..)?", digits) else None


def _dollars_suggestion(value: str) -> str | None:
    match = re.fullmatch(r"[^0-9]*([0-9]+)(?:[.,]([0-9]{1,2}))?[^0-9]*", value)
    if match is None:
        return None
    cents = f".{match[2]:0<2}" if match[2] else ""
    return f'Write "{match[1]}{cents}".'


def _too_low(value: object, node: Node) -> tuple[str, str | None]:
    if "exclusiveMinimum" in node:
        return f"is {shown(value)}, but must be more than {node['exclusiveMinimum']:g}", None
    return f"is {shown(value)}, but must be {node['minimum']:,} at least", None


def _too_high(value: object, node: Node) -> tuple[str, str | None]:
    return f"is {shown(value)}, but must be {node['maximum']:,} at most", None


def _too_short(_value: object, node: Node) -> tuple[str, str | None]:
    return "is empty", _entry_example(node) or "Write a text, or leave the key out."


def _too_long(value: object, node: Node) -> tuple[str, str | None]:
    length = len(value) if isinstance(value, str | list) else 0
    if isinstance(value, list):
        return f"has {length} entries, but may have {node['maxItems']:,} at most", None
    return f"has {length:,} characters, but may have {node['maxLength']:,} at most", None


def _too_few(_value: object, node: Node) -> tuple[str, str | None]:
    return _EMPTY, _entry_example(node)


def _entry_example(node: Node) -> str | None:
    return f"For example: {as_toml(node['examples'][0])}" if node.get("examples") else None


def _not_finite(_value: object, _node: Node) -> tuple[str, str | None]:
    return "must be a number that can be counted to, not nan or inf", None


_KINDS = {
    "string": "text in quotes",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list in square brackets",
    "object": "a table",
}
_PATTERN_REPAIRS: dict[str, Callable[[str], str | None]] = {
    NAME_PATTERN: _name_suggestion,
    COLOUR_PATTERN: _colour_suggestion,
    DOLLARS_PATTERN: _dollars_suggestion,
}
# By the kind of finding; every other kind is a value of a wrong kind.
_REWORDINGS: dict[str, Callable[[object, Node], tuple[str, str | None]]] = {
    "literal_error": _wrong_value,
    "string_pattern_mismatch": _wrong_pattern,
    "greater_than_equal": _too_low,
    "greater_than": _too_low,
    "less_than_equal": _too_high,
    "string_too_short": _too_short,
    "string_too_long": _too_long,
    "too_short": _too_few,
    "too_long": _too_long,
    "finite_number": _not_finite,
}
