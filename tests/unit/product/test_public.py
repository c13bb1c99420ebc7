"""What anybody may read of a product, and that nothing else of it gets out."""

import json
from pathlib import Path
from typing import Any

from penstock.product.loading import load_product
from penstock.product.public import media_types, public
from tests.unit.product.samples import changed, load

EXAMPLE = Path(__file__).parents[3] / "examples" / "rekindle.toml"
SECRETS = {"GEMINI_API_KEY": "AIza-very-secret", "PENSTOCK_SECRET": "s" * 40, "OTHER": "another-secret"}


def by_id(entries: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {entry["id"]: entry for entry in entries}


def test_the_answer_has_the_shape_that_clients_rely_on() -> None:
    product = load_product(EXAMPLE, {}).product
    answer = public(product, {})
    assert json.loads(json.dumps(answer)) == answer
    assert list(answer) == [
        *("name", "version", "brand", "texts", "operations", "plans", "topups", "sign_in", "donations", "uploads"),
    ]
    assert answer["version"] == product.version
    restore = by_id(answer["operations"])["restore"]
    assert restore["available"] is True
    assert restore["unavailable_reason"] is None
    assert restore["price"] == {"credits": 2, "varies": False, "table": None}
    assert restore["output"] == {"kind": "picture"}
    assert restore["inputs"] == [{"id": "picture", "kind": "picture", "title": "Your photograph", "required": True}]
    options = by_id(restore["options"])
    assert options["scratches"]["choices"][0] == {"value": "auto", "title": "Where there are many"}
    assert (options["tone"]["min"], options["tone"]["max"], options["tone"]["step"]) == (0, 1, 0.05)
    assert options["corners"]["default"] is None
    assert answer["topups"][0] == {"id": "small", "credits": 10, "price_usd": "4.99"}
    terms = {"methods": ["password"], "anonymous": True, "anonymous_plan": None, "gift_credits": 0, "openid": []}
    assert answer["sign_in"] == terms
    assert answer["donations"] is None
    assert answer["uploads"]["max_bytes"] == 50_000_000
    assert answer["uploads"]["media_types"] == list(media_types())
    assert by_id(answer["plans"])["free"]["limits"] == {"running": 1, "jobs_per_hour": None, "jobs_per_day": 10}
    assert by_id(answer["plans"])["free"]["price_usd_month"] is None


def test_an_operation_that_is_off_says_so_in_the_products_words(tmp_path: Path) -> None:
    answer = public(load(tmp_path, changed()).product, {})
    colourise = by_id(answer["operations"])["colourise"]
    assert colourise["available"] is False
    assert colourise["unavailable_reason"] == "This is not switched on here yet."
    own = changed(('home_title = "Welcome"', '"operation.unavailable" = "Soon."'))
    assert by_id(public(load(tmp_path, own).product, {})["operations"])["colourise"]["unavailable_reason"] == "Soon."


def test_nothing_private_is_public(tmp_path: Path) -> None:
    text = changed(
        (
            'model = "gemini-nano-banana-2.1"',
            'base_url = "https://inner.example/x"\nmodel = "m-77"',
        ),
        ("timeout_s = 120", 'timeout_s = 123\nprompt = "a private prompt"'),
        ('adapter = "local"', 'adapter = "local"\nconcurrency = 77'),
        ('model = "m-77"', 'model = "m-77"\ncost_usd = "0.0336"'),
    )
    written = json.dumps(public(load(tmp_path, text, SECRETS).product, SECRETS)).casefold()
    private = [
        *SECRETS,
        *SECRETS.values(),
        *("inner.example", "m-77", "private prompt", "colourise this", "0.0336", "gemini", "local", "api_key", "_env"),
        *("route", "provider", "adapter", "prompt", "cost", "concurrency", "timeout", "123", "77", "task"),
        *("head_start", "spacing", "attempts", "workers", "secret"),
    ]
    for word in private:
        assert word.casefold() not in written, word


def test_heic_is_offered_only_where_it_can_be_read() -> None:
    assert media_types()[:3] == ("image/jpeg", "image/png", "image/webp")
    try:
        import pillow_heif  # noqa: F401, PLC0415 - an extra
    except ImportError:
        assert "image/heic" not in media_types()
    else:
        assert "image/heic" in media_types()
