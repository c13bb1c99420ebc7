"""Ten minutes without the first provider: the other one works as much as it can, and nobody storms anybody."""

from pathlib import Path

import pytest

from penstock.providers import route
from penstock.providers.route import BREAKER_KEPT, BREAKER_OPEN_S
from tests.simulation.outage import DOWN, MACHINES, SLOTS, SPARE_CAN, Outage, outage, within


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Outage:
    return outage(tmp_path_factory.mktemp("outage"))


def test_everybody_is_served_in_the_end(played: Outage) -> None:
    assert played.submitted > 2_000
    assert (played.failed, played.unfinished, played.violations) == (0, 0, [])


def test_meanwhile_the_other_works_as_much_as_it_can(played: Outage) -> None:
    assert within(played.spare.done_at, *DOWN) >= 0.95 * SPARE_CAN
    assert played.spare.refused == 0


def test_the_one_that_is_down_is_left_alone(played: Outage) -> None:
    """Each machine finds out by itself: half of what it remembers has to fail, with all that is under way then."""
    tries = (DOWN[1] - DOWN[0]) / BREAKER_OPEN_S
    assert within(played.main.asked_at, *DOWN) <= MACHINES * (BREAKER_KEPT / 2 + SLOTS + tries)
    assert played.sends_each < 1.05


def test_a_minute_after_its_return_it_works_again_at_full_pace(played: Outage) -> None:
    back = DOWN[1]
    assert within(played.main.done_at, back, back + 60) > 0
    usual = within(played.main.done_at, 0, DOWN[0]) / DOWN[0]
    assert within(played.main.done_at, back + 60, back + 120) / 60 > 1.2 * usual, "what had to wait is made up for"


def test_planted_without_a_breaker_it_is_asked_for_every_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route, "BREAKER_CALLS", 10**9)
    played = outage(tmp_path)
    assert within(played.main.asked_at, *DOWN) > 300
