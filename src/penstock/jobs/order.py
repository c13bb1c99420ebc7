"""What a customer asks for, checked against the product file before anything is written. Pure."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from penstock.kit.errors import FieldError, Problem
from penstock.product.prices import price_of
from penstock.product.schema import Product
from penstock.product.schema_work import Input, Operation, Option, on_step

MAX_IDEMPOTENCY_KEY_CHARACTERS = 255


@dataclass(frozen=True)
class Order:
    """A checked request for one job."""

    account_id: str
    plan: str
    visitor: bool
    operation_id: str
    operation: Operation
    inputs: Mapping[str, Any]
    options: Mapping[str, Any]
    idempotency_key: str | None
    fingerprint: str

    @property
    def price(self) -> int:
        """What the work costs with these options, in credits."""
        return price_of(self.operation, self.options)


def read_order(  # noqa: PLR0913 - these are the parts of one request
    product: Product,
    usable: Collection[str],
    *,
    account_id: str,
    plan: str,
    visitor: bool,
    operation: str,
    inputs: Mapping[str, Any],
    options: Mapping[str, Any],
    idempotency_key: str | None,
) -> Order:
    """Check a request. Errors: `invalid_input` with every wrong field, `unavailable` for an operation that is off."""
    chosen = product.operations.get(operation)
    if chosen is None:
        known = ", ".join(product.operations)
        raise _invalid([FieldError("operation", f"There is no operation “{operation}”. There are: {known}.")])
    if not any(name in usable for name in chosen.providers):
        raise Problem("unavailable", f"{chosen.title} is not available at the moment. Nothing was charged.")
    errors = [*_input_errors(chosen, inputs), *_option_errors(chosen, options), *_key_errors(idempotency_key)]
    if errors:
        raise _invalid(errors)
    return Order(
        account_id=account_id,
        plan=plan if plan in product.plans else product.default_plan,  # one that the file no longer has
        visitor=visitor,
        operation_id=operation,
        operation=chosen,
        inputs=_given(inputs),
        options={**_defaults(chosen), **_given(options)},
        idempotency_key=idempotency_key,
        fingerprint=fingerprint(operation, inputs, options),
    )


def fingerprint(operation: str, inputs: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """Return a SHA-256 over what was asked, equal for equal requests whatever the order of their keys."""
    text = json.dumps([operation, inputs, options], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _invalid(errors: list[FieldError]) -> Problem:
    return Problem("invalid_input", " ".join(error.message for error in errors), errors=errors)


def _key_errors(key: str | None) -> list[FieldError]:
    if key is not None and not 1 <= len(key) <= MAX_IDEMPOTENCY_KEY_CHARACTERS:
        message = f"The header has 1 to {MAX_IDEMPOTENCY_KEY_CHARACTERS} characters."
        return [FieldError("Idempotency-Key", message)]
    return []


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was really given: `null` says the same as nothing."""
    return {name: value for name, value in values.items() if value is not None}


def _defaults(operation: Operation) -> dict[str, Any]:
    return {name: option.start for name, option in operation.options.items() if option.start is not None}


def _input_errors(operation: Operation, inputs: Mapping[str, Any]) -> list[FieldError]:
    errors = [
        FieldError(f"inputs.{name}", f"{operation.title} has no input “{name}”.")
        for name in inputs
        if name not in operation.inputs
    ]
    for name, wanted in operation.inputs.items():
        if (message := _input_error(wanted, inputs.get(name))) is not None:
            errors.append(FieldError(f"inputs.{name}", message))
    return errors


def _input_error(wanted: Input, value: object) -> str | None:
    if value is None:
        return f"“{wanted.title}” is missing." if wanted.required else None
    if not isinstance(value, str):
        return f"“{wanted.title}” must be text" + (" (the id of an upload)." if wanted.kind == "picture" else ".")
    if wanted.kind == "text" and not 1 <= len(value) <= wanted.max_characters:
        return f"“{wanted.title}” has 1 to {wanted.max_characters} characters."
    return None


def _option_errors(operation: Operation, options: Mapping[str, Any]) -> list[FieldError]:
    errors = []
    for name, value in options.items():
        option = operation.options.get(name)
        if option is None:
            errors.append(FieldError(f"options.{name}", f"{operation.title} has no option “{name}”."))
        elif value is not None and (message := _option_error(option, value)) is not None:
            errors.append(FieldError(f"options.{name}", message))
    return errors


def _option_error(option: Option, value: object) -> str | None:
    match option.kind:
        case "toggle":
            return None if isinstance(value, bool) else f"“{option.title}” is true or false."
        case "choice":
            allowed = [choice.value for choice in option.choices]
            return None if value in allowed else f"“{option.title}” is one of: {', '.join(allowed)}."
        case "range":
            return _range_error(option, value)
        case "corners":
            return _corners_error(option, value)


def _range_error(option: Option, value: object) -> str | None:
    low, high = option.min or 0.0, 1.0 if option.max is None else option.max
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not low <= float(str(value)) <= high:
        return f"“{option.title}” is from {low:g} to {high:g}."
    if option.step is not None and not on_step(float(str(value)), low, option.step):
        return f"“{option.title}” goes from {low:g} in steps of {option.step:g}."
    return None


def _corners_error(option: Option, value: object) -> str | None:
    points = value if isinstance(value, list) else []
    good = len(points) == 4 and all(_is_point(point) for point in points)
    if not good:
        return f"“{option.title}” is four [x, y] pairs from 0 to 1, clockwise from the top left."
    if not is_convex([(float(x), float(y)) for x, y in points]):
        return f"“{option.title}” must go clockwise around a shape that bends outwards at every corner."
    return None


def _is_point(point: object) -> bool:
    return (
        isinstance(point, list)
        and len(point) == 2
        and all(isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1 for value in point)
    )


def is_convex(points: list[tuple[float, float]]) -> bool:
    """Return whether four corners turn the same way, clockwise on a screen, at each of them."""
    turns = []
    for at in range(4):
        (ax, ay), (bx, by), (cx, cy) = (points[(at + step) % 4] for step in range(3))
        turns.append((bx - ax) * (cy - by) - (by - ay) * (cx - bx))
    return all(turn > 1e-6 for turn in turns)
