"""How often something may happen: the generic cell rate algorithm (GCRA), a token bucket in one number.

A key's whole state is `tat`, the theoretical arrival time: the moment at which its bucket would be full again. Each
thing let in moves it `1 / rate` seconds on; it may run at most `burst / rate` seconds ahead of now.
Source: ITU-T I.371, annex A, in its virtual scheduling form.

Inside, times are whole nanoseconds: sums of doubles of today's size drift by microseconds, enough to lose the last of
a burst.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

_NS = 1_000_000_000
_ROUNDING_NS = 1_000  # a caller who adds seconds to Unix time in doubles is this exact at best


@dataclass(frozen=True)
class Rate:
    """How much is allowed: `burst` at once, and again `per_second` of it each second. `name` is told to clients."""

    name: str
    burst: int
    per_second: float

    def __post_init__(self) -> None:
        if self.burst < 1 or not 0 < self.per_second < math.inf:
            raise ValueError(f"the rate `{self.name}` must allow something: {self.burst}, {self.per_second} a second")

    @classmethod
    def per(cls, name: str, burst: int, window_s: float) -> "Rate":
        """Return the rate that allows `burst` in each `window_s` seconds, on average."""
        return cls(name, burst, burst / window_s)

    @property
    def window_s(self) -> float:
        """Seconds in which an empty bucket fills."""
        return self.burst / self.per_second


class Decision(NamedTuple):
    """What came of asking.

    Args:
        allowed: whether it may come in.
        tat: the key's new state, in nanoseconds since 1970 UTC; unchanged where it was refused.
        retry_after_s: seconds until the same would be allowed; 0 where it was.
        remaining: how many more of size 1 could come in right now.
        full_after_s: seconds until the whole burst is there again.
    """

    allowed: bool
    tat: int
    retry_after_s: float
    remaining: int
    full_after_s: float


def decide(tat: int | None, now: float, rate: float, burst: int, cost: int = 1) -> Decision:
    """Decide whether something of size `cost` may come in.

    Args:
        tat: what the last decision for this key returned, None for a new key.
        now: seconds since 1970 UTC; may step back, which never locks a key for longer than its window.
        rate: how much comes back each second.
        burst: how much may come at once; a `cost` above it can never come in.

    Errors:
        ValueError: `cost` is not between 1 and `burst`.
    """
    if not 1 <= cost <= burst:
        raise ValueError(f"a cost of {cost} does not fit a burst of {burst}")
    now_ns, one_ns = round(now * _NS), each_ns(rate)
    window_ns = burst * one_ns
    # The upper bound holds by itself while time goes forward; after a step back it frees the key.
    start = min(max(now_ns if tat is None else tat, now_ns), now_ns + window_ns)
    moved = start + cost * one_ns
    over_ns = moved - (now_ns + window_ns)
    after = start if over_ns > 0 else moved
    return Decision(
        allowed=over_ns <= 0,
        tat=after,
        retry_after_s=(over_ns + _ROUNDING_NS) / _NS if over_ns > 0 else 0.0,
        remaining=(now_ns + window_ns - after) // one_ns,
        full_after_s=(after - now_ns) / _NS,
    )


def each_ns(rate: float) -> int:
    """Return the nanoseconds in which one comes back where `rate` do each second."""
    return max(1, round(_NS / rate))
