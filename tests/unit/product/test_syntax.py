"""Files that are not TOML, not text, or not there: one mistake, on the line where a person made it."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.product.loading import load_product, parse_product
from penstock.product.mistakes import Mistake, ProductFileError
from penstock.product.syntax import MAX_FILE_BYTES
from tests.unit.product.samples import SAMPLE, changed


def mistake(text: str) -> Mistake:
    with pytest.raises(ProductFileError) as caught:
        parse_product(text)
    (only,) = caught.value.mistakes
    return only


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("price = 2", "price 2", 21, '"=" and a value are missing after price. Write: price = …'),
        ("price = 2", "price: 2", 21, 'a key is followed by "=", not by ":". Write: price = 2'),
        ("price = 2", "price =", 21, 'nothing stands after "=". Write a value; text stands in quotes: "…".'),
        ("price = 2", "price = two", 21, 'two is not a value. Text stands in quotes: "two".'),
        ("price = 2", "price = 2,5", 21, ",5 stands after the end of the value. Decimals are written with a point."),
        ("price = 2", "price = 2 credits", 21, "credits stands after the end of the value. One key and value on each"),
        ("anonymous = true", "anonymous = True", 12, "True is not a value. Write true."),
        ("anonymous = true", "anonymous = yes", 12, "yes is not a value. Write true."),
        ("anonymous = true", "anonymous = off", 12, "off is not a value. Write false."),
        ("anonymous = true", "anonymous = null", 12, "null is not a value. Leave the key out."),
        ('"#b4512d"', "#b4512d", 6, 'nothing but a comment stands after "=". Put the colour in quotes: "#b4512d".'),
        ('"Restore"', '"Restore', 18, 'the text is not closed, a " is missing. Close it with " on the same line.'),
        ('"Restore"', "'Restore", 18, "the text that begins here is not closed. Close it with '."),
        ('"Restore"', '"""Restore', 18, 'the text that begins here is not closed. Close it with """.'),
        ('"Restore"', "'''Restore", 18, "the text that begins here is not closed. Close it with '''."),
        ('"Restore"', '"C:\\Photos"', 18, "a backslash stands alone in a text. Write \\\\, or put the text in single"),
        ('"Restore"', '"\\uzzzz"', 18, "\\u needs four hexadecimal digits and \\U eight"),
        ('"Restore"', '"\x07"', 18, "an invisible control character stands here. Delete it."),
        ("]\n[operations.restore.options.grain]", "\n[operations.restore.options.grain]", 30, "the list that begins"),
        ('title = "Automatic" }', 'title = "Automatic"', 31, "a table in braces goes on here"),
        ('title = "Automatic" },', 'title = "Automatic" }', 30, 'the list that begins here is not closed, or a ","'),
        ('kind = "picture", title', 'kind = "picture" title', 25, 'the table that begins here is not closed, or a ","'),
        ('kind = "picture", title', 'kind = "picture",\ntitle', 25, "a table in braces goes on here"),
        ('["local", "gemini"]', '["local",, "gemini"]', 22, "a value is missing here"),
        ("[plans.plus]", "[plans.plus", 63, 'the table\'s name is not closed. Put "]" after it.'),
        ("[plans.plus]", "[[plans.plus]", 63, 'the table\'s name is not closed. Put "]]" after it.'),
        ("[plans.plus]", "[plans.]", 63, "a key is missing here. Keys are made of"),
        ("[plans.plus]", "[plans.free]", 63, "plans.free: stands here for the second time, the first is on line 55."),
        ("running = 1", "running = 1\nrunning = 2", 61, "plans.free.limits.running: stands here for the second time"),
        (
            "running = 1",
            "running = 1\nrunning = [\n2]",
            61,
            "plans.free.limits.running: stands here for the second time",
        ),
        ("[topups.small]", "[operations.restore.price.x]", 70, "this is already set to something else further up"),
        ("[uploads]", "= uploads", 14, "this line is neither a key with a value nor a [table]"),
    ],
)
def test_what_a_person_did_is_said_where_it_was_done(old: str, new: str, line: int, said: str) -> None:
    found = mistake(changed((old, new)))
    assert found.line == line
    assert said in found.render("f")


def test_windows_line_ends_and_a_byte_order_mark_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "rekindle.toml"
    path.write_bytes(b"\xef\xbb\xbf" + SAMPLE.replace("\n", "\r\n").encode())
    assert load_product(path, {}).product.name == "rekindle"
    path.write_bytes(SAMPLE.replace("\n", "\r\n").replace("price = 2", "prise = 2").encode())
    with pytest.raises(ProductFileError, match=r":21: operations\.restore\.prise"):
        load_product(path, {})


def test_bytes_that_are_no_text_are_found(tmp_path: Path) -> None:
    path = tmp_path / "rekindle.toml"
    path.write_bytes(b'name = "x"\n# caf\xe9\n')
    with pytest.raises(ProductFileError) as caught:
        load_product(path, {})
    (found,) = caught.value.mistakes
    assert (found.line, found.column) == (2, 6)
    assert "UTF-8" in found.render("f")


def test_files_that_are_not_there_or_not_files(tmp_path: Path) -> None:
    (tmp_path / "rekindle.toml").write_text(SAMPLE)
    (tmp_path / "huge.toml").write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    expected = {
        "rekinlde.toml": f'there is no such file. Did you mean "{tmp_path / "rekindle.toml"}"?',
        "zzz.toml": 'there is no such file. Run "penstock init NAME" to make one.',
        "no/such/folder.toml": 'there is no such file. Run "penstock init NAME" to make one.',
        "": "is a folder. Name the file in it.",
        "huge.toml": "has more than 1,000,000 bytes, which no product file needs. Is this the right file?",
    }
    for name, said in expected.items():
        with pytest.raises(ProductFileError) as caught:
            load_product(tmp_path / name, {})
        assert str(caught.value) == f"{tmp_path / name}: {said}"


def test_nesting_without_end_is_refused() -> None:
    assert "too deep" in mistake("a = " + "[" * 5_000).reason
    assert "too deep" in mistake("a = " + "[" * 5_000 + "]" * 5_000).reason


LINES = SAMPLE.splitlines()
SHARDS = [
    "",
    "=",
    "[",
    "]",
    '"',
    "'",
    "{",
    "}",
    "1",
    "true",
    "x = 1",
    '"""',
    "\n",
    "[a.b]",
    "[[operations]]",
    "é",
    "inf",
]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_whatever_is_done_to_a_file_is_a_product_or_mistakes_with_lines(data: st.DataObject) -> None:
    lines = list(LINES)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(lines) - 1))
        cut = data.draw(st.integers(0, len(lines[at])))
        end = data.draw(st.integers(cut, len(lines[at])))
        lines[at] = lines[at][:cut] + data.draw(st.sampled_from(SHARDS)) + lines[at][end:]
    text = "\n".join(lines)
    for found in _mistakes(text):
        assert found.line is not None
        assert 1 <= found.line <= text.count("\n") + 1
        assert found.reason
        assert "this is not TOML" not in found.reason


def _mistakes(text: str) -> tuple[Mistake, ...]:
    try:
        parse_product(text)
    except ProductFileError as error:
        return error.mistakes
    return ()
