"""Months as people count them: the same day of the next month, or its last one."""

import calendar
from datetime import UTC, datetime


def month_after(start: float, months: int) -> float:
    """Return the moment `months` calendar months after `start`, in seconds since 1970 UTC.

    The day stays that of `start`; a month without it ends earlier: 31 January, 28 February, 31 March.
    """
    began = datetime.fromtimestamp(start, UTC)
    year, month = divmod(began.year * 12 + began.month - 1 + months, 12)
    last_day = calendar.monthrange(year, month + 1)[1]
    return began.replace(year=year, month=month + 1, day=min(began.day, last_day)).timestamp()


def months_since(start: float, now: float) -> int:
    """Return how many whole months have passed since `start`."""
    began, today = (datetime.fromtimestamp(at, UTC) for at in (start, now))
    months = max(0, (today.year - began.year) * 12 + today.month - began.month)
    return months if months == 0 or month_after(start, months) <= now else months - 1
