"""From the bytes of a product file to a document: the first step of loading.

A file that is not TOML has one mistake that counts, the first. The parser's message says what the grammar expected;
here it becomes what a person did, from the message's kind and the line it points at.
"""

import re
import tomllib
from collections.abc import Callable
from typing import Any

from penstock.product.mistakes import Mistake, ProductFileError, dotted
from penstock.product.positions import Locations, Position, locate

MAX_FILE_BYTES = 1_000_000
_PLACE = re.compile(r"(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", re.DOTALL)
_WORD = re.compile(r"[^\s,#\]}]*")
_COLOUR = re.compile(r"#[0-9a-fA-F]{3,8}\b")
_FLOATING_COMMA = re.compile(r"=\s*\d+,\d+")

Wording = tuple[str, str | None]  # reason, suggestion

# What opens a value, longest mark first, and how it is closed.
_OPENINGS = {'"""': "text", "'''": "text", '"': "text", "'": "text", "[": "list", "{": "table"}
_CLOSING_MARKS = {"[": "]", "{": "}"}
_CLOSINGS = {
    "text": "Close it with {0}.",
    "list": 'Put "," between values and "{0}" at the end.',
    "table": 'It stands on one line, with "," between its keys, none after the last, and "{0}" at the end.',
}


def decode(content: bytes, filename: str) -> str:
    """Return the text of a file.

    Errors: ProductFileError for a file that is too large or not UTF-8.
    """
    if len(content) > MAX_FILE_BYTES:
        reason = f"has more than {MAX_FILE_BYTES:,} bytes, which no product file needs"
        raise ProductFileError(filename, [Mistake(None, None, "", reason, "Is this the right file?")])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, column = before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1
        reason = f"byte 0x{content[error.start]:02x} is not UTF-8 text"
        mistake = Mistake(line, column, "", reason, "Save the file with the encoding UTF-8.")
        raise ProductFileError(filename, [mistake]) from error


def parse(text: str, filename: str) -> tuple[dict[str, Any], Locations]:
    """Return the document and where its keys stand.

    Errors: ProductFileError for text that is not TOML.
    """
    try:
        return tomllib.loads(text), locate(text)
    except tomllib.TOMLDecodeError as error:
        raise ProductFileError(filename, [_syntax_mistake(text, str(error))]) from error
    except RecursionError as error:
        mistake = Mistake(None, None, "", "lists or tables stand inside each other too deep")
        raise ProductFileError(filename, [mistake]) from error


def _syntax_mistake(text: str, message: str) -> Mistake:
    lines = text.replace("\r\n", "\n").split("\n")
    match = _PLACE.fullmatch(message)
    what = match["what"] if match else message
    if what.startswith(("Cannot", "Duplicate")):
        return _repetition(text, match)
    unclosed = locate(text).unclosed()
    line, column = _place(match, lines)
    at_end = match is None or match["line"] is None
    header_in_list = what == "Invalid value" and lines[line - 1].lstrip().startswith("[")
    if unclosed and (at_end or what.startswith("Unclosed") or (header_in_list and unclosed.line < line)):
        return _never_closed(lines, unclosed, None if at_end else line)
    reason, suggestion = _reworded(what, lines[line - 1], column)
    return Mistake(line, column, "", reason, suggestion)


def _place(match: re.Match[str] | None, lines: list[str]) -> Position:
    """Return where the parser stopped; at the end of the document that is behind its last line with text."""
    if match and match["line"]:
        return Position(int(match["line"]), int(match["column"]))
    last = max(1, len(lines) - (lines[-1] == ""))
    return Position(last, len(lines[last - 1]) + 1)


def _never_closed(lines: list[str], opening: Position, noticed: int | None) -> Mistake:
    """Show where something begins that never ends; the parser only noticed it later, or at the end."""
    start = lines[opening.line - 1][opening.column - 1 :]
    mark, what = next((mark, what) for mark, what in _OPENINGS.items() if start.startswith(mark))
    comma = "" if what == "text" else ', or a "," is missing'
    later = "" if noticed is None or noticed == opening.line else f" before line {noticed}"
    reason = f"the {what} that begins here is not closed{comma}{later}"
    return Mistake(opening.line, opening.column, "", reason, _CLOSINGS[what].format(_CLOSING_MARKS.get(mark, mark)))


