"""The machines of a simulation: each a worker and its maintenance, as in a process of its own, that may be killed."""

import asyncio
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Concatenate
from weakref import WeakSet

from penstock.jobs.estimate import Estimator
from penstock.jobs.flow import Flow
from penstock.jobs.maintenance import Maintenance
from penstock.jobs.worker import Worker
from penstock.kit.clock import Clock
from penstock.kit.database import Database, P, T, Transaction
from penstock.kit.hints import LocalHints
from penstock.notify.live import Hub
from penstock.product.schema import Product
from penstock.providers.seam import Provider
from tests.simulation.virtual import owned_by
from tests.support.flows import NoFiles, OneProduct


class Cable:
    """The way from a machine to the database; once it is cut, nothing that the machine does counts any more."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.cut = False

    async def write(self, unit: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        self._check()
        return await self._database.write(unit, *args, **kwargs)

    async def write_for(
        self, owner: str, unit: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        self._check()
        return await self._database.write_for(owner, unit, *args, **kwargs)

    async def read(self, unit: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        self._check()
        return await self._database.read(unit, *args, **kwargs)

    async def close(self) -> None:
        return None

    def _check(self) -> None:
        if self.cut:
            raise asyncio.CancelledError


class Town:
    """What all machines share: the database, the wake-ups, the product and its providers."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        product: Product,
        providers: Mapping[str, Provider],
        chance: random.Random,
    ) -> None:
        self.database, self.clock, self.product = database, clock, product
        self.providers, self.chance = providers, chance
        self.hints = LocalHints()

    def flow(self, database: Database | None = None) -> Flow:
        """Return the flow of one process."""
        return Flow(
            database=database or self.database,
            clock=self.clock,
            hub=Hub(self.hints),
            products=OneProduct(self.product),
            studio=NoFiles(),
            providers=self.providers,
            folder=Path("there are no files here"),
            estimator=Estimator(),
            chance=random.Random(self.chance.random()),
        )


class Machine:
    """One process with a worker and maintenance."""

    def __init__(self, town: Town, slots: int) -> None:
        self._town, self._slots = town, slots

    async def start(self) -> None:
        """Begin to work."""
        self._cable = Cable(self._town.database)
        self._tasks: WeakSet[asyncio.Task[Any]] = WeakSet()
        self._worker = Worker(self._town.flow(self._cable), self._slots)
        self._maintenance = Maintenance(self._worker.flow)
        await asyncio.create_task(self._begin(), context=owned_by(self._tasks))

    async def _begin(self) -> None:
        self._maintenance.start()
        await self._worker.start()

    async def kill(self) -> None:
        """End it as SIGKILL and a power cut do: not one more word reaches the database."""
        self._cable.cut = True
        while doomed := [task for task in self._tasks if not task.done()]:
            for task in doomed:
                task.cancel()
            await asyncio.gather(*doomed, return_exceptions=True)

    async def stop(self, grace_s: float) -> None:
        """End it as a deployment does: running jobs get `grace_s`, and the rest goes back to the queue."""
        await self._maintenance.stop()
        await self._worker.stop(grace_s)


async def live(machine: Machine, chance: random.Random, *, life_s: float, pause_s: float, grace_s: float) -> None:
    """Let a machine run, and be killed or deployed anew after `life_s` on average, for ever."""
    await machine.start()
    while True:
        await asyncio.sleep(chance.expovariate(1 / life_s))
        await (machine.kill() if chance.random() < 0.5 else machine.stop(grace_s))
        await asyncio.sleep(chance.expovariate(1 / pause_s))
        await machine.start()
