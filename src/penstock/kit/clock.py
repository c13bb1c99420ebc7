"""Time as a value that can be replaced, so that tests and simulations own it.

Times inside Penstock are seconds since 1970 UTC as a float (microseconds survive it until the year 2112);
they become RFC 3339 text only at the edge.
"""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where `now` comes from."""

    def now(self) -> float:
        """Return seconds since 1970 UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        """Return seconds since 1970 UTC."""
        return time.time()


class ManualClock:
    """A clock that moves only when told to; for tests."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        """Start at `start`, in seconds since 1970 UTC."""
        self._now = start

    def now(self) -> float:
        """Return seconds since 1970 UTC."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move forward by `seconds`; time never goes back."""
        if seconds < 0:
            raise ValueError("a clock only moves forward")
        self._now += seconds


def rfc3339(at: float) -> str:
    """Write a time as RFC 3339 in UTC with milliseconds, such as `2026-11-20T09:30:00.250Z`."""
    text = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def optional_rfc3339(at: float | None) -> str | None:
    """Write a time that may be absent."""
    return None if at is None else rfc3339(at)
