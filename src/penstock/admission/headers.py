"""Rate limits told in headers, as in draft-ietf-httpapi-ratelimit-headers-10.

`RateLimit-Policy` says what is allowed, `RateLimit` what is left and when there will be more, `Retry-After` when to
come back. A client believes `Retry-After` first, and it is never earlier than `t`.
"""

import math
import re
from collections.abc import Sequence

from penstock.admission.rates import Decision, Rate

_ROUNDING_S = 1e-5
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")


def rate_limit_headers(decisions: Sequence[tuple[Rate, Decision]]) -> dict[str, str]:
    """Return the headers for an answer that was subject to these limits; none for no limits.

    `t` is, while something remains, the seconds until all of it is back, and else the seconds until the next one.

    Errors:
        ValueError: a rate's name would not survive in a header.
    """
    if not decisions:
        return {}
    headers = {
        "RateLimit-Policy": ", ".join(
            f"{_quoted(rate)};q={rate.burst};w={_up(rate.window_s)}" for rate, _ in decisions
        ),
        "RateLimit": ", ".join(f"{_quoted(rate)};r={_left(each)};t={_more_after_s(each)}" for rate, each in decisions),
    }
    waits = [_more_after_s(each) for _, each in decisions if not each.allowed]
    if waits:
        headers["Retry-After"] = str(max(1, *waits))
    return headers


def _quoted(rate: Rate) -> str:
    if not _NAME.fullmatch(rate.name):
        raise ValueError(f"`{rate.name}` can't name a rate limit: use lower-case letters, digits, - and _")
    return f'"{rate.name}"'


def _left(decision: Decision) -> int:
    return decision.remaining if decision.allowed else 0


def _more_after_s(decision: Decision) -> int:
    return _up(decision.full_after_s if decision.allowed else decision.retry_after_s)


def _up(seconds: float) -> int:
    """Round up to whole seconds; what rounding alone puts above one does not count as the next."""
    return math.ceil(seconds - _ROUNDING_S)
