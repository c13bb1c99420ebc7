"""What is wrong with a product file, said so that its maker can put it right.

The steps of reading (syntax, structure, checks) find `Complaint`s, which know a path but no place; loading turns
them into `Mistake`s and remarks into `Note`s, with the line where they stand, and raises all mistakes at once.
"""

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from penstock.product.positions import KeyPath, Locations

SIMILARITY = 0.6  # of two words, from 0 to 1, above which one is offered for the other
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
NoteKind = Literal["off", "warning"]


@dataclass(frozen=True)
class Complaint:
    """A mistake or a remark before its place is known; `reason` has no full stop, `suggestion` is a sentence."""

    path: KeyPath
    reason: str
    suggestion: str | None = None


@dataclass(frozen=True)
class Mistake:
    """One thing to put right: without a line where the file as a whole is meant."""

    line: int | None
    column: int | None
    key: str
    reason: str
    suggestion: str | None = None

    def render(self, filename: str) -> str:
        """Return one line such as `rekindle.toml:12: operations.restore.prise: unknown key. Did you mean "price"?`."""
        place = filename if self.line is None else f"{filename}:{self.line}"
        return _sentence([place, self.key], self.reason, self.suggestion)


@dataclass(frozen=True)
class Note:
    """Something to know about a correct file: what is off and why, or what is likely not meant."""

    kind: NoteKind
    line: int | None
    key: str
    reason: str
    suggestion: str | None = None

    def render(self, filename: str) -> str:
        """Return one line such as `rekindle.toml:80: off: providers.gemini: needs a key. Set GEMINI_API_KEY.`."""
        place = filename if self.line is None else f"{filename}:{self.line}"
        return _sentence([place, self.kind, self.key], self.reason, self.suggestion)


class ProductFileError(Exception):
    """A product file that cannot be used, with every mistake in it, in the order of the file."""

    def __init__(self, filename: str, mistakes: Sequence[Mistake]) -> None:
        """Keep `mistakes`, sorted by where they stand."""
        self.filename = filename
        self.mistakes = tuple(sorted(mistakes, key=lambda mistake: (mistake.line or 0, mistake.column or 0)))
        super().__init__("\n".join(mistake.render(filename) for mistake in self.mistakes))


def placed(complaint: Complaint, locations: Locations) -> Mistake:
    """Return the mistake with its line; something missing stands where its table does."""
    line, column = locations.nearest(complaint.path)
    return Mistake(line, column, dotted(complaint.path), complaint.reason, complaint.suggestion)


def noted(kind: NoteKind, complaint: Complaint, locations: Locations) -> Note:
    """Return the note with its line."""
    line = locations.nearest(complaint.path).line
    return Note(kind, line, dotted(complaint.path), complaint.reason, complaint.suggestion)


def dotted(path: KeyPath) -> str:
    """Write a path as it would stand in the file: `operations.restore.route[0]`, `texts."error.busy.title"`."""
    written = ""
    for part in path:
        if isinstance(part, int):
            written += f"[{part}]"
        else:
            key = part if _BARE_KEY.fullmatch(part) else json.dumps(part, ensure_ascii=False)
            written += f".{key}" if written else key
    return written


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that is most like `word`, if any is."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=SIMILARITY)
    if matches:
        return matches[0]
    folded = {candidate.casefold(): candidate for candidate in known}
    return folded.get(word.casefold())


def did_you_mean(word: str, known: Iterable[str], *, otherwise: str | None = None) -> str | None:
    """Return a question that offers the closest known word, or `otherwise` if none is close."""
    match = closest(word, list(known))
    return otherwise if match is None else f'Did you mean "{match}"?'


def listed(words: Iterable[str], conjunction: str = "and") -> str:
    """Write words as `"a", "b" and "c"`."""
    quoted = [f'"{word}"' for word in words]
    if len(quoted) < 2:
        return "".join(quoted)
    return f"{', '.join(quoted[:-1])} {conjunction} {quoted[-1]}"


def _sentence(heads: list[str], reason: str, suggestion: str | None) -> str:
    text = ": ".join([*(head for head in heads if head), reason])
    return text + "." if suggestion is None else f"{text}. {suggestion}"
