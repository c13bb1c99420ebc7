"""Rate limits in headers."""

import pytest

from penstock.admission.headers import rate_limit_headers
from penstock.admission.rates import Decision, Rate, decide

NOW = 1_800_000_000.0
BURST = Rate.per("burst", 100, 60)
DAY = Rate.per("day", 1_000, 86_400)


def spent(rate: Rate, count: int) -> Decision:
    """Return the decision on the `count`-th thing at one moment."""
    decision = decide(None, NOW, rate.per_second, rate.burst)
    for _ in range(count - 1):
        decision = decide(decision.tat, NOW, rate.per_second, rate.burst)
    return decision


def test_what_is_left_and_when_all_is_back() -> None:
    assert rate_limit_headers([(BURST, spent(BURST, 50))]) == {
        "RateLimit-Policy": '"burst";q=100;w=60',
        "RateLimit": '"burst";r=50;t=30',
    }


def test_a_refusal_says_when_to_come_back_and_never_before_t() -> None:
    headers = rate_limit_headers([(BURST, spent(BURST, 101)), (DAY, spent(DAY, 1))])

    assert headers == {
        "RateLimit-Policy": '"burst";q=100;w=60, "day";q=1000;w=86400',
        "RateLimit": '"burst";r=0;t=1, "day";r=999;t=87',
        "Retry-After": "1",
    }


def test_the_longest_wait_wins() -> None:
    headers = rate_limit_headers([(BURST, spent(BURST, 101)), (DAY, spent(DAY, 1_001))])

    assert headers["Retry-After"] == "87"
    assert headers["RateLimit"] == '"burst";r=0;t=1, "day";r=0;t=87'


def test_a_refusal_of_something_large_leaves_nothing() -> None:
    refused = decide(spent(BURST, 50).tat, NOW, BURST.per_second, BURST.burst, cost=80)

    headers = rate_limit_headers([(BURST, refused)])

    assert refused.remaining == 50
    assert headers["RateLimit"] == '"burst";r=0;t=18'
    assert headers["Retry-After"] == "18"


def test_a_wait_is_never_zero() -> None:
    fast = Rate("fast", 1, 1_000_000.0)
    refused = Decision(allowed=False, tat=int(NOW) * 10**9, retry_after_s=1e-9, remaining=0, full_after_s=1e-9)

    assert rate_limit_headers([(fast, refused)])["Retry-After"] == "1"


def test_no_limits_no_headers() -> None:
    assert rate_limit_headers([]) == {}


@pytest.mark.parametrize("name", ["", "Burst", 'a"b', "a\r\nb", "x" * 33])
def test_a_name_that_would_break_the_header_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match="can't name"):
        rate_limit_headers([(Rate(name, 1, 1.0), spent(BURST, 1))])
