"""The states: one table, and the page that explains it says the same."""

import re
from pathlib import Path
from typing import get_args

import pytest

from penstock.jobs import queue
from penstock.jobs.states import FINAL, QUEUED, TRANSITIONS, State, Status, states_of, status_of

STATES: list[State] = list(get_args(State))
PAGE = Path(__file__).parents[3] / "docs" / "states.md"
ROW = re.compile(r"^\| `(\w+)` \| `(\w+)` \| [^|]+ \| `(\w+)` \|", re.MULTILINE)


def test_every_state_is_in_the_table() -> None:
    assert set(TRANSITIONS) == set(STATES)
    assert set().union(*TRANSITIONS.values()) <= set(STATES)


def test_a_final_state_is_final_and_every_other_leads_to_one() -> None:
    assert {"succeeded", "failed", "cancelled", "expired"} == FINAL
    for state in STATES:
        reached, ahead = set[State](), {state}
        while ahead - reached:
            reached |= ahead
            ahead = set().union(*(TRANSITIONS[each] for each in ahead))
        assert reached & FINAL, f"{state} never ends"


@pytest.mark.parametrize("state", STATES)
def test_the_world_sees_a_status_for_every_state(state: State) -> None:
    status = status_of(state, cancel_requested=False)
    assert status in get_args(Status)
    assert state in states_of(status)


def test_only_running_jobs_are_seen_cancelling() -> None:
    seen = {state: status_of(state, cancel_requested=True) for state in STATES}
    assert seen["running"] == "cancelling"
    assert "cancelling" not in {status for state, status in seen.items() if state != "running"}
    assert states_of("cancelling") == ["running"]
    assert set(states_of("queued")) == QUEUED


def test_the_page_of_states_has_every_transition_with_the_statement_that_does_it() -> None:
    rows = ROW.findall(PAGE.read_text(encoding="utf-8"))
    told: dict[str, set[str]] = {state: set() for state in STATES}
    for before, after, _ in rows:
        told[before].add(after)
    assert told == {state: set(following) for state, following in TRANSITIONS.items()}
    missing = {statement for _, _, statement in rows if not hasattr(queue, statement)}
    assert missing == set(), "the page names statements that queue.py does not have"


def test_every_statement_that_moves_a_job_is_on_the_page() -> None:
    moving = {
        name
        for name, text in vars(queue).items()
        if name[0].isalpha() and name.isupper() and re.search(r"UPDATE jobs SET state\b", str(text))
    }
    told = {statement for _, _, statement in ROW.findall(PAGE.read_text(encoding="utf-8"))}
    assert moving == told
