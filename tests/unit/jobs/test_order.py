"""What a customer asks for: every wrong field is told, and what is right comes out complete."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.jobs.order import MAX_IDEMPOTENCY_KEY_CHARACTERS, Order, fingerprint, is_convex, read_order
from penstock.kit.errors import Problem
from penstock.product.schema import Product
from tests.support.flows import make_product

CORNERS = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]


def product() -> Product:
    operation = {
        "title": "Restore",
        "description": "Makes it new",
        "task": "restore",
        "inputs": {
            "picture": {"kind": "picture", "title": "Your photograph"},
            "wish": {"kind": "text", "title": "Your wish", "required": False, "max_characters": 10},
        },
        "options": {
            "grain": {"kind": "toggle", "title": "Take out the grain", "default": True},
            "strength": {"kind": "range", "title": "Strength", "min": 0.0, "max": 2.0, "default": 1.0},
            "size": {"kind": "range", "title": "Size", "min": 0.1, "max": 1.0, "step": 0.1},
            "style": {
                "kind": "choice",
                "title": "Style",
                "choices": [{"value": "warm", "title": "Warm"}, {"value": "cold", "title": "Cold"}],
            },
            "corners": {"kind": "corners", "title": "Corners"},
        },
        "price": 2,
        "route": ["main", "spare"],
    }
    return make_product(operations={"restore": operation})


PRODUCT = product()


def read(**changes: Any) -> Order:
    settings: dict[str, Any] = {
        "account_id": "acc_1",
        "plan": "paid",
        "visitor": False,
        "operation": "restore",
        "inputs": {"picture": "upl_1"},
        "options": {},
        "idempotency_key": None,
    }
    return read_order(PRODUCT, ["main"], **{**settings, **changes})


def wrong(**changes: Any) -> dict[str, str]:
    """Return what is said about each wrong field."""
    with pytest.raises(Problem) as caught:
        read(**changes)
    assert caught.value.code == "invalid_input"
    assert all(error.message in caught.value.detail for error in caught.value.errors)
    return {error.field: error.message for error in caught.value.errors}


def test_what_was_not_chosen_starts_where_the_file_says() -> None:
    assert read().options == {"grain": True, "strength": 1.0, "size": 0.1, "style": "warm"}
    assert read(options={"grain": False, "style": "cold"}).options == {
        "grain": False,
        "strength": 1.0,
        "size": 0.1,
        "style": "cold",
    }


def test_null_says_the_same_as_nothing() -> None:
    asked = read(inputs={"picture": "upl_1", "wish": None}, options={"grain": None, "corners": None})
    assert asked.inputs == {"picture": "upl_1"}
    assert asked.options == read().options


def test_a_plan_that_the_file_no_longer_has_is_the_default_plan() -> None:
    assert read(plan="paid").plan == "paid"
    assert read(plan="gone").plan == PRODUCT.default_plan


def test_an_unknown_operation_is_told_with_those_that_there_are() -> None:
    assert "restore" in wrong(operation="colourise")["operation"]


def test_an_operation_without_a_provider_is_unavailable() -> None:
    with pytest.raises(Problem) as caught:
        read_order(
            PRODUCT,
            ["other"],
            account_id="acc_1",
            plan="paid",
            visitor=False,
            operation="restore",
            inputs={"picture": "upl_1"},
            options={},
            idempotency_key=None,
        )
    assert caught.value.code == "unavailable"


@pytest.mark.parametrize(
    ("inputs", "field", "says"),
    [
        ({}, "inputs.picture", "missing"),
        ({"picture": None}, "inputs.picture", "missing"),
        ({"picture": 7}, "inputs.picture", "id of an upload"),
        ({"picture": ["upl_1"]}, "inputs.picture", "id of an upload"),
        ({"picture": "upl_1", "wish": ""}, "inputs.wish", "1 to 10 characters"),
        ({"picture": "upl_1", "wish": "x" * 11}, "inputs.wish", "1 to 10 characters"),
        ({"picture": "upl_1", "wish": 3}, "inputs.wish", "must be text"),
        ({"picture": "upl_1", "other": "x"}, "inputs.other", "no input"),
    ],
)
def test_a_wrong_input_is_told(inputs: dict[str, Any], field: str, says: str) -> None:
    assert says in wrong(inputs=inputs)[field]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("other", True, "no option"),
        ("grain", "yes", "true or false"),
        ("grain", 1, "true or false"),
        ("style", "hot", "warm, cold"),
        ("style", ["warm"], "warm, cold"),
        ("strength", 2.1, "from 0 to 2"),
        ("strength", -0.1, "from 0 to 2"),
        ("strength", True, "from 0 to 2"),
        ("strength", "1", "from 0 to 2"),
        ("strength", float("nan"), "from 0 to 2"),
        ("strength", float("inf"), "from 0 to 2"),
        ("size", 0.75, "from 0.1 in steps of 0.1"),
        ("size", 1.1, "from 0.1 to 1"),
        ("corners", "no", "four [x, y] pairs"),
        ("corners", CORNERS[:3], "four [x, y] pairs"),
        ("corners", [*CORNERS[:3], [0.1]], "four [x, y] pairs"),
        ("corners", [*CORNERS[:3], [0.1, 1.1]], "four [x, y] pairs"),
        ("corners", [*CORNERS[:3], [0.1, float("nan")]], "four [x, y] pairs"),
        ("corners", [*CORNERS[:3], [True, False]], "four [x, y] pairs"),
        ("corners", CORNERS[::-1], "clockwise"),
        ("corners", [CORNERS[0], CORNERS[2], CORNERS[1], CORNERS[3]], "clockwise"),
        ("corners", [[0.1, 0.1]] * 4, "clockwise"),
    ],
)
def test_a_wrong_option_is_told(name: str, value: object, says: str) -> None:
    assert says in wrong(options={name: value})[f"options.{name}"]


def test_right_options_are_taken_as_they_are() -> None:
    options = {"grain": False, "strength": 2, "size": 1, "style": "cold", "corners": CORNERS}
    assert read(options=options).options == options


def test_every_step_of_a_range_is_taken_also_where_decimals_are_not_exact() -> None:
    for tenths in range(1, 11):
        assert read(options={"size": tenths / 10}).options["size"] == tenths / 10
        assert read(options={"size": tenths * 0.1}).options["size"] == tenths * 0.1


@pytest.mark.parametrize("key", ["", "x" * (MAX_IDEMPOTENCY_KEY_CHARACTERS + 1)])
def test_a_wrong_key_is_told(key: str) -> None:
    assert "Idempotency-Key" in wrong(idempotency_key=key)


def test_every_wrong_field_is_told_at_once() -> None:
    fields = wrong(inputs={"wish": ""}, options={"grain": 3, "other": 1}, idempotency_key="")
    assert set(fields) == {"inputs.picture", "inputs.wish", "options.grain", "options.other", "Idempotency-Key"}


@given(st.permutations(list({"a": 1, "b": [1, 2], "c": None}.items())))
def test_the_fingerprint_knows_no_order_of_keys(items: list[tuple[str, Any]]) -> None:
    assert fingerprint("restore", dict(items), {}) == fingerprint("restore", {"c": None, "b": [1, 2], "a": 1}, {})


def test_the_fingerprint_tells_requests_apart() -> None:
    prints = {
        fingerprint("restore", {"a": "1"}, {}),
        fingerprint("restore", {}, {"a": "1"}),
        fingerprint("restore", {"a": "2"}, {}),
        fingerprint("colourise", {"a": "1"}, {}),
        fingerprint("restore", {"a": "\ud800"}, {}),
    }
    assert len(prints) == 5


@given(st.floats(0.3, 0.7), st.floats(0.3, 0.7), st.floats(0.05, 0.25), st.floats(0.05, 0.25), st.sampled_from([1, -1]))
def test_a_rectangle_is_convex_exactly_clockwise(x: float, y: float, half_x: float, half_y: float, turn: int) -> None:
    corners = [(x - half_x, y - half_y), (x + half_x, y - half_y), (x + half_x, y + half_y), (x - half_x, y + half_y)]
    assert is_convex(corners[::turn]) is (turn == 1)
