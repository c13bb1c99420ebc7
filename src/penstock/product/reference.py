"""The product file's shape for editors (JSON Schema) and for readers (tables in Markdown).

Both come from the models in the `schema` modules. Editors that know TOML schemas (taplo, Even Better TOML) take the
schema from a first line such as `#:schema ./penstock.schema.json`; they understand draft 7, which is what is written
here.
"""

import json
from functools import lru_cache
from typing import Any

from penstock.product.positions import KeyPath
from penstock.product.schema import Product
from penstock.product.schema_parts import (
    ADDRESS_PATTERN,
    COLOUR_PATTERN,
    COST_PATTERN,
    DOLLARS_PATTERN,
    EMAIL_PATTERN,
    FIELD_PATTERN,
    NAME_PATTERN,
    PARAMETER_PATTERN,
    SCOPE_PATTERN,
    VARIABLE_PATTERN,
)

DRAFT = "http://json-schema.org/draft-07/schema#"
Node = dict[str, Any]

# What a text of each pattern is, for people.
PATTERN_WORDS = {
    NAME_PATTERN: "a name of lower-case letters, digits and _ that begins with a letter, at most 40 characters",
    FIELD_PATTERN: "a name of letters, digits and _ that begins with a letter, with [] after it for a list",
    PARAMETER_PATTERN: "a name of letters, digits and _ that begins with a letter, at most 60 characters",
    COLOUR_PATTERN: 'a colour such as "#b4512d"',
    VARIABLE_PATTERN: 'the name of an environment variable, such as "GEMINI_API_KEY"',
    DOLLARS_PATTERN: 'US dollars in quotes, whole or with two decimals, such as "4.99"',
    COST_PATTERN: 'US dollars in quotes, with at most six decimals, such as "0.039"',
    ADDRESS_PATTERN: 'an address that begins with "https://" or "http://"',
    EMAIL_PATTERN: 'an e-mail address such as "help@example.org"',
    SCOPE_PATTERN: 'a scope such as "email", without spaces',
}


@lru_cache(maxsize=1)
def json_schema() -> Node:
    """Return the JSON Schema (draft 7) of a product file, with a description for every key."""
    generated = Product.model_json_schema(ref_template="#/definitions/{model}")
    definitions = generated.pop("$defs")
    tidied = _tidied({**generated, "definitions": definitions})
    assert isinstance(tidied, dict)
    return {"$schema": DRAFT, "title": "A Penstock product file", **tidied}


def node_at(path: KeyPath) -> Node | None:
    """Return what the schema says about the value at `path`, or None where it knows nothing."""
    node: Node | None = json_schema()
    for part in path:
        node = None if node is None else _child(resolved(node), part)
    return None if node is None else {**resolved(node), **{k: v for k, v in node.items() if k != "$ref"}}


def keys_at(path: KeyPath) -> Node:
    """Return the keys of the table at `path`, each with what the schema says about it; none of anything else."""
    keys = _as_table(node_at(path) or {}).get("properties", {})
    assert isinstance(keys, dict)
    return keys


def resolved(node: Node) -> Node:
    """Follow a reference to where the shape of a table stands."""
    reference = node.get("$ref")
    if reference is None:
        return node
    found = json_schema()["definitions"][str(reference).rpartition("/")[2]]
    assert isinstance(found, dict)
    return found


def tables_with(key: str) -> list[str]:
    """Return the names of the tables that know `key`, written as in the file: `plans.NAME`."""
    return [table for table, properties in _tables() if key in properties]


def markdown() -> str:
    """Return one section for each table of the file, with every key, what it takes and what it means."""
    return "\n".join(_section(table, properties) for table, properties in _tables())


def _child(node: Node, part: str | int) -> Node | None:
    node = _as_table(node)
    found = node.get("items") if isinstance(part, int) else node.get("properties", {}).get(part) or _any_key(node)
    return found if isinstance(found, dict) else None


def _as_table(node: Node) -> Node:
    """Return what a value holds that may be a table or something else, as a table."""
    kinds = (resolved(kind) for kind in node.get("anyOf", []))
    return next((kind for kind in kinds if "properties" in kind), node)


def _any_key(node: Node) -> Node | None:
    """Return what a table with free keys holds."""
    patterns = list(node.get("patternProperties", {}).values())
    found = patterns[0] if patterns else node.get("additionalProperties")
    return found if isinstance(found, dict) else None


