"""Where each key of a TOML document stands.

The standard library reads TOML but forgets positions. `locate` reads the same text a second time, only to learn
where every key and every element of a list begins, so that a mistake found later can be shown on its line. It
expects text that `tomllib` accepts; on other text it stops where it no longer understands and answers with what it
has found so far, which is enough to name the first of two equal keys.

A path is what leads to a value: keys as text, places in lists as numbers from 0. Positions count lines and columns
from 1, in characters, as editors do.
"""

import re
import tomllib
from bisect import bisect_right
from contextlib import suppress
from typing import NamedTuple

KeyPath = tuple[str | int, ...]

_BLANK = re.compile(r"[ \t]*")
_BLANK_OR_COMMENT = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BASIC = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_LITERAL = re.compile(r"'[^'\n]*'")
# Three quotes close a long text; one or two more before the end belong to it.
_LONG_BASIC = re.compile(r'"""(?:[^\\]|\\.)*?"""("{0,2})', re.DOTALL)
_LONG_LITERAL = re.compile(r"'''.*?'''('{0,2})", re.DOTALL)
_BARE_VALUE = re.compile(r"[^,\]}#\n]+")
_TEXTS = {'"""': _LONG_BASIC, "'''": _LONG_LITERAL, '"': _BASIC, "'": _LITERAL}


class Position(NamedTuple):
    """A place in the text, both counted from 1."""

    line: int
    column: int


class Locations:
    """Where the keys of one document stand."""

    def __init__(self, scanner: "_Scanner") -> None:
        """Keep what `scanner` found, as characters from the start of its text."""
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", scanner.source))]
        self._offsets = scanner.offsets
        self._repeated = scanner.repeated
        self._open = scanner.open

    def exact(self, path: KeyPath) -> Position | None:
        """Return where the last part of `path` stands, or None if it does not."""
        offset = self._offsets.get(path)
        return None if offset is None else self._position(offset)

    def nearest(self, path: KeyPath) -> Position:
        """Return where `path` stands, or else the closest table around it; the first line for the whole document."""
        for length in range(len(path), 0, -1):
            found = self.exact(path[:length])
            if found is not None:
                return found
        return Position(1, 1)

    def repeats(self) -> list[tuple[KeyPath, Position, Position]]:
        """Return each key that stands there again, with its first and its later place."""
        return [(path, self.nearest(path), self._position(offset)) for path, offset in self._repeated]

    def unclosed(self) -> Position | None:
        """Return where the innermost list, table or text begins that the reading never came out of."""
        return self._position(self._open[-1]) if self._open else None

    def paths(self) -> list[KeyPath]:
        """Return every path found, in the order of the text."""
        return sorted(self._offsets, key=lambda path: (self._offsets[path], len(path)))

    def _position(self, offset: int) -> Position:
        line = bisect_right(self._line_starts, offset)
        return Position(line, offset - self._line_starts[line - 1] + 1)


def locate(text: str) -> Locations:
    """Return where each key of `text` stands.

    Errors: RecursionError for lists nested some hundreds deep (which `tomllib` refuses in the same way).
    """
    source = text.replace("\r\n", "\n")
    scanner = _Scanner(source)
    with suppress(_LostError):
        scanner.document()
    return Locations(scanner)


class _LostError(Exception):
    """The text is not TOML from here on."""


