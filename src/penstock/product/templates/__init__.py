"""The product files that `penstock init` begins with: complete, checked by the tests, meant to be changed.

The examples are templates, too, under a new name. They lie in the wheel beside this file and in the repository in
`examples/`, so that there is one of each.
"""

import re
from importlib.resources import files
from pathlib import Path

from penstock.product.mistakes import did_you_mean
from penstock.product.schema_parts import NAME_PATTERN
from penstock.product.structure import name_like

EXAMPLES = {
    "rekindle": "photographs restored and coloured; plans and top-ups, in credits",
    "coloringbook": "photographs and words become pages to colour in; paid by the page, in dollars",
    "diagrams": "texts become diagrams; plans by requests, no credits",
    "imagine": "pictures and videos for nothing, with donations",
}
TEMPLATES = {
    "picture": "four operations on photographs, a free plan, a paid plan and top-ups",
    "minimal": "one operation and one free plan",
    **EXAMPLES,
}
REPOSITORY = Path(__file__).parents[4]
SCHEMA_FILENAME = "penstock.schema.json"


def from_template(template: str, name: str) -> str:
    """Return the text of a product file called `name`.

    Errors: ValueError, with what to write instead, for an unknown template and for what is no name.
    """
    if template not in TEMPLATES:
        known = f"There are: {', '.join(TEMPLATES)}."
        raise ValueError(f'There is no template "{template}". {did_you_mean(template, TEMPLATES, otherwise=known)}')
    if not re.fullmatch(NAME_PATTERN, name):
        better = name_like(name)
        instead = f" Try: penstock init {better}" if better else ""
        raise ValueError(f'"{name}" can\'t be a name: it is made of lower-case letters, digits and _.{instead}')
    title = name.replace("_", " ").capitalize()
    if template in EXAMPLES:
        return _renamed(_text_of(template), template, name, title)
    return _text_of(template).replace("@NAME@", name).replace("@TITLE@", title)


def _text_of(template: str) -> str:
    packed = files(__name__).joinpath(f"{template}.toml")
    source = packed if packed.is_file() else REPOSITORY / "examples" / f"{template}.toml"
    return source.read_text(encoding="utf-8")


def _renamed(text: str, example: str, name: str, title: str) -> str:
    """Return an example as a product of this name, with its schema beside it."""
    body = re.sub(r"^#:schema .*\n", "", text)
    body = body.replace(f"examples/{example}.toml", f"{name}.toml")
    own_title = re.search(r'^\[brand\]\ntitle = "(.+)"$', body, re.MULTILINE)
    if own_title is not None:
        body = re.sub(rf"\b{re.escape(own_title[1])}\b", title, body)
    body = re.sub(rf'^name = "{example}"$', f'name = "{name}"', body, count=1, flags=re.MULTILINE)
    return f"#:schema ./{SCHEMA_FILENAME}\n{body}"
