"""Statements with `:names` in the words of PostgreSQL, which counts its parameters: `:id` becomes `$1`."""

import re
from functools import lru_cache
from typing import NamedTuple

MAX_STATEMENTS = 1_024  # translations kept in a process; Penstock has a few hundred

# What may hide a colon comes first, and stays as it is: texts, quoted names, comments, casts.
_TOKEN = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|::|:(?P<name>[A-Za-z_]\w*)")


class Numbered(NamedTuple):
    """A statement with `$1`, `$2`, …, and the name of each."""

    sql: str
    names: tuple[str, ...]


@lru_cache(maxsize=MAX_STATEMENTS)
def numbered(sql: str) -> Numbered:
    """Return a statement with numbers in place of `:names`; a name used twice keeps its number."""
    numbers: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        name = found["name"]
        return found[0] if name is None else f"${numbers.setdefault(name, len(numbers) + 1)}"

    translated = _TOKEN.sub(number, sql)
    return Numbered(translated, tuple(numbers))
