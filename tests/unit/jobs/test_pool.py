"""The pool of slots: it follows the queue between its bounds, up quickly and down slowly."""

from hypothesis import given
from hypothesis import strategies as st

from penstock.jobs.pool import CALM_S, GROW_S, Pool

NOW = 1_800_000_000.0


def test_it_grows_step_by_step_while_every_slot_is_taken() -> None:
    pool, sizes = Pool.between(2, 10), []
    for step in range(5):
        pool = pool.full(NOW + step * GROW_S)
        sizes.append(pool.size)
    assert sizes == [4, 8, 10, 10, 10]


def test_it_does_not_grow_twice_in_a_breath() -> None:
    pool = Pool.between(1, 8).full(NOW)
    assert pool.full(NOW + GROW_S / 2).size == pool.size
    assert pool.full(NOW + GROW_S).size == 4


def test_it_shrinks_only_when_it_has_been_calm_for_a_while() -> None:
    pool = Pool(least=1, most=16, size=16, busy_at=NOW)
    assert pool.with_room(3, NOW + CALM_S - 1).size == 16
    assert pool.with_room(3, NOW + CALM_S).size == 8
    again = pool.with_room(9, NOW + CALM_S - 1)
    assert again.with_room(3, NOW + CALM_S).size == 16, "more than half was in use a moment ago"


def test_it_never_shrinks_below_what_runs_or_below_its_least() -> None:
    pool = Pool(least=3, most=16, size=16, busy_at=NOW)
    assert pool.with_room(8, NOW + CALM_S).size == 8
    assert Pool(3, 16, 4, busy_at=NOW).with_room(0, NOW + CALM_S).size == 3


def test_one_size_stays_as_it_is() -> None:
    pool = Pool.between(4, 4)
    assert (pool.full(NOW).size, pool.with_room(0, NOW + 2 * CALM_S).size) == (4, 4)


@given(
    least=st.integers(1, 20),
    more=st.integers(0, 50),
    steps=st.lists(st.tuples(st.floats(0, 60), st.booleans(), st.integers(0, 80)), max_size=50),
)
def test_it_stays_within_its_bounds(least: int, more: int, steps: list[tuple[float, bool, int]]) -> None:
    pool, now = Pool.between(least, least + more), NOW
    for passed, full, running in steps:
        now += passed
        pool = pool.full(now) if full else pool.with_room(min(running, pool.size), now)
        assert least <= pool.size <= least + more
