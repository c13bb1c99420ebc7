"""Strangers' words inside Mermaid text: whatever they are, they stay words.

Only letters, digits and a few signs are written as they are; everything else as a numbered entity (`#34;`), which
Mermaid turns back when it draws. So no word can end a label, begin a directive or become markup. Ids are never made
of strangers' words.
"""

import re
import unicodedata

MAX_LABEL_CHARACTERS = 200
_AS_IT_IS = frozenset(" .,-_'()/?!+=")
# Some lexers look for this statement anywhere in a line, in quotes too: its first letter is written as a number.
_DIRECTION = re.compile(r"[dD](?=irection\s)")
_NOTHING = "#8203;"  # a space of no width: an empty label is an error in some diagrams


def label(words: str) -> str:
    """Return words as they can stand in quotes or after a colon; on one line, never empty."""
    line = " ".join("".join(each if _shown(each) else " " for each in words).split())
    if len(line) > MAX_LABEL_CHARACTERS:
        line = f"{line[: MAX_LABEL_CHARACTERS - 1]}…"
    written = "".join(_written(each) for each in line) or _NOTHING
    return _DIRECTION.sub(lambda found: f"#{ord(found[0])};", written)


def identifier(words: str, otherwise: str) -> str:
    """Return words as a plain name of letters, digits and `_`, where Mermaid takes nothing else."""
    name = "".join(each if each.isascii() and each.isalnum() else "_" for each in words).strip("_")[:60]
    return name if name[:1].isalpha() else f"{otherwise}_{name}".rstrip("_")


def _shown(character: str) -> bool:
    return character.isspace() or unicodedata.category(character)[0] != "C"


def _written(character: str) -> str:
    if character in _AS_IT_IS or unicodedata.category(character)[0] in "LN":
        return character
    return f"#{ord(character)};"
