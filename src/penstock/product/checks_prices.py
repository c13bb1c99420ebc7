"""Prices that depend on options: each must name options that there are, every value of them, and stay in bounds.

Part of the checks of the work (`checks_work.py`): it reads the document as written, and skips what is not of its shape.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from penstock.product.mistakes import Complaint, did_you_mean, listed
from penstock.product.positions import KeyPath
from penstock.product.schema_work import MAX_PRICE_CREDITS

Options = Mapping[str, dict[str, Any]]
_PARTS = {"per": ("range",), "by": ("choice", "toggle")}


def price_complaints(path: KeyPath, operation: Mapping[str, Any], options: Options) -> Iterator[Complaint]:
    """Yield what does not fit between the price of an operation and its options."""
    price = operation.get("price")
    if not isinstance(price, dict):
        return
    found = [*_unfit(path, price, options)]
    yield from found
    if not found and (most := _most(price, options)) > MAX_PRICE_CREDITS:
        reason = f"comes to {most:,} credits at most, but may be {MAX_PRICE_CREDITS:,} at most"
        yield Complaint(path, reason, "Lower it, or the bounds of the options that it depends on.")


def _unfit(path: KeyPath, price: Mapping[str, Any], options: Options) -> Iterator[Complaint]:
    for part, kinds in _PARTS.items():
        for name, added in _entries(price.get(part)):
            place, option = (*path, part, name), options.get(name)
            if option is None:
                fitting = [known for known, each in options.items() if each.get("kind") in kinds]
                otherwise = (
                    f"It can take {listed(fitting)}." if fitting else f"Add an option of kind {listed(kinds, 'or')}."
                )
                yield Complaint(place, f'there is no option "{name}"', did_you_mean(name, fitting, otherwise=otherwise))
            elif option.get("kind") not in kinds:
                yield Complaint(place, f"is for options of kind {listed(kinds, 'or')}", _other_part(option, part))
            elif part == "per":
                yield from _below_nothing(place, option)
            else:
                yield from _values(place, added, _known(option))


def _other_part(option: Mapping[str, Any], part: str) -> str | None:
    fits = next((other for other, kinds in _PARTS.items() if option.get("kind") in kinds and other != part), None)
    return "Take it out." if fits is None else f"Write it in `{fits}`."


def _below_nothing(place: KeyPath, option: Mapping[str, Any]) -> Iterator[Complaint]:
    low = option.get("min")
    if isinstance(low, int | float) and low < 0:
        yield Complaint(place, f"a price is never negative, and the option begins at {low:g}", "Let it begin at 0.")


def _values(place: KeyPath, added: object, known: list[str]) -> Iterator[Complaint]:
    """Yield the values that are charged and don't exist, and those that exist and are not in the table."""
    given = [name for name, _ in _entries(added)]
    for value in given:
        if known and value not in known:
            otherwise = f"Its values are {listed(known)}."
            yield Complaint(
                (*place, value), "is no value of the option", did_you_mean(value, known, otherwise=otherwise)
            )
    missing = [value for value in known if value not in given]
    if missing and isinstance(added, dict):
        yield Complaint(place, f"says nothing of {listed(missing)}", f"For example: {missing[0]} = 0")


def _known(option: Mapping[str, Any]) -> list[str]:
    if option.get("kind") == "toggle":
        return ["true", "false"]
    choices = option.get("choices")
    values = (
        [choice.get("value") for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []
    )
    return [value for value in values if isinstance(value, str)]


def _most(price: Mapping[str, Any], options: Options) -> int:
    """Return the highest price that options can come to, in credits; what is no number has been said and counts 0."""
    sizes = sum(_number(rate) * _number(options[name].get("max")) for name, rate in _entries(price.get("per")))
    values = sum(
        max((_number(each) for _, each in _entries(added)), default=0) for _, added in _entries(price.get("by"))
    )
    return math.ceil(_number(price.get("base")) + sizes + values)


def _number(value: object) -> float:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(str(value)) if fits else 0.0


def _entries(value: object) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else []
