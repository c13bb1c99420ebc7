"""Rate limits by key, behind a seam: in this process here, shared by processes in `redis_limiter`.

In process each decision is arithmetic and a dictionary; memory is bounded, and what goes first is what was used
longest ago, which at that size is as good as full again.
"""

from collections import OrderedDict
from typing import Protocol

from penstock.admission.rates import Decision, Rate, decide
from penstock.kit.clock import Clock

MAX_KEYS = 100_000  # about 20 MB


class RateLimiter(Protocol):
    """Counts what comes in under a key."""

    async def take(self, key: str, rate: Rate, cost: int = 1) -> Decision:
        """Decide whether something of size `cost` may come in under `key`, and count it if so."""
        ...


class InProcessRateLimiter:
    """A rate limiter for one process and one event loop."""

    def __init__(self, clock: Clock, max_keys: int = MAX_KEYS) -> None:
        self._clock = clock
        self._max_keys = max_keys
        self._tats: OrderedDict[tuple[str, str], int] = OrderedDict()  # longest unused first

    async def take(self, key: str, rate: Rate, cost: int = 1) -> Decision:
        """Decide and count; see `RateLimiter.take`."""
        entry = (rate.name, key)
        decision = decide(self._tats.get(entry), self._clock.now(), rate.per_second, rate.burst, cost)
        self._tats[entry] = decision.tat
        self._tats.move_to_end(entry)
        if len(self._tats) > self._max_keys:
            self._tats.popitem(last=False)
        return decision
