"""The customers of a simulation: most come now and then with a few pictures, some never stop."""

import asyncio
import math
import random
from dataclasses import dataclass, field

from penstock.jobs.flow import Flow
from penstock.jobs.submit import submit
from penstock.jobs.view import own_view
from penstock.kit.database import Transaction
from tests.support.flows import fund, order

DAY_S = 86_400.0
GREEDY_LOOK_S = 15.0
FUNDS = 10_000_000

QUEUED = "SELECT COUNT(*) FROM jobs WHERE account_id = :account_id AND state IN ('waiting', 'ready')"


@dataclass(frozen=True)
class Promise:
    """What a customer was told at submit: seconds until the job starts, as shown."""

    job_id: str
    low_s: float
    high_s: float


@dataclass
class Crowd:
    """Everybody who comes.

    Args:
        operations: what they ask for, with weights.
        wave: how much busier the busiest hour of a day is than the mean; 0 for a steady stream.
        asked: share of the customers who look at the wait that they are told.
    """

    flow: Flow
    chance: random.Random
    operations: dict[str, float]
    wave: float = 0.6
    asked: float = 0.3
    promises: list[Promise] = field(default_factory=list)
    submitted: int = 0
    _known: set[str] = field(default_factory=set)

    async def visitor(self, account_id: str, plan: str, visits_per_day: float, jobs_per_visit: float) -> None:
        """Come again and again, each time with a handful of jobs (geometric)."""
        while True:
            await asyncio.sleep(self.chance.expovariate(visits_per_day * (1 + self.wave) / DAY_S))
            if self.chance.random() * (1 + self.wave) > self._busy():
                continue  # thinning: fewer come in the quiet hours
            await self._submit(account_id, plan)
            while self.chance.random() > 1 / jobs_per_visit:
                await self._submit(account_id, plan)

    async def greedy(self, account_id: str, plan: str, queued: int) -> None:
        """Never have fewer than `queued` jobs waiting."""
        while True:
            waiting = await self.flow.database.read(_queued, account_id)
            for _ in range(queued - waiting):
                await self._submit(account_id, plan)
            await asyncio.sleep(GREEDY_LOOK_S)

    def _busy(self) -> float:
        turn = 2 * math.pi * asyncio.get_running_loop().time() / DAY_S
        return 1 - self.wave * math.cos(turn)

    async def _submit(self, account_id: str, plan: str) -> None:
        if account_id not in self._known:
            self._known.add(account_id)
            await fund(self.flow, account_id, FUNDS)
        names, weights = list(self.operations), list(self.operations.values())
        (operation,) = self.chance.choices(names, weights)
        accepted = await submit(self.flow, order(self.flow, account_id, operation, plan=plan))
        self.submitted += 1
        if self.chance.random() < self.asked:
            view = await self.flow.database.read(own_view, self.flow, account_id, accepted.job_id)
            if view.wait is not None:
                self.promises.append(Promise(accepted.job_id, view.wait.low_s, view.wait.high_s))


def _queued(tx: Transaction, account_id: str) -> int:
    return int(tx.value(QUEUED, account_id=account_id))
