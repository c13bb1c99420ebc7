"""A provider that keeps to its own limits to the letter and counts whom it had to refuse."""

import asyncio
import random
from collections import deque
from collections.abc import Mapping

from penstock.product.schema_providers import ProviderLimits
from penstock.providers.seam import Attempt, Finished, Health, ProviderError, Request, Running, Submitted

MINUTE_S = 60.0
FAILS_AFTER_S = 0.2  # how long it takes to hear that it is down
REFUSED_S = 20.0  # how long somebody who was refused is told to wait


class Vendor:
    """Works for a while on each request; over its limits it refuses.

    Args:
        mean_s: seconds that a request takes, by task.
        failing: share of the requests that fail in passing.
        down: from when to when it does nothing but fail, in seconds since the beginning.
    """

    def __init__(
        self,
        name: str,
        mean_s: Mapping[str, float],
        chance: random.Random,
        *,
        limits: ProviderLimits | None = None,
        failing: float = 0.0,
        down: tuple[float, float] | None = None,
    ) -> None:
        self.name, self.tasks = name, frozenset(mean_s)
        self.billed = self.reattachable = False
        self._mean_s, self._chance, self._limits, self._failing = mean_s, chance, limits, failing
        self._recent: deque[tuple[float, int]] = deque()
        self._under_way = 0
        self._down = down
        self.refused = 0
        self.asked_at: list[float] = []
        self.done_at: list[float] = []

    @property
    def asked(self) -> int:
        """How often it was asked."""
        return len(self.asked_at)

    async def submit(self, request: Request, attempt: Attempt) -> Submitted | Finished:
        now = asyncio.get_running_loop().time()
        self.asked_at.append(now)
        if self._down is not None and self._down[0] <= now < self._down[1]:
            await asyncio.sleep(FAILS_AFTER_S)
            raise ProviderError("transient", "down")
        tokens = self._chance.randrange(500, 2_000)
        self._admit(now, tokens)
        self._under_way += 1
        try:
            await asyncio.sleep(self._chance.lognormvariate(0, 0.4) * self._mean_s[request.task])
        finally:
            self._under_way -= 1
        if self._chance.random() < self._failing:
            raise ProviderError("transient", "as planned")
        self.done_at.append(asyncio.get_running_loop().time())
        return Finished(values={}, tokens=tokens)

    def _admit(self, now: float, tokens: int) -> None:
        if self._limits is None:
            return
        while self._recent and self._recent[0][0] <= now - MINUTE_S:
            self._recent.popleft()
        over = (
            (self._limits.requests_per_minute is not None and len(self._recent) >= self._limits.requests_per_minute)
            or (self._limits.concurrency is not None and self._under_way >= self._limits.concurrency)
            or (
                self._limits.tokens_per_minute is not None
                and sum(used for _, used in self._recent) >= self._limits.tokens_per_minute
            )
        )
        if over:
            self.refused += 1
            raise ProviderError("limited", "too many requests")
        self._recent.append((now, tokens))

    async def poll(self, reference: str, request: Request) -> Running | Finished:
        raise NotImplementedError

    async def cancel(self, reference: str) -> None:
        return None

    async def health(self) -> Health:
        return Health(ok=True)

    async def close(self) -> None:
        return None
