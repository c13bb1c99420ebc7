"""The locator against documents that are written together with the places of their keys, and against tomllib."""

import json
import tomllib
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.product.positions import KeyPath, Position, locate

EXAMPLE = Path(__file__).parents[3] / "examples" / "rekindle.toml"
# What a careless scanner stumbles over: marks of TOML inside texts, quotes before the closing ones, escapes.
TRICKY = ["#", "[", "]", "{", "}", "=", ",", ".", "a", " ", "é", "🜁", "\\", "'", '"', "\n", "x = 1", "[[a]]", "\t"]
KEY_PARTS = ["a", "b-c", "7", "é", "x.y", "#", "=", "]", '"', "'", " ", "\\", ""]


class Writer:
    """Writes a document and remembers where each path went."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.text = ""
        self.where: dict[KeyPath, Position] = {}
        self.fresh = 0

    def __repr__(self) -> str:
        """What a failing test shows."""
        return f"<document {self.text!r}>"

    def put(self, text: str) -> None:
        self.text += text

    def mark(self, path: KeyPath, *, again: bool = True) -> None:
        line = self.text.count("\n") + 1
        place = Position(line, len(self.text) - (self.text.rfind("\n") + 1) + 1)
        if again or path not in self.where:
            self.where[path] = place

    def blank(self) -> None:
        self.put(self.chance.choice(["", " ", "\t ", "  "]))

    def gap(self) -> None:
        """Where lists may go on: blanks, line ends, comments."""
        self.put(self.chance.choice(["", " ", "\n", "\n  \n", " # ], } and = mean nothing here\n"]))

    def end_line(self) -> None:
        self.put(self.chance.choice(["\n", "  \n", " # [not.a.table]\n", "\n\n# x = 1\n\n"]))

    def new_key(self) -> str:
        self.fresh += 1
        return f"{self.chance.choice(KEY_PARTS)}{self.fresh}"

    def key(self, key: str) -> None:
        bare = key.replace("-", "").isascii() and key.replace("-", "").isalnum()
        styles = [json.dumps(key), json.dumps(key, ensure_ascii=False)]
        styles += [key] if bare else []
        styles += [f"'{key}'"] if "'" not in key else []
        self.put(self.chance.choice(styles))

    def value(self, path: KeyPath, depth: int) -> None:
        kinds = ["text", "bare"] + (["list", "table"] if depth else [])
        kind = self.chance.choice(kinds)
        if kind == "text":
            self.put(self.some_text())
        elif kind == "bare":
            self.put(self.chance.choice(["1", "-2.5e3", "true", "inf", "0xff", "1979-05-27 07:32:00", "07:32:00"]))
        elif kind == "list":
            self.list(path, depth)
        else:
            self.inline_table(path, depth)

    def some_text(self) -> str:
        text = "".join(self.chance.choice(TRICKY) for _ in range(self.chance.randint(0, 6)))
        styles = [json.dumps(text, ensure_ascii=False)]
        styles += [json.dumps(text)] if "🜁" not in text else []  # JSON would write two halves, TOML has none
        escaped = text.replace("\\", "\\\\")
        styles += ['"""' + escaped.replace('"""', '""\\"') + '"""'] if not escaped.endswith('"') else []
        styles += [f'"""{text}"""'] if text in {'"', '""', 'a"', 'a""'} else []
        styles += ['"""a""""', '"""""a"""""', '""""""', "''''a'''''", "''''''", '"""\\""""']
        if "\n" not in text and "'" not in text and "\t" not in text:
            styles.append(f"'{text}'")
        if "'''" not in text and not text.endswith("'"):
            styles.append(f"'''{text}'''")
        return str(self.chance.choice(styles))

    def list(self, path: KeyPath, depth: int) -> None:
        self.put("[")
        count = self.chance.randint(0, 3)
        for place in range(count):
            self.gap()
            self.mark((*path, place))
            self.value((*path, place), depth - 1)
            self.gap()
            self.put("," if place < count - 1 else self.chance.choice(["", ",", ", # last\n"]))
        self.gap()
        self.put("]")

    def inline_table(self, path: KeyPath, depth: int) -> None:
        self.put("{")
        count = self.chance.randint(0, 3)
        for place in range(count):
            self.blank()
            self.pair(path, depth - 1)
            self.blank()
            self.put("," if place < count - 1 else "")
        self.put("}")

    def pair(self, table: KeyPath, depth: int, prefix: tuple[str, ...] = ()) -> None:
        path = table
        keys = [*prefix, *(self.new_key() for _ in range(self.chance.randint(1, 3)))]
        for place, key in enumerate(keys):
            path = (*path, key)
            self.mark(path, again=False)
            self.key(key)
            self.blank()
            self.put("." if place < len(keys) - 1 else "=")
            self.blank()
        self.value(path, depth)

    def pairs(self, table: KeyPath) -> None:
        shared = (self.new_key(),)
        for _ in range(self.chance.randint(0, 3)):
            self.blank()
            self.pair(table, 2, self.chance.choice([(), shared]))
            self.end_line()

    def header(self, table: KeyPath, *, brackets: int = 1) -> KeyPath:
        """Write the header of `table` (whose places in lists of tables are never written) and return what it opens."""
        self.blank()
        opening = len(self.text)
        self.put("[" * brackets)
        keys = [part for part in table if isinstance(part, str)]
        written = 0
        for length, part in enumerate(table, start=1):
            if isinstance(part, int):
                continue
            written += 1
            self.blank()
            self.mark(table[:length], again=brackets == 1 and written == len(keys))
            self.key(part)
            self.blank()
            self.put("." if written < len(keys) else "]" * brackets)
        if brackets == 1:
            return table
        place = sum(1 for path in self.where if path[:-1] == table and isinstance(path[-1], int))
        line = self.text.count("\n", 0, opening) + 1
        self.where[(*table, place)] = Position(line, opening - (self.text.rfind("\n", 0, opening) + 1) + 1)
        return (*table, place)

    def section(self, table: KeyPath, *, brackets: int = 1) -> KeyPath:
        opened = self.header(table, brackets=brackets)
        self.end_line()
        self.pairs(opened)
        return opened

    def document(self) -> None:
        self.pairs(())
        for _ in range(self.chance.randint(0, 3)):
            name, inner = self.new_key(), self.new_key()
            shape = self.chance.choice(["table", "child first", "tables"])
            if shape == "table":
                self.section((name,))
            elif shape == "child first":
                self.section((name, inner))
                self.section((name,))
            else:
                for _ in range(self.chance.randint(1, 3)):
                    opened = self.section((name,), brackets=2)
                    self.section((*opened, inner), brackets=self.chance.choice([1, 2]))