def _repetition(text: str, match: re.Match[str] | None) -> Mistake:
    """Name both places of a key that stands there twice; the parser only knows the end of the second."""
    for path, first, second in locate(text).repeats():
        reason = f"stands here for the second time, the first is on line {first.line}"
        return Mistake(second.line, second.column, dotted(path), reason, "Keep one of them.")
    reason = "this is already set to something else further up, as a value or as a table"
    line, column = _place(match, text.split("\n"))
    return Mistake(line, column, "", reason, "Keep one of them.")


def _reworded(what: str, line: str, column: int) -> Wording:
    for start, wording in _WORDINGS.items():
        if what.startswith(start):
            return wording(line, column)
    return f"this is not TOML: {what[:1].lower()}{what[1:]}", None


def _no_equals(line: str, column: int) -> Wording:
    key = line[: column - 1].strip()
    if line[column - 1 : column] == ":":
        return 'a key is followed by "=", not by ":"', f"Write: {key} = {line[column:].strip()}"
    return f'"=" and a value are missing after {key}', f"Write: {key} = …" if key else None


def _no_key(line: str, column: int) -> Wording:
    if "{" in line and column > len(line.rstrip()):
        return "a table in braces goes on here after the end of its line", f"{_CLOSINGS['table'].format('}')}"
    return "a key is missing here", "Keys are made of letters, digits, _ and -; put others in quotes."


def _no_value(line: str, column: int) -> Wording:
    word = _bare_word(line, column)
    if not word:
        if colour := _COLOUR.match(line, column - 1):
            return 'nothing but a comment stands after "="', f'Put the colour in quotes: "{colour.group()}".'
        before = 'nothing stands after "="' if line[: column - 1].rstrip().endswith("=") else "a value is missing here"
        return before, 'Write a value; text stands in quotes: "…".'
    if word.casefold() in {"true", "false"}:
        return f"{word} is not a value", f"Write {word.casefold()}."
    if word.casefold() in {"yes", "no", "on", "off"}:
        return f"{word} is not a value", f"Write {'true' if word.casefold() in {'yes', 'on'} else 'false'}."
    if word.casefold() in {"none", "null", "nil"}:
        return f"{word} is not a value", "Leave the key out."
    text = line[column - 1 :].split("#", maxsplit=1)[0].strip()
    return f"{word} is not a value", f'Text stands in quotes: "{text}".'


def _left_over(line: str, column: int) -> Wording:
    rest = line[column - 1 :].strip()
    if _FLOATING_COMMA.search(line):
        return f"{rest} stands after the end of the value", "Decimals are written with a point."
    return f"{rest} stands after the end of the value", "One key and value on each line; text stands in quotes."


def _bare_word(line: str, column: int) -> str:
    match = _WORD.match(line, column - 1)
    return match.group() if match else ""


def _always(reason: str, suggestion: str | None = None) -> Callable[[str, int], Wording]:
    return lambda _line, _column: (reason, suggestion)


# What the parser's message begins with, and what to say instead.
_WORDINGS: dict[str, Callable[[str, int], Wording]] = {
    "Expected '=' after a key": _no_equals,
    "Invalid value": _no_value,
    "Expected newline or end of document": _left_over,
    "Illegal character '\\n'": _always('the text is not closed, a " is missing', 'Close it with " on the same line.'),
    "Found invalid character '\\n'": _always(
        "the text is not closed, a ' is missing", "Close it with ' on the same line."
    ),
    "Illegal character": _always("an invisible control character stands here", "Delete it."),
    "Found invalid character": _always("an invisible control character stands here", "Delete it."),
    "Unescaped '\\'": _always("a backslash stands alone in a text", "Write \\\\, or put the text in single quotes."),
    "Invalid hex value": _always("\\u needs four hexadecimal digits and \\U eight"),
    "Escaped character is not": _always("this number is not a Unicode character"),
    "Expected ']' at the end of a table": _always("the table's name is not closed", 'Put "]" after it.'),
    "Expected ']]' at the end": _always("the table's name is not closed", 'Put "]]" after it.'),
    "Invalid initial character for a key": _no_key,
    "Unclosed": _always('a "," is missing before this', 'Put "," between two values.'),
    "Invalid statement": _always(
        "this line is neither a key with a value nor a [table]", "Begin a comment with #, a line with its key."
    ),
    "Invalid date": _always("there is no such date or time"),
}
