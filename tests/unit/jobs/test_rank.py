"""Rank and backoff: pure numbers that must hold for any input."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.jobs.rank import (
    BACKOFF_BASE_S,
    BACKOFF_CAP_S,
    backoff,
    rank,
)

NOW = 1_800_000_000.0
moments = st.floats(NOW, NOW + 86_400)
seconds = st.floats(0, 3_600)


def test_somebody_with_nothing_waiting_starts_now_less_the_head_start() -> None:
    assert rank(NOW, None, 0, 30) == NOW
    assert rank(NOW, None, 60, 30) == NOW - 60


def test_a_burst_is_spread_behind_its_own_first_job() -> None:
    last: float | None = None
    ranks = [last := rank(NOW, last, 0, 30) for _ in range(4)]
    assert ranks == [NOW, NOW + 30, NOW + 60, NOW + 90]


def test_another_customers_first_job_goes_before_the_end_of_a_burst() -> None:
    last: float | None = None
    burst = [last := rank(NOW, last, 0, 30) for _ in range(100)]
    assert sum(place < rank(NOW + 1, None, 0, 30) for place in burst) == 1


@given(moments, st.none() | moments, seconds, seconds)
def test_no_job_is_ranked_before_its_head_start_or_its_customers_last(
    now: float, last: float | None, head_start: float, spacing: float
) -> None:
    place = rank(now, last, head_start, spacing)
    assert place >= now - head_start
    if last is not None:
        assert place >= last + spacing


@given(moments, st.floats(0, 86_400), seconds)
def test_whoever_comes_late_enough_goes_behind(now: float, later: float, head_start: float) -> None:
    """Ranks never move and time does, so nobody starves: after a head start has passed nothing new goes ahead."""
    assert rank(now, None, 0, 30) <= rank(now + head_start + later, None, head_start, 30) + 1e-6


@given(st.integers(1, 60), st.randoms(use_true_random=False))
def test_a_pause_is_within_its_bounds(attempt: int, chance: random.Random) -> None:
    pause = backoff(attempt, chance)
    assert 0 <= pause <= min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2 ** (attempt - 1))


@pytest.mark.parametrize("attempt", [1, 2, 3, 10])
def test_pauses_are_spread_over_all_of_their_bounds(attempt: int) -> None:
    """Full jitter: customers who failed together don't come back together."""
    most = min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2 ** (attempt - 1))
    chance = random.Random(attempt)
    pauses = sorted(backoff(attempt, chance) / most for _ in range(400))
    assert pauses[40] < 0.2
    assert pauses[-40] > 0.8
