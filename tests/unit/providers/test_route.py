"""The route: who is asked next, who is left alone for a while, and what a try comes to when nobody is left."""

import random
from collections import Counter
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.product.schema_work import Leg
from penstock.providers.route import (
    BREAKER_CALLS,
    BREAKER_KEPT,
    BREAKER_OPEN_S,
    BREAKER_WINDOW_S,
    COUNTS_AGAINST,
    FAILS_OVER,
    RETRIED,
    Breaker,
    Choice,
    choose,
    nothing_left,
    ordered,
    over_ceiling,
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


def test_a_breaker_opens_where_half_of_the_recent_calls_failed() -> None:
    assert chosen(breakers={"first": failing(BREAKER_CALLS - 1)}).provider == "first", "few calls say nothing"
    breakers = {"first": failing(BREAKER_CALLS)}
    assert chosen(breakers=breakers).provider == "second"
    assert chosen(breakers=breakers, now=NOW + BREAKER_OPEN_S - 0.001).provider == "second"
    assert chosen(breakers=breakers, now=NOW + BREAKER_OPEN_S).provider == "first"


@pytest.mark.parametrize(("successes", "opens"), [(9, False), (8, False), (7, True), (3, True)])
def test_successes_between_them_weigh_against_failures(successes: int, opens: bool) -> None:
    breaker = Breaker()
    for at in range(successes):
        breaker = breaker.after_success(NOW + at / 10)
    for at in range(7):
        breaker = breaker.after_failure("transient", NOW + 1 + at / 10)
    assert (breaker.open_until > 0) is opens


def test_failures_of_long_ago_say_nothing() -> None:
    breaker = failing(BREAKER_CALLS - 1).after_failure("transient", NOW + BREAKER_WINDOW_S)
    assert breaker.open_until == 0
    assert len(breaker.calls) == 1
    breaker = failing(BREAKER_CALLS - 1).after_failure("transient", NOW + BREAKER_WINDOW_S - 0.001)
    assert breaker.open_until > 0


def test_no_more_is_remembered_than_says_something() -> None:
    breaker = Breaker()
    for at in range(3 * BREAKER_KEPT):
        breaker = breaker.after_success(NOW + at / 100)
    assert len(breaker.calls) == BREAKER_KEPT
    assert breaker.calls[-1].at == NOW + (3 * BREAKER_KEPT - 1) / 100


def test_ten_minutes_of_failure_cost_few_calls_and_the_first_success_ends_them() -> None:
    breaker, asked = Breaker(), 0
    for second in range(600):
        now = NOW + second
        if chosen(breakers={"first": breaker}, now=now).provider == "first":
            asked += 1
            breaker = breaker.half_open(now).after_failure("transient", now)
    assert asked <= BREAKER_CALLS + 600 / BREAKER_OPEN_S
    back = NOW + 600 + BREAKER_OPEN_S
    assert breaker.half_open(back).after_success(back + 1) == Breaker()


def test_a_refusal_is_the_answer_of_a_provider_that_works() -> None:
    trying = failing(BREAKER_CALLS).half_open(NOW + BREAKER_OPEN_S)
    assert trying.after_failure("refused", NOW + BREAKER_OPEN_S) == Breaker()


def test_used_up_credit_opens_it_at_once() -> None:
    assert chosen(breakers={"first": failing(1, "exhausted")}).provider == "second"


@pytest.mark.parametrize("kind", sorted(set(KINDS) - COUNTS_AGAINST))
def test_what_says_nothing_about_the_provider_never_opens_it(kind: FailureKind) -> None:
    assert failing(100, kind).open_until == 0
    trying = failing(BREAKER_CALLS).half_open(NOW + BREAKER_OPEN_S)
    assert kind == "refused" or trying.after_failure(kind, NOW + BREAKER_OPEN_S) == trying


@pytest.mark.parametrize("opened", [failing(BREAKER_CALLS), failing(1, "exhausted")])
def test_after_the_pause_one_call_is_let_through(opened: Breaker) -> None:
    later = NOW + BREAKER_OPEN_S
    trying = opened.half_open(later)
    assert chosen(breakers={"first": opened}, now=later).provider == "first"
    assert chosen(breakers={"first": trying}, now=later).provider == "second", "until it is known how that went"
    assert chosen(breakers={"first": trying}, now=later + BREAKER_OPEN_S).provider == "first"


def test_a_breaker_that_never_opened_lets_everybody_through() -> None:
    few = failing(BREAKER_CALLS - 1)
    assert few.half_open(NOW) == few


def test_a_failure_at_the_trial_call_opens_it_again() -> None:
    later = NOW + BREAKER_OPEN_S
    again = failing(BREAKER_CALLS).half_open(later).after_failure("transient", later + 1)
    assert again.open_until == later + 1 + BREAKER_OPEN_S


def test_it_is_said_when_the_first_of_those_that_pause_comes_back() -> None:
    soon, late = Breaker((), NOW + 5), Breaker((), NOW + 9)
    assert chosen(breakers={"first": late, "second": soon, "third": late}).again_at == NOW + 5


def error(kind: FailureKind, detail: str = "") -> ProviderError:
    return ProviderError(kind, detail)


PAUSING = Choice(None, {"first": "failed repeatedly; pausing"}, NOW + 5)
OFF = Choice(None, {"first": "off"})


def test_what_time_may_mend_goes_before_what_it_cannot() -> None:
    failed = [error("transient", "a"), error("limited", "b"), error("broken", "c")]
    assert nothing_left(failed, OFF).detail == "b"
    assert nothing_left([error("exhausted", "a"), error("broken", "b")], OFF).detail == "b"


@pytest.mark.parametrize(
    ("untils", "again_at", "until"),
    [
        ([NOW + 60, NOW + 20, NOW + 90], None, NOW + 20),
        ([NOW + 60, NOW + 20], NOW + 5, NOW + 5),
        ([NOW + 60, NOW + 20], NOW + 25, NOW + 20),
        ([NOW + 60, None], NOW + 25, None),
        ([NOW + 60], NOW + 70, NOW + 60),
    ],
)
def test_nobody_waits_longer_than_for_the_first_who_may_be_asked(
    untils: list[float | None], again_at: float | None, until: float | None
) -> None:
    failed = [ProviderError("limited", f"{at}", until=at) for at in untils]
    skipped = {} if again_at is None else {"other": "failed repeatedly; pausing"}
    waiting = nothing_left(failed, Choice(None, skipped, again_at))
    assert (waiting.kind, waiting.until) == ("limited", until)


class NobodyAskedError(ProviderError):
    pass


@pytest.mark.parametrize(
    ("failed", "skipped", "same"),
    [
        ([], {"first": "failed in this try", "second": "off"}, True),
        ([], {"first": "failed in this try", "second": "failed repeatedly; pausing"}, False),
        ([], {"first": "failed in this try", "second": "over its cost ceiling"}, False),
        ([ProviderError("transient", "")], {"first": "failed in this try", "second": "failed in this try"}, False),
    ],
)
def test_a_job_comes_back_at_once_only_where_claims_know_that_nobody_has_room(
    failed: list[ProviderError], skipped: dict[str, str], same: bool
) -> None:
    full = NobodyAskedError("limited", "full")
    assert (nothing_left([*failed, full], Choice(None, skipped)) is full) is same


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


# ---- weights ------------------------------------------------------------------------------------------------------


def leg(name: str, weight: int | None = None) -> Leg:
    return Leg(provider=name, weight=weight)


def shares(legs: list[Leg], without: tuple[str, ...] = (), draws: int = 4_000) -> dict[str, float]:
    """Return how often each is the first that is not left out."""
    chance = random.Random(7)
    firsts = Counter(next(name for name in ordered(legs, chance) if name not in without) for _ in range(draws))
    return {name: count / draws for name, count in firsts.items()}


def test_plain_names_keep_their_order() -> None:
    assert ordered([leg("a"), leg("b"), leg("c")], random.Random(1)) == ["a", "b", "c"]


def test_neighbours_with_weights_share_the_work() -> None:
    found = shares([leg("a", 6), leg("b", 3), leg("c", 1), leg("d")])
    assert found == pytest.approx({"a": 0.6, "b": 0.3, "c": 0.1}, abs=0.03)


def test_the_shares_stay_where_one_of_them_cannot_be_used() -> None:
    found = shares([leg("a", 6), leg("b", 3), leg("c", 1), leg("d")], without=("a",))
    assert found == pytest.approx({"b": 0.75, "c": 0.25}, abs=0.03)


@given(st.lists(st.one_of(st.none(), st.integers(1, 1_000)), min_size=1, max_size=6), st.integers())
def test_everybody_stands_in_the_order_once_and_plain_names_at_their_places(
    weights: list[int | None], seed: int
) -> None:
    legs = [leg(f"p{at}", weight) for at, weight in enumerate(weights)]
    order = ordered(legs, random.Random(seed))
    assert sorted(order) == sorted(each.provider for each in legs)
    assert all(order[at] == each.provider for at, each in enumerate(legs) if each.weight is None)


# ---- ceilings -----------------------------------------------------------------------------------------------------


def test_a_provider_that_would_make_a_job_too_dear_is_passed_over_and_it_is_said_why() -> None:
    dear = over_ceiling({"first": 50_000, "second": 50_000}, 20_000, {"first": 33_600, "second": 30_000})
    assert dear == {"first": "over its cost ceiling: 0.02 spent + 0.0336 expected > 0.05"}
    assert chosen(too_dear=dear) == Choice("second", dear)


def test_one_that_pauses_may_be_waited_for_and_one_that_is_too_dear_may_not() -> None:
    dear = dict.fromkeys(ROUTE, "over its cost ceiling")
    assert chosen(too_dear=dear).again_at is None
    assert nothing_left([], chosen(too_dear=dear)).kind == "exhausted"
