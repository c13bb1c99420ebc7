"""Conditional and partial answers (RFC 9110, sections 13 and 14) for files that never change. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_ONE_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.IGNORECASE)


class UnsatisfiableRangeError(Exception):
    """The range asked for holds no byte of the file."""


@dataclass(frozen=True)
class Part:
    """Bytes from `start` up to, not including, `end`."""

    start: int
    end: int


def is_known(headers: Mapping[str, str], etag: str) -> bool:
    """Return whether the client has this version already (`If-None-Match`)."""
    given = headers.get("if-none-match", "")
    return given.strip() == "*" or etag in [tag.strip().removeprefix("W/") for tag in given.split(",")]


def asked_part(headers: Mapping[str, str], etag: str, size: int) -> Part | None:
    """Return the part that is asked for; None for the whole file.

    Several ranges at once, other units and nonsense are answered with the whole file, as is a range whose `If-Range`
    names another version.

    Errors: UnsatisfiableRangeError.
    """
    matched = _ONE_RANGE.fullmatch(headers.get("range", "").strip())
    if matched is None or headers.get("if-range", etag).strip() != etag:
        return None
    first, last = matched.groups()
    if first:
        start, end = int(first), min(size, int(last) + 1 if last else size)
        if last and int(last) < start:
            return None
    elif last:
        start, end = max(0, size - int(last)), size
    else:
        return None
    if start >= end:
        raise UnsatisfiableRangeError
    return Part(start, end)
