"""What a call cost: from what the vendor reports where the model's price is known, from the product file elsewhere."""

from typing import Any

import pytest

from penstock.product.schema_providers import Provider
from penstock.providers.prices import Bill, Tokens, bill_of, flat_bill, reported_bill, timed_bill
from penstock.providers.seam import ProviderError

SETTINGS = Provider(adapter="gemini", cost_usd="0.0336")


@pytest.mark.parametrize(
    ("vendor", "model", "tokens", "microdollars"),
    [
        # US dollars for a million: 1.50 in, 30 of pictures and 7.50 of words out
        ("google", "gemini-nano-banana-2.1", Tokens(100, 1_130, 0, 1_120), 150 + 33_600 + 75),
        ("google", "gemini-3-pro-image", Tokens(660, 1_120, 560, 1_120), 1_320 + 134_400),
        ("openai", "gpt-image-2.5-flare", Tokens(50, 4_160, 40, 4_160), 50 + 320 + 124_800),
        ("anthropic", "claude-haiku-5-5", Tokens(1_100, 100, cached=1_000), 10 + 10 + 50),
    ],
)
def test_tokens_of_a_known_model_are_computed(vendor: str, model: str, tokens: Tokens, microdollars: int) -> None:
    assert bill_of(vendor, model, tokens, SETTINGS) == Bill(microdollars, estimated=False, tokens=tokens.total)


def test_an_unknown_model_costs_what_the_file_says() -> None:
    assert bill_of("openai", "my-own-model", Tokens(10, 10), SETTINGS) == Bill(33_600, estimated=False, tokens=20)


def test_where_nothing_is_reported_it_is_an_estimate() -> None:
    assert bill_of("google", "gemini-nano-banana-2.1", None, SETTINGS) == Bill(33_600, estimated=True)


def test_figures_that_contradict_each_other_are_not_reckoned_with() -> None:
    assert bill_of("google", "gemini-nano-banana-2.1", Tokens(5, 10, 0, 99), SETTINGS).microdollars == 33_600


@pytest.mark.parametrize(
    ("said", "microdollars"),
    [(0.02, 20_000), (1, 1_000_000), (0, 0), ("0.02", None), (True, None), (-1, None), (None, None), (1e9, None)],
)
def test_a_price_that_the_vendor_names(said: Any, microdollars: int | None) -> None:
    assert reported_bill(said) == (None if microdollars is None else Bill(microdollars, estimated=False))


def test_time_is_money_where_the_file_says_how_much() -> None:
    timed = Provider(adapter="x", cost_usd="0.5", cost_usd_second="0.00116")
    assert timed_bill(timed, 2.5, whole=True) == Bill(2_900, estimated=False)
    assert timed_bill(timed, 2.5, whole=False) == Bill(2_900, estimated=True)
    assert timed_bill(timed, None, whole=True) == Bill(500_000, estimated=True)
    assert timed_bill(SETTINGS, 2.5, whole=True) == Bill(33_600, estimated=True)


def test_what_cannot_be_used_costs_the_same() -> None:
    with pytest.raises(ProviderError) as caught, Bill(7, estimated=True, tokens=3).attached():
        raise ProviderError("refused", "no")
    assert (caught.value.cost_microdollars, caught.value.cost_estimated, caught.value.tokens) == (7, True, 3)


def test_half_a_microdollar_is_rounded_up_and_nothing_is_lost_in_binary() -> None:
    assert flat_bill(Provider(adapter="x", cost_usd="0.000001")).microdollars == 1
    assert flat_bill(Provider(adapter="x", cost_usd="9999.999999")).microdollars == 9_999_999_999
