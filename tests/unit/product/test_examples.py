"""The product files that come along: right, as promised, and readable."""

import tomllib
from pathlib import Path

import pytest

from penstock.product.availability import availability
from penstock.product.loading import load_product, parse_product
from penstock.product.mistakes import ProductFileError
from penstock.product.schema import Product
from penstock.product.templates import EXAMPLES, TEMPLATES, from_template

EXAMPLE = Path(__file__).parents[3] / "examples" / "rekindle.toml"


@pytest.fixture(scope="module")
def rekindle() -> Product:
    return load_product(EXAMPLE, {}).product


def test_rekindle_is_readable() -> None:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 140
    assert max(map(len, lines)) <= 120


def test_rekindle_has_no_warnings_and_says_what_is_off() -> None:
    notes = load_product(EXAMPLE, {}).notes
    assert {note.kind for note in notes} == {"off"}
    assert [note.key for note in notes] == [
        "providers.gemini",
        "operations.colourise",
        "operations.restore_colourise",
        "payments",
    ]
    assert "GEMINI_API_KEY" in notes[0].render("f")


def test_rekindles_prices_are_the_promised_ones(rekindle: Product) -> None:
    prices = {name: operation.price for name, operation in rekindle.operations.items()}
    assert prices == {"restore": 2, "colourise": 3, "restore_colourise": 4, "perspective": 1, "colouring_page": 2}
    monthly = {name: plan.credits_month for name, plan in rekindle.plans.items()}
    assert monthly == {"free": 3, "remember": 25, "cherish": 60, "forever": 150}
    topups = {(topup.credits, topup.price_usd) for topup in rekindle.topups.values()}
    assert topups == {(10, "4.99"), (30, "12.99"), (100, "39.99")}


def test_rekindles_plans_are_the_promised_ones(rekindle: Product) -> None:
    free = rekindle.plans["free"]
    assert rekindle.default_plan == "free"
    assert (free.resolution, free.watermark, free.keep_days) == ("480p", True, 7)
    assert (free.limits.jobs_per_day, free.limits.running) == (10, 1)
    paid = [plan for name, plan in rekindle.plans.items() if name != "free"]
    assert {(plan.resolution, plan.watermark, plan.keep_days) for plan in paid} == {("720p", False, None)}
    assert all(free.head_start_s < plan.head_start_s for plan in paid)
    assert max(paid, key=lambda plan: plan.head_start_s) is rekindle.plans["forever"]
    rates = [float(plan.price_usd_month or 0) / plan.credits_month for plan in paid]
    assert rates == sorted(rates, reverse=True)


def test_rekindle_is_honest(rekindle: Product) -> None:
    assert all(operation.limitations for operation in rekindle.operations.values())
    for name in ("colourise", "restore_colourise"):
        assert "outside picture service" in str(rekindle.operations[name].limitations)
    assert set(rekindle.operations["restore"].options) == {"corners", "scratches", "grain", "tone"}


@pytest.mark.parametrize(("name", "on"), [("coloringbook", {"photo"}), ("imagine", {"animate", "lines"})], ids=str)
def test_the_other_examples_are_right_readable_and_work_without_a_key(name: str, on: set[str]) -> None:
    path = EXAMPLE.with_name(f"{name}.toml")
    loaded = load_product(path, {})
    assert {note.kind for note in loaded.notes} == {"off"}
    states = availability(loaded.product, {}).operations
    assert {each for each, state in states.items() if state.available} == on
    assert all(operation.limitations for operation in loaded.product.operations.values())
    assert max(map(len, path.read_text(encoding="utf-8").splitlines())) <= 120


def test_coloringbook_gives_three_pages_and_takes_five_dollars() -> None:
    product = load_product(EXAMPLE.with_name("coloringbook.toml"), {}).product
    assert {operation.price for operation in product.operations.values()} == {50}
    assert product.sign_in.gift_credits == 3 * 50
    assert product.payments.amount is not None
    assert product.payments.amount.min_usd == "5.00"
    assert [product.worth(amount) for amount in (50, 123_456, -5)] == ["$0.50", "$1,234.56", "-$0.05"]


