"""Reading documents that others wrote: what is not of the expected shape is empty, and never an exception."""

import json
import re
from typing import Any

MAX_COUNT = 10**9  # of anything that a vendor counts in one answer, such as tokens: more is a slip

# What no database keeps and no answer of ours can carry: halves of a surrogate pair, and zero bytes.
_UNFIT = re.compile("[\x00\ud800-\udfff]")
_PERHAPS_UNFIT = re.compile(r"\\u(?:[dD][89a-fA-F]|0000)")
_REPLACEMENT = "\ufffd"


def read(content: bytes | str) -> object:
    """Return the JSON document that stands in a content, its texts fit to be kept; None where there is none."""
    try:
        written = content if isinstance(content, str) else content.decode("utf-8-sig")
        document: object = json.loads(written)
        return _fit(document) if _PERHAPS_UNFIT.search(written) else document
    except (ValueError, RecursionError):  # the second where it is nested too deep
        return None


def fit(text: str) -> str:
    """Return a text as it can be kept: what no database takes is a replacement character."""
    return _UNFIT.sub(_REPLACEMENT, text)


def _fit(value: object) -> object:
    if isinstance(value, str):
        return fit(value)
    if isinstance(value, dict):
        return {fit(name): _fit(each) for name, each in value.items()}
    return [_fit(each) for each in value] if isinstance(value, list) else value


def table(value: object) -> dict[str, Any]:
    """Return a JSON object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    """Return a JSON array; an empty one for anything else."""
    return value if isinstance(value, list) else []


def tables(value: object) -> list[dict[str, Any]]:
    """Return the JSON objects of an array."""
    return [each for each in items(value) if isinstance(each, dict)]


def text(value: object) -> str:
    """Return a text; an empty one for anything else."""
    return value if isinstance(value, str) else ""


def count(value: object) -> int:
    """Return a number of something; 0 for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_COUNT else 0
