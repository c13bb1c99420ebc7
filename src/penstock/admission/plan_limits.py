"""A plan's jobs per hour and per day: over sliding windows, and with a way on for whoever is over.

Work over a plan's `running` is never refused, it waits; only these two counts refuse.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from penstock.kit.durations import in_words
from penstock.kit.errors import Action, Problem
from penstock.product.schema_offer import PlanLimits

HOUR_S = 3_600
DAY_S = 86_400


@dataclass(frozen=True)
class Window:
    """Jobs submitted in a window that ends now, and when the oldest of them was, in seconds since 1970 UTC.

    Where more than the limit lie in it (the plan was better before), `oldest_at` gives a lower bound of the wait.
    """

    jobs: int = 0
    oldest_at: float | None = None


@dataclass(frozen=True)
class Usage:
    """What an account submitted in the last hour and day."""

    hour: Window = Window()
    day: Window = Window()


def refusal(limits: PlanLimits, usage: Usage, now: float, ways_on: Sequence[Action] = ()) -> Problem | None:
    """Return why one more job may not come in now, or None if it may.

    Args:
        limits: of the account's plan.
        usage: without the job in question.
        ways_on: what to do instead of waiting, such as getting a better plan.
    """
    reached = [
        (_wait_s(window, length_s, now), most, name)
        for window, length_s, most, name in (
            (usage.hour, HOUR_S, limits.jobs_per_hour, "hour"),
            (usage.day, DAY_S, limits.jobs_per_day, "day"),
        )
        if most is not None and window.jobs >= most
    ]
    if not reached:
        return None
    wait_s, most, name = max(reached)
    return _problem(wait_s, most, name, ways_on)


def _wait_s(window: Window, length_s: int, now: float) -> float:
    oldest_at = now if window.oldest_at is None else window.oldest_at
    return min(max(1.0, oldest_at + length_s - now), float(length_s))


def _problem(wait_s: float, most: int, name: str, ways_on: Sequence[Action]) -> Problem:
    jobs = "1 job" if most == 1 else f"{most} jobs"
    span = "an hour" if name == "hour" else "a day"
    actions = [Action("wait", f"Try again in {in_words(wait_s)}"), *ways_on]
    detail = f"Your plan allows {jobs} {span}. The next is possible in {in_words(wait_s)}."
    return Problem("plan_limit", detail, actions=actions, retry_after_s=wait_s)