def test_a_free_amount_must_be_able_to_bring_whole_credits(tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    path = tmp_path / "slip.toml"
    path.write_text(text.replace('min_usd = "5.00", max_usd = "200.00"', 'min_usd = "5.10", max_usd = "5.40"'))
    with pytest.raises(ProductFileError) as caught:
        load_product(path, {})
    assert ["steps of $0.50" in mistake.render("f") for mistake in caught.value.mistakes] == [True]


def test_without_their_extra_videos_are_off_and_say_how_to_switch_them_on() -> None:
    product = load_product(EXAMPLE.with_name("imagine.toml"), {}).product
    state = availability(product, {}, videos=False).operations["animate"]
    assert not state.available
    assert "penstock[video]" in str(state.reason)


def test_tiers_that_do_not_fit_are_told(tmp_path: Path) -> None:
    text = EXAMPLE.with_name("imagine.toml").read_text(encoding="utf-8")
    slips = {
        'anonymous_plan = "visitor"': ('anonymous_plan = "visitors"', 'Did you mean "visitor"?'),
        'plan = "donor"': ('plan = "free"', "is a plan that others have, too"),
        'min_usd = "3.00"': ('min_usd = "600.00"', "is more than max_usd"),
        '"25.00"]': ('"2.00"]', "is not from 3.00 to 500.00"),
        "anonymous = true": ("anonymous = false", "is for visitors, and the product takes none"),
        "keep_days = 30\n": ("keep_days = 30\ncredits_month = 3\n", "donors would lose"),
        "keep_days = 365\n": ("keep_days = 365\ncredits_month = 3\n", "has a price or credits"),
    }
    for right, (wrong, told) in slips.items():
        path = tmp_path / "slip.toml"
        path.write_text(text.replace(right, wrong, 1), encoding="utf-8")
        with pytest.raises(ProductFileError) as caught:
            load_product(path, {})
        assert told in "\n".join(mistake.render("f") for mistake in caught.value.mistakes), wrong


@pytest.mark.parametrize("template", TEMPLATES)
def test_templates_are_right_and_name_their_schema(template: str, tmp_path: Path) -> None:
    text = from_template(template, "my_photos")
    path = tmp_path / "my_photos.toml"
    path.write_text(text, encoding="utf-8")
    loaded = load_product(path, {})
    assert (loaded.product.name, loaded.product.brand.title) == ("my_photos", "My photos")
    assert not [note for note in loaded.notes if note.kind == "warning"]
    assert text.startswith("#:schema ./penstock.schema.json\n")
    assert "@" not in text


@pytest.mark.parametrize("example", EXAMPLES)
def test_a_template_from_an_example_differs_from_it_by_its_name_alone(example: str, tmp_path: Path) -> None:
    path = tmp_path / "my_photos.toml"
    text = from_template(example, "my_photos")
    path.write_text(text, encoding="utf-8")
    original = load_product(EXAMPLE.with_name(f"{example}.toml"), {}).product
    begun = load_product(path, {}).product
    assert (begun.operations, begun.plans) == (original.operations, original.plans)
    assert (begun.payments, begun.providers) == (original.payments, original.providers)
    assert "examples/" not in text
    assert original.brand.title not in text


def test_a_wheel_brings_every_example_along() -> None:
    settings = tomllib.loads((EXAMPLE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    brought = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert {Path(each).stem for each in brought} == set(EXAMPLES)
    assert EXAMPLES.keys() == {path.stem for path in EXAMPLE.parent.glob("*.toml")}
    assert all(to == f"penstock/product/templates/{Path(each).name}" for each, to in brought.items())


def test_no_template_and_no_name_say_what_to_write() -> None:
    with pytest.raises(ValueError, match='Did you mean "picture"'):
        from_template("pictures", "x")
    with pytest.raises(ValueError, match="penstock init my_photos"):
        from_template("picture", "My Photos")
    assert parse_product(from_template("minimal", "x")).name == "x"