def documents() -> st.SearchStrategy[Writer]:
    return st.randoms(use_true_random=False).map(written)


def written(chance: Random) -> Writer:
    writer = Writer(chance)
    writer.document()
    return writer


def all_paths(value: object, path: KeyPath = ()) -> set[KeyPath]:
    """Every path of a parsed document."""
    entries: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        entries = list(value.items())
    elif isinstance(value, list):
        entries = list(enumerate(value))
    found = {(*path, key) for key, _ in entries}
    return found.union(*(all_paths(inner, (*path, key)) for key, inner in entries))


@settings(max_examples=300, deadline=None)
@given(documents(), st.sampled_from(["\n", "\r\n"]))
def test_every_key_is_found_where_it_was_written(document: Writer, line_end: str) -> None:
    text = document.text.replace("\n", line_end)
    parsed = tomllib.loads(text)
    locations = locate(text)
    assert set(locations.paths()) == all_paths(parsed)
    assert {path: locations.exact(path) for path in document.where} == document.where
    assert set(document.where) == all_paths(parsed)


@settings(max_examples=200, deadline=None)
@given(documents(), st.integers(0, 10_000), st.sampled_from(["", '"', "'", "[", "]", "=", "{", "\\", "\n", '"""']))
def test_damaged_text_never_breaks_the_locator(document: Writer, at: int, mark: str) -> None:
    place = at % (len(document.text) + 1)
    damaged = document.text[:place] + mark + document.text[place + 1 :]
    locate(damaged)  # must neither raise nor hang
    try:
        parsed = tomllib.loads(damaged)
    except tomllib.TOMLDecodeError:
        return
    assert set(locate(damaged).paths()) == all_paths(parsed)  # still TOML: still exact


def test_the_example_is_located_completely() -> None:
    text = EXAMPLE.read_text()
    locations = locate(text)
    assert set(locations.paths()) == all_paths(tomllib.loads(text))
    lines = text.splitlines()
    for path in locations.paths():
        found = locations.exact(path)
        assert found is not None
        if isinstance(path[-1], str):
            assert lines[found.line - 1][found.column - 1 :].lstrip("\"'").startswith(path[-1])


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("a = 1\n\n  b.c = 2", ("b", "c"), Position(3, 5)),
        ('a = """\nb = 1\n"""\nb = 2', ("b",), Position(4, 1)),
        ("a = '''\n[b]\n'''\n[b]", ("b",), Position(4, 2)),
        ("a = [ # ]\n  1,\n  { b = 2 },\n]", ("a", 1, "b"), Position(3, 5)),
        ("[[a]]\nb = 1\n[[a]]\nb = 2", ("a", 1, "b"), Position(4, 1)),
        ("[[a]]\n[a.b]\n[[a]]\n[a.b]\nc = 1", ("a", 1, "b", "c"), Position(5, 1)),
        ("[a.b]\n[a]\nc = 1", ("a",), Position(2, 2)),
        ('"a.b"."c\\u0064" = 1', ("a.b", "cd"), Position(1, 7)),
        ("\r\na = 1\r\nb = 2\r\n", ("b",), Position(3, 1)),
    ],
)
def test_places(text: str, path: KeyPath, expected: Position) -> None:
    assert locate(text).exact(path) == expected


def test_what_is_missing_stands_where_its_table_does() -> None:
    locations = locate("a = 1\n[b]\n[b.c]\nd = 1")
    assert locations.exact(("b", "c", "x")) is None
    assert locations.nearest(("b", "c", "x")) == Position(3, 4)
    assert locations.nearest(("x", "y")) == Position(1, 1)


def test_repeated_keys_and_open_values_are_told_for_broken_text() -> None:
    (repeat,) = locate("a = 1\nb = 2\na = [\n1]").repeats()
    assert repeat == (("a",), Position(1, 1), Position(3, 1))
    assert locate("a = 1\nb = [\n  1,\n").unclosed() == Position(2, 5)
    assert locate("a = [1]\nb = '''x").unclosed() == Position(2, 5)
    assert locate("a = [1]\n").unclosed() is None
