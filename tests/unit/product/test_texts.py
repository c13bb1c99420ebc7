"""The words of problems and failures, and how a product changes them."""

import re
from pathlib import Path
from typing import get_args

import pytest

from penstock.kit.errors import CODES, Action, FieldError, Problem
from penstock.product.loading import parse_product
from penstock.product.schema import Product
from penstock.product.texts import FAILURES, PAGE_KEYS, FailureKind, failure_text, known_keys, reword
from tests.unit.product.samples import changed

WEB_TEXTS = Path(__file__).parents[3] / "web" / "src" / "lib" / "texts.ts"


def product(*texts: str) -> Product:
    return parse_product(changed(('home_title = "Welcome"', "\n".join(texts))))


def test_a_problem_keeps_its_words_where_the_product_has_none() -> None:
    problem = Problem("busy", "Come back in a minute.", retry_after_s=60)
    same = reword(problem, product())
    assert (same.code, same.status, same.title, same.detail) == ("busy", 503, CODES["busy"][1], problem.detail)


def test_a_product_rewords_title_and_detail_and_nothing_else() -> None:
    problem = Problem(
        "insufficient_credits",
        "This costs 4 credits and you have 1.",
        actions=[Action("top_up", "Buy credits", "/plans")],
        errors=[FieldError("operation", "x")],
        retry_after_s=5,
    )
    own = product(
        '"error.insufficient_credits.title" = "Almost there"',
        '"error.insufficient_credits.detail" = "{detail} Top up and we go on."',
    )
    reworded = reword(problem, own)
    assert reworded is not problem
    assert (problem.title, problem.detail) == ("Not enough credits", "This costs 4 credits and you have 1.")
    assert reworded.title == "Almost there"
    assert reworded.detail == str(reworded) == "This costs 4 credits and you have 1. Top up and we go on."
    assert (reworded.code, reworded.status, reworded.retry_after_s) == (problem.code, problem.status, 5)
    assert (reworded.actions, reworded.errors) == (problem.actions, problem.errors)


def test_braces_in_what_happened_are_left_alone() -> None:
    own = product('"error.invalid_input.detail" = "Sorry {: {detail}"')
    assert reword(Problem("invalid_input", "Found {detail} in it."), own).detail == "Sorry {: Found {detail} in it."


@pytest.mark.parametrize("kind", get_args(FailureKind))
def test_every_failure_says_what_happened_that_credits_are_back_and_what_to_do(kind: FailureKind) -> None:
    text = failure_text(kind, product())
    assert text.code == kind
    assert text.title
    assert "Your credits are back" in text.detail
    assert "please" in text.detail
    assert text.actions
    assert not re.search(
        r"provider|timeout|http|api|server|exception|null|quota", f"{text.title} {text.detail}".casefold()
    )


def test_a_failure_is_reworded_and_takes_the_providers_message() -> None:
    own = product('"failure.refused.title" = "No"', '"failure.refused.detail" = "{detail} Try a landscape."')
    text = failure_text("refused", own, message="It shows a banknote.")
    assert (text.title, text.detail) == ("No", "It shows a banknote. Try a landscape.")
    assert failure_text("invalid", own, message="It is blank.").detail == "It is blank."


def test_every_kind_and_code_can_be_reworded() -> None:
    keys = known_keys()
    for code in CODES:
        assert {f"error.{code}.title", f"error.{code}.detail"} <= set(keys)
    for kind in FAILURES:
        assert {f"failure.{kind}.title", f"failure.{kind}.detail"} <= set(keys)
    assert len(keys) == len(set(keys))


def test_the_pages_words_are_those_that_the_web_app_knows() -> None:
    table = re.search(r"const DEFAULTS = \{(.*?)\n\} as const", WEB_TEXTS.read_text(encoding="utf-8"), re.DOTALL)
    assert table is not None
    assert set(re.findall(r"^  (\w+):", table[1], re.MULTILINE)) == PAGE_KEYS
