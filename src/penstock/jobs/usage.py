"""What an account has used of its plan's limits: counted for `GET /usage`, quotes and rate-limit headers."""

from dataclasses import dataclass

from penstock.admission.headers import rate_limit_headers
from penstock.admission.plan_limits import DAY_S, HOUR_S, Window
from penstock.admission.rates import Decision, Rate
from penstock.jobs import queries
from penstock.jobs.schemas import PlanLimitsUsed, RunningView, WindowView
from penstock.kit.database import Transaction
from penstock.product.schema_offer import PlanLimits


@dataclass(frozen=True)
class Used:
    """Jobs of the last hour and day, and those under way; `now` is when they were counted."""

    hour: Window
    day: Window
    running: int
    queued: int
    now: float


def used_by(tx: Transaction, account_id: str) -> Used:
    """Count what an account has submitted and has under way."""
    under_way = tx.one(queries.UNDER_WAY, account_id=account_id)
    assert under_way is not None
    hour, day = (submitted_in(tx, account_id, length_s) for length_s in (HOUR_S, DAY_S))
    return Used(hour, day, under_way["running"], under_way["queued"], tx.now)


def tokens_of(tx: Transaction, account_id: str) -> dict[str, int]:
    """Return the tokens that the jobs of the last hour and day have used, by the name of the span."""
    spans = {"hour": HOUR_S, "day": DAY_S}
    return {
        name: int(tx.value(queries.TOKENS_SINCE, account_id=account_id, since=tx.now - length_s))
        for name, length_s in spans.items()
    }


def submitted_in(tx: Transaction, account_id: str, length_s: float) -> Window:
    """Count the jobs that an account submitted in the last `length_s` seconds."""
    counted = tx.one(queries.SUBMITTED_SINCE, account_id=account_id, since=tx.now - length_s)
    assert counted is not None
    return Window(counted["jobs"], counted["oldest"])


def nothing_used(now: float) -> Used:
    """Return what somebody who is not known yet has used."""
    return Used(Window(), Window(), 0, 0, now)


def shown_limits(used: Used, limits: PlanLimits) -> PlanLimitsUsed:
    """Show what is used of a plan's limits."""
    return PlanLimitsUsed(
        hour=_shown_window(used.hour, limits.jobs_per_hour, HOUR_S, used.now),
        day=_shown_window(used.day, limits.jobs_per_day, DAY_S, used.now),
        running=RunningView(running=used.running, queued=used.queued, limit=limits.running),
    )


def limit_headers(used: Used, limits: PlanLimits) -> dict[str, str]:
    """Return `RateLimit` headers for the limits that a plan has; none for a plan without."""
    windows = (
        ("jobs-hour", used.hour, limits.jobs_per_hour, HOUR_S),
        ("jobs-day", used.day, limits.jobs_per_day, DAY_S),
    )
    return rate_limit_headers(
        [
            (Rate.per(name, limit, length_s), _decision(window, limit, length_s, used.now))
            for name, window, limit, length_s in windows
            if limit is not None
        ]
    )


def _shown_window(window: Window, limit: int | None, length_s: float, now: float) -> WindowView:
    remaining = None if limit is None else max(0, limit - window.jobs)
    resets_in_s = None if window.oldest_at is None else round(_until_free(window, length_s, now), 1)
    return WindowView(used=window.jobs, limit=limit, remaining=remaining, resets_in_s=resets_in_s)


def _decision(window: Window, limit: int, length_s: float, now: float) -> Decision:
    """Write a count in a sliding window as the rate limiter writes its decisions.

    The window's oldest job is the next to leave it: that is when there is more again, whether some is left or none.
    """
    more_after_s = _until_free(window, length_s, now)
    return Decision(
        allowed=window.jobs < limit,
        tat=0,  # of no use here: the jobs themselves are counted
        retry_after_s=more_after_s if window.jobs >= limit else 0.0,
        remaining=max(0, limit - window.jobs),
        full_after_s=more_after_s,
    )


def _until_free(window: Window, length_s: float, now: float) -> float:
    return 0.0 if window.oldest_at is None else max(0.0, window.oldest_at + length_s - now)
