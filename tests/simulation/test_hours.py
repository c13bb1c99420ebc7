"""Hours of business under virtual time: what every customer may rely on, and planted faults that must show."""

from dataclasses import replace
from pathlib import Path

import pytest

from penstock.jobs import capacity, queue, submit, wait
from penstock.product.schema_providers import ProviderLimits
from tests.simulation.hours import HOUR_S, Hours, Outcome, coverage, simulate, waits_of

ORDINARY = Hours(seed=1, hours=2, people=100, load=0.95, wave=0, life_s=HOUR_S, drain_hours=2)
GREEDY = Hours(seed=2, hours=2, people=50, load=0.3, machines=2, greedy=2, wave=0)
CROWDED = Hours(
    seed=3,
    hours=0.5,
    people=50,
    load=2,
    wave=0,
    limits=ProviderLimits(requests_per_minute=10, tokens_per_minute=12_000, tokens_each=2_000, concurrency=8),
)


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return simulate(ORDINARY, tmp_path_factory.mktemp("ordinary"))


def test_everybody_is_served_and_the_books_are_in_order(ordinary: Outcome) -> None:
    assert ordinary.submitted > 500
    assert ordinary.unfinished == 0
    assert ordinary.violations == []
    assert ordinary.worst_wait_s < HOUR_S


def test_a_better_plan_waits_less(ordinary: Outcome) -> None:
    free, basic, best = (waits_of([ordinary], plan)[0] for plan in ("free", "basic", "best"))
    assert free > basic > best


def test_the_range_that_is_told_holds_eight_of_ten(ordinary: Outcome) -> None:
    share, told = coverage([ordinary])
    assert told > 150
    assert 0.7 <= share <= 0.9


def test_the_same_seed_plays_the_same_hours(tmp_path: Path) -> None:
    short = Hours(seed=4, hours=0.5, people=20)
    waits = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        waits.append(simulate(short, tmp_path / name).waits)
    assert waits[0] == waits[1]
    assert any(waits[0].values())


def test_those_who_never_stop_get_the_same_and_keep_nobody_out(tmp_path: Path) -> None:
    outcome = simulate(GREEDY, tmp_path)
    assert all(min(served) > 20 for served in outcome.greedy.values())
    assert outcome.unfairness <= 0.1
    assert outcome.unfinished == 0
    assert outcome.worst_wait_s < HOUR_S


def test_a_provider_at_twice_its_capacity_refuses_nobody(tmp_path: Path) -> None:
    outcome = simulate(CROWDED, tmp_path)
    assert outcome.asked > 250
    assert outcome.refused == 0
    assert outcome.unfinished == 0


def test_planted_nobody_reserves_at_the_provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "reserve", lambda *_: None)
    assert simulate(replace(CROWDED, hours=0.1, drain_hours=0.1), tmp_path).refused > 0


def test_planted_whoever_asks_most_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strict priority of the better plan: what comes ahead in name never falls behind in time."""
    monkeypatch.setattr(submit, "rank", lambda now, last, head_start_s, spacing_s: now - 1e6 * head_start_s)
    outcome = simulate(GREEDY, tmp_path)
    assert outcome.worst_wait_s > HOUR_S


def test_planted_a_range_that_knows_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait.Record, "range", lambda record, predicted_s: (predicted_s, predicted_s))
    share, _ = coverage([simulate(replace(ORDINARY, hours=1), tmp_path)])
    assert share < 0.3


def test_planted_work_of_a_dead_worker_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "lost", lambda tx: [])
    assert simulate(replace(ORDINARY, hours=1, drain_hours=1), tmp_path).unfinished > 0
