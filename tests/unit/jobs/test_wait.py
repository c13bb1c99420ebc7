"""The wait as a number and as a range: what stands before a job, and how earlier predictions came true."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.jobs.wait import Line, Record, Seen, predicted_wait, quantile

FREE = Line(ahead=0, running=3, slots=4, duration_s=20.0)
BUSY = Line(ahead=6, running=4, slots=4, duration_s=20.0)

lines = st.builds(
    Line,
    ahead=st.integers(0, 10_000),
    running=st.integers(0, 1_000),
    slots=st.integers(1, 1_000),
    duration_s=st.floats(0.001, 600),
    own_ahead=st.integers(0, 100),
    own_limit=st.integers(1, 100),
    overtaking=st.lists(st.tuples(st.floats(0.001, 10), st.floats(0, 3_600)), max_size=4),
    provider_s=st.floats(0, 3_600),
)


def test_a_free_slot_is_no_wait() -> None:
    assert predicted_wait(FREE) == 0


def test_the_next_one_waits_for_one_start() -> None:
    assert predicted_wait(replace(FREE, running=4)) == pytest.approx(FREE.turn_s)
    assert predicted_wait(BUSY) == pytest.approx(7 * 20 / 4)


def test_whoever_comes_later_and_goes_ahead_is_waited_for() -> None:
    """One in ten seconds for ever halves a pace of one in five; for 20 seconds it is two more jobs."""
    assert predicted_wait(replace(BUSY, overtaking=[(0.1, 1e9)])) == pytest.approx(70)
    assert predicted_wait(replace(BUSY, overtaking=[(0.1, 20)])) == pytest.approx(45)
    both = predicted_wait(replace(BUSY, overtaking=[(0.1, 20), (0.05, 1e9)]))
    assert both == pytest.approx((7 + 2) / (0.2 - 0.05))


def test_more_who_go_ahead_than_can_be_served_are_waited_for_as_long_as_they_come() -> None:
    assert predicted_wait(replace(BUSY, overtaking=[(1.0, 100)])) == pytest.approx((7 + 100) * 5)


def test_a_customer_waits_behind_the_own_jobs_at_the_plans_limit() -> None:
    assert predicted_wait(replace(FREE, own_ahead=1, own_limit=2)) == 0
    assert predicted_wait(replace(FREE, own_ahead=4, own_limit=2)) == pytest.approx(3 * 20 / 2)


def test_a_provider_without_room_is_waited_for() -> None:
    assert predicted_wait(replace(FREE, provider_s=33.0)) == 33.0


@given(lines)
def test_a_prediction_grows_with_what_is_before_it(line: Line) -> None:
    wait = predicted_wait(line)
    assert wait >= 0
    assert predicted_wait(replace(line, ahead=line.ahead + 1)) >= wait * (1 - 1e-9)
    assert predicted_wait(replace(line, own_ahead=line.own_ahead + 1)) >= wait
    assert predicted_wait(replace(line, overtaking=[*line.overtaking, (0.5, 60.0)])) >= wait * (1 - 1e-9)


@given(lines)
def test_more_slots_never_make_it_longer(line: Line) -> None:
    assert predicted_wait(replace(line, slots=line.slots + 1)) <= predicted_wait(line) * (1 + 1e-9)


def seen(*pairs: tuple[float, float], every_s: float = 1e6) -> list[Seen]:
    return [Seen(predicted, waited, nth * every_s) for nth, (predicted, waited) in enumerate(pairs)]


def test_a_range_is_about_the_prediction_until_something_was_learnt() -> None:
    low, high = Record().range(100)
    assert 50 < low < 90
    assert 110 < high < 200


def test_a_range_is_learnt_from_how_predictions_came_true() -> None:
    assert list(Record(seen(*[(100, 200)] * 100)).range(100)) == pytest.approx([200, 200])


def test_a_range_holds_eight_of_ten() -> None:
    chance = random.Random(1)
    waits = [chance.uniform(50, 250) for _ in range(600)]
    low, high = Record(seen(*[(100, wait) for wait in waits])).range(100)
    assert 0.75 <= sum(low <= wait <= high for wait in waits) / len(waits) <= 0.85


def test_long_waits_at_the_same_time_count_as_few() -> None:
    """Hundred jobs that waited an hour within a minute were late together; next time it may be otherwise."""
    late = [(3_600, 3_700)] * 100
    apart, together = Record(seen(*late)).range(3_600), Record(seen(*late, every_s=0.6)).range(3_600)
    assert list(apart) == pytest.approx([3_700, 3_700])
    assert together[0] < 3_500
    assert together[1] > 3_740


def test_what_is_far_from_the_prediction_says_nothing() -> None:
    assert Record(seen(*[(10, 30)] * 100)).range(1_000) == Record().range(1_000)


@given(
    st.floats(0, 10_000),
    st.lists(st.builds(Seen, st.floats(0, 10_000), st.floats(0, 100_000), st.floats(0, 1e6)), max_size=150),
    st.floats(0.001, 60),
)
def test_a_range_is_a_range(predicted: float, earlier: list[Seen], turn_s: float) -> None:
    low, high = Record(earlier, turn_s).range(predicted)
    assert 0 <= low <= high


def test_a_quantile_goes_by_weight() -> None:
    assert quantile([(3, 1), (1, 8), (2, 1)], 0.8) == 1
    assert quantile([(3, 1), (1, 8), (2, 1)], 0.85) == 2
    assert quantile([(3, 1), (1, 8), (2, 1)], 1.0) == 3