def _tidied(node: Any) -> Any:
    """Drop what says nothing to a person, and null, which TOML does not have; close tables with named keys."""
    if isinstance(node, list):
        return [_tidied(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = dict(node)
    if "oneOf" in node:
        node["anyOf"] = node.pop("oneOf")
    if "type" in node or "anyOf" in node or "$ref" in node or "const" in node:
        _tidy_value(node)
    return {key: _tidied(value) for key, value in node.items()}


def _tidy_value(node: Node) -> None:
    node.pop("title", None)
    if node.get("default", ...) is None or isinstance(node.get("default"), dict):
        del node["default"]  # of a table: its own keys say theirs
    kinds = [kind for kind in node.pop("anyOf", []) if kind.get("type") != "null"]
    if len(kinds) == 1:
        node.update(kinds[0])
    elif kinds:
        node["anyOf"] = kinds
    if "patternProperties" in node:
        node["additionalProperties"] = False


def _tables() -> list[tuple[str, Node]]:
    """Return each table's name and keys, in the order of the file."""
    found: list[tuple[str, Node]] = []
    _collect("", json_schema(), found)
    return found


def _collect(table: str, node: Node, found: list[tuple[str, Node]]) -> None:
    found.append((table, node["properties"]))
    for key, value in node["properties"].items():
        name, inner = f"{table}.{key}" if table else key, resolved(value)
        if "properties" in inner:
            _collect(name, inner, found)
        elif (entry := _any_key(inner)) and "properties" in resolved(entry):
            _collect(f"{name}.NAME", resolved(entry), found)
        elif "properties" in (table_kind := _as_table(inner)):
            _collect(name, table_kind, found)
        elif isinstance(inner.get("items"), dict) and "properties" in (item := _as_table(resolved(inner["items"]))):
            _collect(f"{name}[]", item, found)


def _section(table: str, properties: Node) -> str:
    heading = f"### `[{table}]`" if table else "### At the top"
    required = _required_at(table)
    rows = [
        f"| `{key}` | {_takes(node)} | {_unset(node, key in required)} | {node['description']} |"
        for key, node in properties.items()
    ]
    head = ["| key | takes | when absent | meaning |", "|---|---|---|---|"]
    return "\n".join([heading, "", *head, *rows, ""])


def _required_at(table: str) -> list[str]:
    parts: list[str | int] = []
    for part in table.split(".") if table else []:
        parts.append(part.removesuffix("[]"))
        if part.endswith("[]"):
            parts.append(0)
    node = node_at(tuple(parts))
    return [] if node is None else list(_as_table(node).get("required", []))


def _takes(node: Node) -> str:
    inner = {**resolved(node), **node}
    if "enum" in inner or "const" in inner:
        return " or ".join(f'`"{value}"`' for value in inner.get("enum", [inner.get("const")]))
    if "anyOf" in inner:
        return ", ".join(_takes(kind) for kind in inner["anyOf"])
    if inner["type"] == "array":
        kinds = [_takes(kind) for kind in inner["items"].get("anyOf", [inner["items"]])]
        return f"list of {kinds[0]}" if len(kinds) == 1 else f"list, each entry a {' or a '.join(kinds)}"
    if inner["type"] == "object":
        return "table"
    if "pattern" in inner:
        return _SHORT_WORDS[inner["pattern"]]
    return _KINDS[inner["type"]] + _bounds(inner)


def _bounds(node: Node) -> str:
    low, high = node.get("minimum"), node.get("maximum")
    if low is not None and high is not None:
        return f", {low:,} to {high:,}"
    if low is not None:
        return f", at least {low:,}"
    if "maxLength" in node:
        return f", at most {node['maxLength']:,} characters"
    return ""


def _unset(node: Node, required: bool) -> str:
    if required:
        return "**required**"
    default = node.get("default")
    return "" if default in (None, []) else f"`{json.dumps(default)}`"


_SHORT_WORDS = {
    NAME_PATTERN: "name: lower-case letters, digits, `_`",
    FIELD_PATTERN: "name: letters, digits, `_`, perhaps `[]`",
    PARAMETER_PATTERN: "name: letters, digits, `_`",
    COLOUR_PATTERN: 'colour as `"#rrggbb"`',
    VARIABLE_PATTERN: "name of an environment variable",
    DOLLARS_PATTERN: 'dollars as `"4.99"`',
    COST_PATTERN: 'dollars as `"0.039"`',
    ADDRESS_PATTERN: "address, `http` or `https`",
    EMAIL_PATTERN: "e-mail address",
    SCOPE_PATTERN: "scope",
}
_KINDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "`true` or `false`"}
