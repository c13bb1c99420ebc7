"""The benchmark of simulated hours: what is played, and how it is told."""

from pathlib import Path

import pytest
from benchmarks import simulation
from benchmarks.simulation import SCENARIOS, plan, told

from tests.simulation.hours import PLANS, Hours, Outcome, simulate
from tests.simulation.people import Promise


def test_scenarios_take_turns_with_seeds_of_their_own_until_the_hours_are_full() -> None:
    planned = plan(simulation.HOURS)
    assert sum(hours.hours for _, hours in planned) >= simulation.HOURS
    assert [name for name, _ in planned[: len(SCENARIOS)]] == list(SCENARIOS)
    assert len({hours.seed for _, hours in planned}) == len(planned)


def test_figures_tell_the_worst_and_the_sum() -> None:
    waits = {key: [1.0, 2.0, 30.0] for key in PLANS}
    promise = Promise("job_1", 5.0, 20.0)
    good = Outcome(3, 0, 0, waits, [(promise, 10.0)], 3, 0, [], {"free": [10, 10]})
    bad = Outcome(3, 1, 0, waits, [(promise, 40.0)], 3, 2, ["lost"], {"free": [10, 12]})
    figures = {figure.name: figure.value for figure in told(["days", "busy"], [24.0, 10.0], [good, bad])}
    assert figures["simulation.hours"] == 34
    assert figures["simulation.unfinished"] == 1
    assert figures["simulation.refused"] == 2
    assert figures["simulation.violations"] == 1
    assert figures["simulation.unfairness"] == pytest.approx(0.2)
    assert figures["simulation.coverage"] == 0.5
    assert figures["simulation.coverage.days"] == 1.0
    assert figures["simulation.wait.busy.free.worst"] == 30.0


def test_a_quarter_of_an_hour_can_be_played(tmp_path: Path) -> None:
    outcome = simulate(Hours(seed=1, hours=0.25, people=10), tmp_path)
    assert outcome.submitted > 0
    assert outcome.unfinished == 0
