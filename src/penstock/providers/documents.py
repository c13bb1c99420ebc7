"""Reading documents that others wrote: what is not of the expected shape is empty, and never an exception."""

from typing import Any


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
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
