"""Shapes that no maker means: every check meets every kind of value without falling over."""

import copy
import tomllib
from typing import Any

import pytest

from penstock.product.checks_offer import offer_complaints
from penstock.product.checks_work import work_complaints
from penstock.product.loading import parse_product
from penstock.product.mistakes import dotted
from penstock.product.positions import KeyPath
from penstock.product.schema import Product
from penstock.product.schema_work import Option
from penstock.product.structure import as_toml, name_like, read_structure
from tests.unit.product.samples import SAMPLE, changed

STRANGERS: list[Any] = [
    5,
    -1,
    1.5,
    float("inf"),
    True,
    "x",
    "",
    [],
    [[]],
    [1, "a"],
    {},
    {"a": 1},
    {"a": {"b": []}},
    None,
]


def places(value: Any, path: KeyPath = ()) -> list[KeyPath]:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, inner in entries for place in places(inner, (*path, key)))]


PLACES = places(tomllib.loads(SAMPLE))[1:]


@pytest.mark.parametrize("place", PLACES, ids=dotted)
def test_any_value_anywhere_is_right_or_a_complaint(place: KeyPath) -> None:
    for stranger in STRANGERS:
        document = tomllib.loads(SAMPLE)
        inner: Any = document
        for part in place[:-1]:
            inner = inner[part]
        inner[place[-1]] = copy.deepcopy(stranger)
        found = read_structure(document, "v")
        others = [*work_complaints(document), *offer_complaints(document)]
        complaints = others if isinstance(found, Product) else [*found, *others]
        for complaint in complaints:
            assert complaint.path
            assert complaint.reason
            assert not complaint.reason.endswith(".")
            assert "something else" not in complaint.reason


def test_values_are_taken_as_written() -> None:
    product = read_structure(tomllib.loads(SAMPLE), "v1")
    assert isinstance(product, Product)
    assert product.version == "v1"
    assert product.default_plan == "free"
    assert product.operations["restore"].route == ("local", "gemini")


@pytest.mark.parametrize(
    ("option", "start"),
    [
        (Option(kind="choice", title="t", choices=({"value": "a", "title": "A"},)), "a"),  # type: ignore[arg-type]
        (Option(kind="toggle", title="t"), False),
        (Option(kind="range", title="t", min=2, max=4), 2),
        (Option(kind="range", title="t", min=2, max=4, default=3), 3),
        (Option(kind="corners", title="t"), None),
    ],
)
def test_an_option_that_nobody_touched_has_a_value(option: Option, start: object) -> None:
    assert option.start == start


def test_examples_are_written_as_toml() -> None:
    value = {"a": [1, True, "é"], "b": {"c": 1.5}}
    assert tomllib.loads(f"x = {as_toml(value)}")["x"] == value


@pytest.mark.parametrize(
    ("text", "name"), [("My Photos!", "my_photos"), ("2 cats", "cats"), ("é", ""), ("a" * 50, "a" * 40)]
)
def test_names_are_made_from_free_text(text: str, name: str) -> None:
    assert name_like(text) == name


def test_a_route_may_say_more_of_a_provider_than_its_name() -> None:
    leg = '{ provider = "gemini", weight = 3, max_cost_usd = "0.05" }, { provider = "other", weight = 1 }'
    other = '[providers.other]\nadapter = "local"\n\n[providers.local]'
    product = parse_product(changed(('["local", "gemini"]', f'["local", {leg}]'), ("[providers.local]", other)))
    operation = product.operations["restore"]
    assert operation.providers == ("local", "gemini", "other")
    assert [(leg.provider, leg.weight, leg.max_cost_usd) for leg in operation.legs] == [
        ("local", None, None),
        ("gemini", 3, "0.05"),
        ("other", 1, None),
    ]
