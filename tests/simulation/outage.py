"""A provider that fails for ten minutes under load, while another one takes less than comes."""

import asyncio
import random
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from penstock.jobs import worker
from penstock.jobs.capacity import WINDOW_S
from penstock.jobs.submit import submit
from penstock.kit.database import Transaction
from penstock.ledger import service as ledger
from penstock.product.schema import Product
from penstock.product.schema_providers import ProviderLimits
from tests.simulation.hours import POLL_S
from tests.simulation.machines import Machine, Town
from tests.simulation.vendor import Vendor
from tests.simulation.virtual import VirtualClock, VirtualDatabase, play
from tests.support.flows import PRODUCT, fund, make_product, make_schema, order

DOWN = (600.0, 1_200.0)  # seconds since the beginning
END_S = 2_400.0
COMES_EVERY_S = 1.0  # a job
TAKES_S = 5.0
MACHINES, SLOTS, CUSTOMERS = 3, 4, 40
SPARE = ProviderLimits(requests_per_minute=30)
SPARE_CAN = 30 / WINDOW_S * (DOWN[1] - DOWN[0])  # jobs in the time that the other is down
FUNDS = 1_000_000


@dataclass(frozen=True)
class Outage:
    """What it came to; times in seconds since the beginning.

    Args:
        unfinished: jobs that had not ended ten minutes after the last one came.
    """

    submitted: int
    failed: int
    unfinished: int
    violations: list[str]
    main: Vendor
    spare: Vendor

    @property
    def sends_each(self) -> float:
        """How often a provider was asked for each job."""
        return (self.main.asked + self.spare.asked) / self.submitted


def within(moments: list[float], start: float, end: float) -> int:
    """Count the moments from `start` to before `end`."""
    return sum(start <= moment < end for moment in moments)


def outage(folder: Path, seed: int = 1) -> Outage:
    """Play; `folder` must be empty."""
    with patch.object(worker, "POLL_S", POLL_S):
        return play(lambda: _play(folder, random.Random(seed)))


def _product() -> Product:
    providers = {
        "main": {"adapter": "local", "concurrency": 100},
        "spare": {"adapter": "local", "concurrency": 100, "limits": SPARE.model_dump(exclude_none=True)},
    }
    return make_product(providers=providers, operations={"twofold": PRODUCT["operations"]["twofold"]})


async def _play(folder: Path, chance: random.Random) -> Outage:
    clock = VirtualClock(asyncio.get_running_loop())
    path = folder / "penstock.sqlite3"
    make_schema(path)
    database = VirtualDatabase(path, clock=clock)
    main = Vendor("main", {"echo": TAKES_S}, random.Random(chance.random()), down=DOWN)
    spare = Vendor("spare", {"echo": TAKES_S}, random.Random(chance.random()), limits=SPARE)
    town = Town(database, clock, _product(), {"main": main, "spare": spare}, chance)
    machines = [Machine(town, SLOTS) for _ in range(MACHINES)]
    for machine in machines:
        await machine.start()
    submitted = await _come(town, chance)
    await asyncio.sleep(600)
    for machine in machines:
        await machine.kill()
    failed, unfinished, violations = await database.read(_ends)
    await database.close()
    return Outage(submitted, failed, unfinished, violations, main, spare)


async def _come(town: Town, chance: random.Random) -> int:
    """Submit jobs until the end; returns how many."""
    flow, submitted = town.flow(), 0
    for number in range(CUSTOMERS):
        await fund(flow, f"acc_{number}", FUNDS)
    while asyncio.get_running_loop().time() < END_S:
        await submit(flow, order(flow, f"acc_{submitted % CUSTOMERS}", "twofold", plan="open"))
        submitted += 1
        await asyncio.sleep(chance.expovariate(1 / COMES_EVERY_S))
    return submitted


def _ends(tx: Transaction) -> tuple[int, int, list[str]]:
    failed = tx.value("SELECT COUNT(*) FROM jobs WHERE state = 'failed'")
    unfinished = tx.value("SELECT COUNT(*) FROM jobs WHERE state IN ('waiting', 'ready', 'running')")
    return int(failed), int(unfinished), ledger.violations(tx)
