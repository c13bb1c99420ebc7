"""A plan's jobs per hour and day."""

import pytest

from penstock.admission.plan_limits import DAY_S, HOUR_S, Usage, Window, refusal
from penstock.kit.errors import Action
from penstock.product.schema_offer import PlanLimits

NOW = 1_800_000_000.0
LIMITS = PlanLimits(jobs_per_hour=5, jobs_per_day=10)


def usage(in_hour: int, in_day: int, *, hour_old_s: float = 600, day_old_s: float = 7_200) -> Usage:
    return Usage(
        hour=Window(in_hour, NOW - hour_old_s if in_hour else None),
        day=Window(in_day, NOW - day_old_s if in_day else None),
    )


@pytest.mark.parametrize(("in_hour", "in_day"), [(0, 0), (4, 9), (4, 4)])
def test_below_the_limits_a_job_comes_in(in_hour: int, in_day: int) -> None:
    assert refusal(LIMITS, usage(in_hour, in_day), NOW) is None


def test_a_plan_without_limits_refuses_nothing() -> None:
    assert refusal(PlanLimits(), usage(1_000_000, 1_000_000), NOW) is None


def test_the_hour_is_over_when_its_oldest_job_leaves_it() -> None:
    problem = refusal(LIMITS, usage(5, 5), NOW)

    assert problem is not None
    assert (problem.status, problem.code) == (429, "plan_limit")
    assert problem.retry_after_s == HOUR_S - 600
    assert problem.detail == "Your plan allows 5 jobs an hour. The next is possible in 50 minutes."
    assert [action.kind for action in problem.actions] == ["wait"]


def test_the_day_wins_where_it_is_longer() -> None:
    problem = refusal(LIMITS, usage(5, 10), NOW, (Action("upgrade", "Get a plan with more", "/pricing"),))

    assert problem is not None
    assert problem.retry_after_s == DAY_S - 7_200
    assert "10 jobs a day" in problem.detail
    assert "22 hours" in problem.detail
    assert [(action.kind, action.url) for action in problem.actions] == [("wait", None), ("upgrade", "/pricing")]


def test_the_hour_wins_where_the_day_is_nearly_over() -> None:
    problem = refusal(LIMITS, usage(5, 10, hour_old_s=60, day_old_s=DAY_S - 30), NOW)

    assert problem is not None
    assert problem.retry_after_s == HOUR_S - 60


@pytest.mark.parametrize("old_s", [HOUR_S, HOUR_S + 5, HOUR_S - 0.1])
def test_a_job_about_to_leave_means_a_moment(old_s: float) -> None:
    problem = refusal(LIMITS, usage(5, 5, hour_old_s=old_s), NOW)

    assert problem is not None
    assert problem.retry_after_s == 1


@pytest.mark.parametrize("window", [Window(7, None), Window(7, NOW + 500)])
def test_a_wait_is_never_longer_than_the_window(window: Window) -> None:
    problem = refusal(LIMITS, Usage(hour=window), NOW)

    assert problem is not None
    assert problem.retry_after_s == HOUR_S


def test_one_job_is_singular() -> None:
    problem = refusal(PlanLimits(jobs_per_day=1), usage(1, 1), NOW)

    assert problem is not None
    assert problem.detail.startswith("Your plan allows 1 job a day.")
