"""What an operation costs with what the customer has set: the one place where a price in credits is computed. Pure.

A price is a whole number, or a table: a base, so much per unit of a range, so much for a value of a choice or toggle.
Nothing in a table is below 0 (`schema_work`), and `checks_prices` holds it against the options that there are.
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from penstock.product.schema_work import Operation, Option, PriceTable


def price_of(operation: Operation, options: Mapping[str, Any]) -> int:
    """Return what a result costs with these options, in credits; an option that is left out counts as it starts.

    What is charged per unit is added up and rounded up once, in exact arithmetic: 0.1 per second makes 3 s cost 1.
    """
    table = operation.price
    if isinstance(table, int):
        return table
    values = {name: option.start for name, option in operation.options.items()} | dict(options)
    sizes = sum((Fraction(str(rate)) * Fraction(str(values[name])) for name, rate in table.per.items()), Fraction())
    return table.base + math.ceil(sizes) + sum(each[value_key(values[name])] for name, each in table.by.items())


def least_price(operation: Operation) -> int:
    """Return what the cheapest result costs, in credits: shown as "from"."""
    return price_of(operation, _options_at(operation, dearest=False))


def most_price(operation: Operation) -> int:
    """Return what the dearest result costs, in credits."""
    return price_of(operation, _options_at(operation, dearest=True))


def varies(operation: Operation) -> bool:
    """Return whether what the customer sets changes the price."""
    return least_price(operation) != most_price(operation)


def value_key(value: object) -> str:
    """Return how a value is called in `by`: a choice by its value, a toggle `true` or `false`."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _options_at(operation: Operation, *, dearest: bool) -> dict[str, Any]:
    """Return the values of the options on which a price depends, those of the lowest or of the highest price."""
    table = operation.price
    if isinstance(table, int):
        return {}
    ends: dict[str, Any] = {name: _end(operation.options[name], high=dearest) for name in table.per}
    pick = max if dearest else min
    return ends | {name: pick(each, key=each.__getitem__) for name, each in table.by.items()}


def _end(option: Option, *, high: bool) -> float:
    end = option.max if high else option.min
    return 0.0 if end is None else end


def table_of(operation: Operation) -> PriceTable | None:
    """Return the table of a price that is one."""
    return None if isinstance(operation.price, int) else operation.price
