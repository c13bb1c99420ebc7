"""What is wrong with a request, field by field, in plain English instead of the validator's own words."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from penstock.kit.errors import FieldError

MAX_ERRORS = 20  # told at one time
_SOURCES = frozenset({"body", "query", "path", "header", "cookie"})

# By the validator's kind of error; {name} stands for what its context says.
_SENTENCES: Mapping[str, str] = {
    "missing": "This is missing.",
    "json_invalid": "The body is not valid JSON.",
    "json_type": "This must be JSON.",
    "model_attributes_type": "This must be a JSON object, sent as application/json.",
    "model_type": "This must be a JSON object.",
    "dict_type": "This must be a JSON object.",
    "list_type": "This must be a list.",
    "string_type": "This must be text.",
    "string_unicode": "This is not valid Unicode text.",
    "string_too_short": "This must have {min_length} characters at least.",
    "string_too_long": "This must have {max_length} characters at most.",
    "string_pattern_mismatch": "This does not have the right form.",
    "too_short": "This must have {min_length} entries at least.",
    "too_long": "This must have {max_length} entries at most.",
    "int_type": "This must be a whole number.",
    "int_parsing": "This must be a whole number.",
    "int_from_float": "This must be a whole number.",
    "int_parsing_size": "This number is too large.",
    "float_type": "This must be a number.",
    "float_parsing": "This must be a number.",
    "finite_number": "This must be a finite number.",
    "decimal_type": "This must be a number.",
    "decimal_parsing": "This must be a number.",
    "decimal_max_places": "This can have {decimal_places} decimals at most.",
    "decimal_max_digits": "This number is too large.",
    "decimal_whole_digits": "This number is too large.",
    "bool_type": "This must be true or false.",
    "bool_parsing": "This must be true or false.",
    "greater_than": "This must be more than {gt}.",
    "greater_than_equal": "This must be {ge} or more.",
    "less_than": "This must be less than {lt}.",
    "less_than_equal": "This must be {le} or less.",
    "literal_error": "This must be one of: {expected}.",
    "enum": "This must be one of: {expected}.",
    "extra_forbidden": "There is no such field.",
    "recursion_loop": "This is nested too deeply.",
    "invalid_key": "The names in this object must be text.",
}


def field_errors(found: Sequence[Any]) -> list[FieldError]:
    """Return the validator's errors for people, one for each field."""
    errors: dict[str, FieldError] = {}
    for error in found:
        field = _field(error["loc"])
        errors.setdefault(field, FieldError(field, _sentence(error)))
    return list(errors.values())[:MAX_ERRORS]


def _field(location: Iterable[str | int]) -> str:
    """Return a path such as `inputs.picture` or `options.corners[0]`; empty for the body as a whole."""
    parts = list(location)
    if parts and parts[0] in _SOURCES:
        parts = parts[1:]
    if len(parts) == 1 and isinstance(parts[0], int):  # a place in the text of a body that is no JSON
        return ""
    written = ""
    for part in parts:
        if isinstance(part, int):
            written += f"[{part}]"
        elif part != "[key]":
            written += f".{part}" if written else part
    return written.encode("utf-8", "replace").decode()


def _sentence(error: Mapping[str, Any]) -> str:
    sentence = _SENTENCES.get(error["type"])
    if sentence is None:
        return str(error["msg"]).replace("Input should", "This should").rstrip(".") + "."
    context = {key: str(value).replace("'", "") for key, value in (error.get("ctx") or {}).items()}
    try:
        return sentence.format(**context)
    except KeyError:
        return "This does not fit."
