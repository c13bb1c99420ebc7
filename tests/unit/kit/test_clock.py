"""Time: replaceable inside, RFC 3339 at the edge."""

import time

import pytest

from penstock.kit.clock import ManualClock, SystemClock, optional_rfc3339, rfc3339


def test_times_are_written_in_utc_with_milliseconds() -> None:
    assert rfc3339(0) == "1970-01-01T00:00:00.000Z"
    assert rfc3339(1_800_000_000.25) == "2027-01-15T08:00:00.250Z"
    assert rfc3339(1_800_000_000.9999) == "2027-01-15T08:00:00.999Z"


def test_an_absent_time_stays_absent() -> None:
    assert optional_rfc3339(None) is None
    assert optional_rfc3339(0) == "1970-01-01T00:00:00.000Z"


def test_a_manual_clock_moves_when_told_and_never_back() -> None:
    clock = ManualClock(100.0)
    assert clock.now() == 100.0
    clock.advance(2.5)
    assert clock.now() == 102.5
    with pytest.raises(ValueError, match="forward"):
        clock.advance(-1)


def test_the_system_clock_is_the_machines() -> None:
    before = time.time()
    assert before <= SystemClock().now() <= time.time()
