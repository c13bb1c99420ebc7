"""The product files that `penstock init` begins with: complete, checked by the tests, meant to be changed."""

import re
from importlib.resources import files

from penstock.product.mistakes import did_you_mean
from penstock.product.schema import NAME_PATTERN
from penstock.product.structure import name_like

TEMPLATES = {
    "picture": "four operations on photographs, a free plan, a paid plan and top-ups",
    "minimal": "one operation and one free plan",
}
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
    text = files(__name__).joinpath(f"{template}.toml").read_text(encoding="utf-8")
    return text.replace("@NAME@", name).replace("@TITLE@", name.replace("_", " ").capitalize())
