"""The states of a job and every way from one to another. Each transition is one guarded update in `queue.py`.

    waiting -> ready -> running -> succeeded | failed | cancelled
    waiting | ready -> cancelled | expired
    running -> ready   (retry, lost lease, drain)

`waiting` is over its customer's limit, `ready` may be claimed; outside both are `queued`.
"""

from typing import Literal

State = Literal["waiting", "ready", "running", "succeeded", "failed", "cancelled", "expired"]
Status = Literal["queued", "running", "cancelling", "succeeded", "failed", "cancelled", "expired"]

TRANSITIONS: dict[State, frozenset[State]] = {
    "waiting": frozenset({"ready", "cancelled", "expired"}),
    "ready": frozenset({"running", "cancelled", "expired"}),
    "running": frozenset({"ready", "succeeded", "failed", "cancelled"}),
    "succeeded": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
    "expired": frozenset(),
}
QUEUED: frozenset[State] = frozenset({"waiting", "ready"})
FINAL: frozenset[State] = frozenset(state for state, following in TRANSITIONS.items() if not following)


_STATUSES: dict[State, Status] = {
    "waiting": "queued",
    "ready": "queued",
    "running": "running",
    "succeeded": "succeeded",
    "failed": "failed",
    "cancelled": "cancelled",
    "expired": "expired",
}


def status_of(state: State, *, cancel_requested: bool) -> Status:
    """Return the state as the world sees it."""
    if state == "running" and cancel_requested:
        return "cancelling"
    return _STATUSES[state]


def states_of(status: Status) -> list[State]:
    """Return the states that the world sees as `status`."""
    if status == "cancelling":
        return ["running"]
    return [state for state, seen in _STATUSES.items() if seen == status]
