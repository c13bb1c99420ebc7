"""The route: who is asked next, who is left alone for a while, and what a try comes to when nobody is left."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.providers.route import (
    BREAKER_FAILURES,
    BREAKER_OPEN_S,
    COUNTS_AGAINST,
    FAILS_OVER,
    RETRIED,
    Breaker,
    Choice,
    choose,
    nothing_left,
)
from penstock.providers.seam import FAILURE_KINDS, FailureKind, ProviderError

NOW = 1_800_000_000.0
ROUTE = ["first", "second", "third"]
KINDS: list[FailureKind] = list(get_args(FailureKind))


def failing(times: int, kind: FailureKind = "transient") -> Breaker:
    breaker = Breaker()
    for _ in range(times):
        breaker = breaker.after_failure(kind, NOW)
    return breaker


def chosen(**changes: object) -> Choice:
    settings: dict[str, object] = {"usable": ROUTE, "failed": [], "breakers": {}, "now": NOW, **changes}
    return choose(ROUTE, **settings)  # type: ignore[arg-type]


def test_the_first_of_the_route_is_asked() -> None:
    assert chosen() == Choice("first", {})


def test_who_is_off_or_has_failed_is_passed_over_and_it_is_said_why() -> None:
    choice = chosen(usable=["second", "third"], failed=["second"])
    assert choice == Choice("third", {"first": "off", "second": "failed in this try"})


def test_nobody_is_left() -> None:
    choice = chosen(usable=[])
    assert choice.provider is None
    assert set(choice.skipped) == set(ROUTE)
    assert choice.again_at is None


def test_a_breaker_opens_after_failures_in_a_row() -> None:
    assert chosen(breakers={"first": failing(BREAKER_FAILURES - 1)}).provider == "first"
    breakers = {"first": failing(BREAKER_FAILURES)}
    assert chosen(breakers=breakers).provider == "second"
    assert chosen(breakers=breakers, now=NOW + BREAKER_OPEN_S - 0.001).provider == "second"
    assert chosen(breakers=breakers, now=NOW + BREAKER_OPEN_S).provider == "first"


def test_used_up_credit_opens_it_at_once() -> None:
    assert chosen(breakers={"first": failing(1, "exhausted")}).provider == "second"


@pytest.mark.parametrize("kind", sorted(set(KINDS) - COUNTS_AGAINST))
def test_what_says_nothing_about_the_provider_never_opens_it(kind: FailureKind) -> None:
    assert failing(100, kind) == Breaker()


@pytest.mark.parametrize("opened", [failing(BREAKER_FAILURES), failing(1, "exhausted")])
def test_after_the_pause_one_call_is_let_through(opened: Breaker) -> None:
    later = NOW + BREAKER_OPEN_S
    trying = opened.half_open(later)
    assert chosen(breakers={"first": opened}, now=later).provider == "first"
    assert chosen(breakers={"first": trying}, now=later).provider == "second", "until it is known how that went"
    assert chosen(breakers={"first": trying}, now=later + BREAKER_OPEN_S).provider == "first"


def test_a_breaker_that_never_opened_lets_everybody_through() -> None:
    few = failing(BREAKER_FAILURES - 1)
    assert few.half_open(NOW) == few


def test_a_failure_at_the_trial_call_opens_it_again() -> None:
    later = NOW + BREAKER_OPEN_S
    again = failing(BREAKER_FAILURES).half_open(later).after_failure("transient", later + 1)
    assert again.open_until == later + 1 + BREAKER_OPEN_S


def test_it_is_said_when_the_first_of_those_that_pause_comes_back() -> None:
    soon, late = Breaker(9, NOW + 5), Breaker(9, NOW + 9)
    assert chosen(breakers={"first": late, "second": soon, "third": late}).again_at == NOW + 5


def error(kind: FailureKind, detail: str = "") -> ProviderError:
    return ProviderError(kind, detail)


PAUSING = Choice(None, {"first": "failed repeatedly; pausing"}, NOW + 5)
OFF = Choice(None, {"first": "off"})


def test_what_time_may_mend_goes_before_what_it_cannot() -> None:
    failed = [error("transient", "a"), error("limited", "b"), error("broken", "c")]
    assert nothing_left(failed, OFF).detail == "b"
    assert nothing_left([error("exhausted", "a"), error("broken", "b")], OFF).detail == "b"


def test_waiting_for_a_pause_to_end_costs_no_try() -> None:
    waiting = nothing_left([], PAUSING)
    assert (waiting.kind, waiting.until) == ("limited", NOW + 5)


def test_a_provider_that_was_asked_costs_a_try_even_if_another_pauses() -> None:
    waiting = nothing_left([error("broken")], PAUSING)
    assert (waiting.kind, waiting.until) == ("transient", NOW + 5)


def test_with_everything_off_only_a_person_can_help() -> None:
    assert nothing_left([], OFF).kind == "exhausted"


@given(st.lists(st.sampled_from(KINDS), max_size=4), st.booleans())
def test_a_try_is_repeated_exactly_if_time_may_mend_it(kinds: list[FailureKind], pausing: bool) -> None:
    ending = nothing_left([error(kind) for kind in kinds], PAUSING if pausing else OFF)
    assert (ending.kind in RETRIED) == (pausing or any(kind in RETRIED for kind in kinds))


def test_every_kind_is_known_and_none_is_both_refused_and_passed_on() -> None:
    assert set(KINDS) == set(FAILURE_KINDS)
    assert set(KINDS) >= FAILS_OVER
    assert not FAILS_OVER & {"refused", "invalid", "unknown"}, "repeated elsewhere, or perhaps paid already"
