"""The crash tests can fail: each planted bug is caught by the same checker."""

import random
from pathlib import Path

import pytest

from tests.faults.cycles import Case, play_cases
from tests.faults.planted import PLANTED, Planted

SEEDS = 60  # at most; the first that shows the bug ends the search
BATCH = 6  # cases between two looks
KILLS = 4  # the kill comes at one of so many first passings


@pytest.mark.parametrize("bug", PLANTED, ids=lambda bug: bug.plant.__name__)
def test_a_planted_bug_is_caught(bug: Planted, template: Path) -> None:
    said: list[str] = []
    for first in range(0, SEEDS, BATCH):
        cases = [_case(seed, bug) for seed in range(first, first + BATCH)]
        verdicts = play_cases(cases, template, bug=bug.plant)
        said += [fault for verdict in verdicts for fault in verdict.faults]
        if any(bug.says in fault for fault in said):
            return
    pytest.fail(f"nothing said “{bug.says}”; what was said: {said[:5]}")


def _case(seed: int, bug: Planted) -> Case:
    label = bug.labels[seed % len(bug.labels)]
    return Case(seed * bug.stride, label, random.Random(seed).randint(1, KILLS) if label else 0)
