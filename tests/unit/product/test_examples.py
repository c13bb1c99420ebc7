"""The product files that come along: right, as promised, and readable."""

from pathlib import Path

import pytest

from penstock.product.loading import load_product, parse_product
from penstock.product.schema import Product
from penstock.product.templates import TEMPLATES, from_template

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


def test_no_template_and_no_name_say_what_to_write() -> None:
    with pytest.raises(ValueError, match='Did you mean "picture"'):
        from_template("pictures", "x")
    with pytest.raises(ValueError, match="penstock init my_photos"):
        from_template("picture", "My Photos")
    assert parse_product(from_template("minimal", "x")).name == "x"
