"""What an operation costs with what the customer has set."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.product.prices import least_price, most_price, price_of, varies
from penstock.product.public import public
from penstock.product.schema_work import Operation
from tests.unit.product.samples import changed, load

OPTIONS = {
    "seconds": {"kind": "range", "title": "Seconds", "min": 2, "max": 8, "default": 5},
    "quality": {
        "kind": "choice",
        "title": "Quality",
        "choices": [{"value": "draft", "title": "Draft"}, {"value": "fine", "title": "Fine"}],
    },
    "sound": {"kind": "toggle", "title": "Sound", "default": True},
}


def operation(price: Any) -> Operation:
    return Operation.model_validate(
        {
            "title": "Film", "description": "A film", "task": "animate", "output": "video", "price": price,
            "route": ["local"], "options": OPTIONS, "inputs": {"picture": {"kind": "picture", "title": "Picture"}},
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("price", "options", "credits_"),
    [
        (3, {"seconds": 8}, 3),
        ({"base": 2}, {}, 2),
        ({"base": 2, "per": {"seconds": 1}}, {}, 7),
        ({"base": 2, "per": {"seconds": 1}}, {"seconds": 2.25}, 5),
        ({"base": 0, "per": {"seconds": 0.1}}, {"seconds": 3}, 1),
        ({"base": 0, "per": {"seconds": 1.1}}, {"seconds": 3}, 4),
        ({"base": 0, "per": {"seconds": 0.7}}, {"seconds": 10 * 0.7}, 5),
        ({"base": 1, "by": {"quality": {"draft": 0, "fine": 3}}}, {}, 1),
        ({"base": 1, "by": {"quality": {"draft": 0, "fine": 3}}}, {"quality": "fine"}, 4),
        ({"base": 1, "by": {"sound": {"true": 2, "false": 0}}}, {}, 3),
        ({"base": 1, "by": {"sound": {"true": 2, "false": 0}}}, {"sound": False}, 1),
    ],
)
def test_the_price_follows_from_the_options(price: Any, options: dict[str, Any], credits_: int) -> None:
    assert price_of(operation(price), options) == credits_


@given(
    base=st.integers(0, 50),
    rate=st.floats(0, 20),
    surcharges=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    seconds=st.floats(2, 8),
    quality=st.sampled_from(["draft", "fine"]),
)
def test_a_price_is_never_outside_what_was_told(
    base: int, rate: float, surcharges: tuple[int, int], seconds: float, quality: str
) -> None:
    by = {"quality": dict(zip(["draft", "fine"], surcharges, strict=True))}
    made = operation({"base": base, "per": {"seconds": rate}, "by": by})
    price = price_of(made, {"seconds": seconds, "quality": quality})
    assert base <= least_price(made) <= price <= most_price(made)
    assert price_of(made, {"seconds": 8, "quality": quality}) >= price
    assert varies(made) is (least_price(made) < most_price(made))


def test_the_public_price_is_the_lowest_with_what_it_is_made_of(tmp_path: Path) -> None:
    table = "price = { base = 2, per = { tone = 3 }, by = { grain = { true = 1, false = 0 } } }"
    [shown] = [
        each for each in public(load(tmp_path, changed(("price = 2", table))).product, {})["operations"]
        if each["id"] == "restore"
    ]  # fmt: skip
    assert shown["price"] == {
        "credits": 2,
        "varies": True,
        "table": {"base": 2, "per": {"tone": 3.0}, "by": {"grain": {"true": 1, "false": 0}}},
    }


def test_a_price_that_nobody_can_pay_at_once_is_a_warning(tmp_path: Path) -> None:
    text = changed(("price = 2", "price = { base = 2, per = { tone = 24 } }"))
    [note] = [each for each in load(tmp_path, text).notes if each.kind == "warning"]
    assert "costs up to 26 credits" in note.render("rekindle.toml")