class _Scanner:
    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.offsets: dict[KeyPath, int] = {}
        self.repeated: list[tuple[KeyPath, int]] = []
        self.open: list[int] = []  # where what is being read began; left as it is when the text makes no sense
        self._written: set[KeyPath] = set()  # paths with a value or a header of their own, not only passed through
        self._lengths: dict[KeyPath, int] = {}  # how many tables each list of tables has so far

    def document(self) -> None:
        table: KeyPath = ()
        while self._skip(_BLANK_OR_COMMENT) < len(self.source):
            if self.source.startswith("[", self.at):
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> KeyPath:
        opening = self.at
        brackets = 2 if self.source.startswith("[[", self.at) else 1
        self.at += brackets
        keys = self._keys()
        self._expect("]" * brackets)
        table: KeyPath = ()
        for key, offset in keys[:-1]:
            table = (*table, key)
            self.offsets.setdefault(table, offset)
            if table in self._lengths:  # a list of tables: what follows is about its newest
                table = (*table, self._lengths[table] - 1)
        key, offset = keys[-1]
        table = (*table, key)
        if brackets == 1:
            self._write(table, offset)
            return table
        return self._next_table(table, offset, opening)

    def _next_table(self, tables: KeyPath, key_offset: int, opening: int) -> KeyPath:
        self.offsets.setdefault(tables, key_offset)
        place = self._lengths.get(tables, 0)
        self._lengths[tables] = place + 1
        self.offsets[(*tables, place)] = opening
        return (*tables, place)

    def _pair(self, table: KeyPath) -> None:
        keys = self._keys()
        self._expect("=")
        self._skip(_BLANK)
        path = table
        for key, offset in keys[:-1]:
            path = (*path, key)
            self.offsets.setdefault(path, offset)
        key, offset = keys[-1]
        path = (*path, key)
        self._write(path, offset)
        self._value(path)

    def _write(self, path: KeyPath, offset: int) -> None:
        if path in self._written:
            self.repeated.append((path, offset))
            return
        self._written.add(path)
        self.offsets[path] = offset

    def _keys(self) -> list[tuple[str, int]]:
        keys: list[tuple[str, int]] = []
        while True:
            self._skip(_BLANK)
            offset = self.at
            keys.append((self._key(), offset))
            self._skip(_BLANK)
            if not self.source.startswith(".", self.at):
                return keys
            self.at += 1

    def _key(self) -> str:
        pattern = _TEXTS.get(self.source[self.at : self.at + 1])
        if pattern is None:
            return self._take(_BARE_KEY)
        self.open.append(self.at)
        written = self._take(pattern)
        self.open.pop()
        try:
            return str(tomllib.loads(f"key = {written}")["key"])
        except tomllib.TOMLDecodeError as error:
            raise _LostError from error

    def _value(self, path: KeyPath) -> None:
        self.open.append(self.at)
        start = self.source[self.at : self.at + 3]
        if start[:1] == "[":
            self._list(path)
        elif start[:1] == "{":
            self._inline_table(path)
        elif start[:1] in ('"', "'"):
            self._take(_TEXTS.get(start, _TEXTS[start[0]]))
        else:
            self.open.pop()
            self._take(_BARE_VALUE)
            return
        self.open.pop()

    def _list(self, path: KeyPath) -> None:
        self.at += 1
        place = 0
        while not self._closes("]"):
            self.offsets[(*path, place)] = self.at
            self._value((*path, place))
            place += 1
            self._separator("]")

    def _inline_table(self, path: KeyPath) -> None:
        self.at += 1
        while not self._closes("}"):
            self._pair(path)
            self._separator("}")

    def _closes(self, bracket: str) -> bool:
        self._skip(_BLANK_OR_COMMENT)
        if not self.source.startswith(bracket, self.at):
            return False
        self.at += 1
        return True

    def _separator(self, bracket: str) -> None:
        self._skip(_BLANK_OR_COMMENT)
        if self.source.startswith(",", self.at):
            self.at += 1
        elif not self.source.startswith(bracket, self.at):
            raise _LostError

    def _expect(self, mark: str) -> None:
        if not self.source.startswith(mark, self.at):
            raise _LostError
        self.at += len(mark)

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.source, self.at)
        if match is None or match.end() == self.at:
            raise _LostError
        self.at = match.end()
        return match.group()

    def _skip(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self.source, self.at)
        assert match is not None  # both skipping patterns match nothing as well
        self.at = match.end()
        return self.at
