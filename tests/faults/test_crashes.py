"""Kill the process at every labelled point, reopen, recover: accepted jobs end exactly once, credits add up.

`PENSTOCK_CRASH_SEEDS` says how many seeds each point gets (100 for the full run); `PENSTOCK_CRASH_DRIVERS` how many
processes share them.
"""

import os
import random
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.cycles import Case, Verdict, faulty, labels, play_cases

SEEDS = int(os.environ.get("PENSTOCK_CRASH_SEEDS", "6"))
DRIVERS = int(os.environ.get("PENSTOCK_CRASH_DRIVERS", "2"))
THREADED_EVERY = 8  # one case in so many runs with the database's threads, as in production
AGAIN_EVERY = 4  # one case in so many kills the recovery too
RECOVERY_POINTS = 60  # about as many points as a recovery passes

ELSEWHERE = {
    "postgres.before_commit": "tests/unit/kit/test_postgres.py",
    "postgres.after_commit": "tests/unit/kit/test_postgres.py",
    "upload.kept": "tests/unit/media/test_sweep.py",
    "store.remembered": "tests/unit/media/test_sweep.py",
    "store.copied": "tests/unit/media/test_sweep.py",
    "result.doomed": "tests/unit/media/test_sweep.py",
    "slip.opened": "tests/unit/media/test_direct.py",
    "slip.sent": "tests/unit/media/test_direct.py",
    "slip.taken": "tests/unit/media/test_direct.py",
    # No stale hold exists unless something is broken; what is killed here is killed while one is planted.
    "maintenance.released": "tests/unit/jobs/test_maintenance.py",
}


@pytest.fixture(scope="module")
def undisturbed(template: Path) -> list[Verdict]:
    """Play every seed without a kill."""
    return play_cases([Case(seed) for seed in range(SEEDS)], template, drivers=DRIVERS)


def test_nothing_goes_wrong_where_nobody_is_killed(undisturbed: list[Verdict]) -> None:
    assert faulty(undisturbed) == []


def test_every_point_is_passed_by_some_scenario(undisturbed: list[Verdict]) -> None:
    passed: Counter[str] = Counter()
    for verdict in undisturbed:
        passed.update(verdict.passed)
    never = {label: where for label, where in labels().items() if not passed[label] and label not in ELSEWHERE}
    assert never == {}, "no scenario comes by these points, so nobody was killed there"


def test_points_that_are_left_to_other_tests_are_in_them() -> None:
    root = Path(__file__).parents[2]
    missing = [label for label, test in ELSEWHERE.items() if label not in (root / test).read_text(encoding="utf-8")]
    assert missing == []


def test_killed_at_every_point(undisturbed: list[Verdict], template: Path) -> None:
    cases = [
        _case(verdict, label, at)
        for at, (verdict, label) in enumerate((verdict, label) for verdict in undisturbed for label in verdict.passed)
    ]
    verdicts = play_cases(cases, template, drivers=DRIVERS)
    assert faulty(verdicts) == []
    killed = sum(verdict.killed for verdict in verdicts)
    assert killed > 0.9 * len(cases), f"only {killed} of {len(cases)} came to the point at which to die"


def _case(verdict: Verdict, label: str, at: int) -> Case:
    chance = random.Random(f"{verdict.case.seed}/{label}")
    return Case(
        verdict.case.seed,
        label,
        chance.randint(1, verdict.passed[label]),
        again=chance.randint(1, RECOVERY_POINTS) if at % AGAIN_EVERY == 0 else None,
        threads=at % THREADED_EVERY == 1,
    )
