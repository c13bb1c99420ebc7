"""Cursors: where the next page of a list begins, as an opaque text that only the server reads."""

import base64
import binascii
import json
from typing import Any

from penstock.kit.errors import FieldError, Problem

MAX_CURSOR_CHARACTERS = 200


def write_cursor(*position: str | int | float) -> str:
    """Return the cursor for a position, such as the last row's time and id."""
    text = json.dumps(position, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(cursor: str, *kinds: type) -> list[Any]:
    """Return the position behind a cursor, one value for each of `kinds`.

    Errors: `invalid_input` for what is no cursor of this list.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        position: Any = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        whole = isinstance(position, list) and len(position) == len(kinds)
        if whole and all(_fits(value, kind) for value, kind in zip(position, kinds, strict=True)):
            return list(position)
    except (binascii.Error, ValueError, RecursionError):
        pass
    message = "This is not a cursor of this list. Take `next_cursor` of the page before, or leave it out."
    raise Problem("invalid_input", message, errors=[FieldError("cursor", message)])


def _fits(value: Any, kind: type) -> bool:
    """Say whether a value is of its kind and one that every database takes."""
    if type(value) is not kind:
        return False
    if isinstance(value, str):
        return value.isascii() and value.isprintable()
    return not isinstance(value, int) or abs(value) < 2**63
