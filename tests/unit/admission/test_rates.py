"""GCRA: bursts, refill, steps of the clock, and what it promises over any span of time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.admission.limiter import InProcessRateLimiter
from penstock.admission.rates import Rate, decide
from penstock.kit.clock import ManualClock

NOW = 1_800_000_000.0


def test_a_burst_comes_in_and_the_next_is_told_when() -> None:
    tat = None
    remaining = []
    for _ in range(5):
        decision = decide(tat, NOW, rate=2, burst=5)
        assert decision.allowed
        assert decision.retry_after_s == 0
        remaining.append(decision.remaining)
        tat = decision.tat
    assert remaining == [4, 3, 2, 1, 0]

    refused = decide(tat, NOW, rate=2, burst=5)

    assert not refused.allowed
    assert refused.retry_after_s == pytest.approx(0.5, abs=1e-5)
    assert refused.full_after_s == pytest.approx(2.5, abs=1e-5)
    assert refused.tat == tat
    assert decide(refused.tat, NOW + refused.retry_after_s, rate=2, burst=5).allowed
    assert not decide(refused.tat, NOW + 0.49, rate=2, burst=5).allowed


def test_a_costly_thing_counts_for_several() -> None:
    first = decide(None, NOW, rate=1, burst=10, cost=7)
    assert (first.allowed, first.remaining) == (True, 3)

    second = decide(first.tat, NOW, rate=1, burst=10, cost=7)

    assert (second.allowed, second.remaining) == (False, 3)
    assert second.retry_after_s == pytest.approx(4, abs=1e-5)


@pytest.mark.parametrize("cost", [0, -1, 11])
def test_a_cost_that_can_never_fit_is_an_error(cost: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        decide(None, NOW, rate=1, burst=10, cost=cost)


def test_a_clock_set_back_locks_nobody_out_for_longer_than_the_window() -> None:
    tat = int(NOW + 1_000_000) * 10**9

    refused = decide(tat, NOW, rate=1, burst=10)

    assert not refused.allowed
    assert refused.retry_after_s == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("burst", "per_second"), [(0, 1.0), (1, 0.0), (1, -1.0), (1, float("inf")), (1, float("nan"))])
def test_a_rate_that_allows_nothing_is_an_error(burst: int, per_second: float) -> None:
    with pytest.raises(ValueError, match="must allow"):
        Rate("x", burst, per_second)


@settings(max_examples=200, deadline=None)
@given(
    burst=st.integers(1, 50),
    window_s=st.floats(0.1, 86_400),
    steps=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 5)), min_size=1, max_size=80),
)
def test_no_span_lets_in_more_than_a_burst_and_its_refill(
    burst: int, window_s: float, steps: list[tuple[float, int]]
) -> None:
    rate = burst / window_s
    tat, now = None, NOW
    let_in: list[tuple[float, int]] = []
    for fraction, cost in steps:
        now += fraction * window_s / 4
        decision = decide(tat, now, rate, burst, min(cost, burst))
        if decision.allowed:
            let_in.append((now, min(cost, burst)))
        else:
            again = decide(decision.tat, now + decision.retry_after_s, rate, burst, min(cost, burst))
            assert again.allowed  # the time to come back is no lie
        tat = decision.tat

    slack = 1e-5 * rate + 1e-6
    for first in range(len(let_in)):
        for last in range(first, len(let_in)):
            span_s = let_in[last][0] - let_in[first][0]
            assert sum(cost for _, cost in let_in[first : last + 1]) <= burst + rate * span_s + slack


@settings(max_examples=100, deadline=None)
@given(burst=st.integers(1, 50), window_s=st.floats(0.1, 86_400), used=st.integers(0, 49))
def test_remaining_is_what_still_comes_in(burst: int, window_s: float, used: int) -> None:
    rate = burst / window_s
    decision = decide(None, NOW, rate, burst)
    for _ in range(min(used, burst - 1)):
        decision = decide(decision.tat, NOW, rate, burst)
    more, remaining = 0, decision.remaining
    while (following := decide(decision.tat, NOW, rate, burst)).allowed:
        assert following.remaining == decision.remaining - 1
        decision = following
        more += 1

    assert more == remaining


async def test_the_limiter_keeps_keys_and_rates_apart() -> None:
    clock = ManualClock()
    limiter = InProcessRateLimiter(clock)
    one, two = Rate.per("one", 1, 60), Rate.per("two", 1, 60)

    assert (await limiter.take("ann", one)).allowed
    assert not (await limiter.take("ann", one)).allowed
    assert (await limiter.take("bob", one)).allowed
    assert (await limiter.take("ann", two)).allowed
    clock.advance(60)
    assert (await limiter.take("ann", one)).allowed


async def test_the_limiters_memory_is_bounded_by_what_was_used_longest_ago() -> None:
    limiter = InProcessRateLimiter(ManualClock(), max_keys=3)
    rate = Rate.per("x", 1, 60)
    for key in ("a", "b", "c"):
        await limiter.take(key, rate)
    await limiter.take("a", rate)  # refused, but used
    await limiter.take("d", rate)

    assert not (await limiter.take("a", rate)).allowed
    assert (await limiter.take("b", rate)).allowed
