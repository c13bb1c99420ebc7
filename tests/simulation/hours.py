"""Hours of a town: a product, its customers, machines that are killed, and what it came to in the end."""

import asyncio
import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

from penstock.jobs import worker
from penstock.jobs.states import FINAL
from penstock.kit.database import Transaction
from penstock.ledger import service as ledger
from penstock.product.schema import Product
from penstock.product.schema_providers import ProviderLimits
from tests.simulation.machines import Machine, Town, live
from tests.simulation.people import Crowd, Promise
from tests.simulation.vendor import Vendor
from tests.simulation.virtual import VirtualClock, VirtualDatabase, play
from tests.support.flows import PRODUCT, make_product, make_schema

HOUR_S = 3_600.0
LOOK_S = 60.0
POLL_S = 5.0  # workers look so often by themselves; every second, as they do, costs most of the time of a simulation
SHOWN_S = 0.1  # a wait is told to a tenth of a second
MEAN_S = {"portrait": 25.0, "film": 90.0}  # seconds that a provider takes
OPERATIONS = {"portrait": 0.8, "film": 0.2}  # operation: share of the jobs
SLOTS = 4

PLANS: dict[str, Any] = {
    "free": {"limits": {"running": 1}},
    "basic": {"limits": {"running": 2}, "head_start_s": 60},
    "best": {"limits": {"running": 3}, "head_start_s": 300},
}


@dataclass(frozen=True)
class Hours:
    """What is played.

    Args:
        people: customers of each plan.
        load: jobs that come, as a share of what the machines (or the provider's limits) can do.
        greedy: customers of each plan that never stop; they come on top of the load.
        limits: of the one provider.
        life_s: how long a machine lives on average; None: for ever.
        failing: share of the provider's answers that are passing faults.
        wave: how much busier the busiest hour of a day is than the mean.
        drain_hours: how long the last jobs may take once nobody comes any more.
    """

    seed: int
    hours: float = 10.0
    people: int = 300
    load: float = 0.8
    greedy: int = 0
    machines: int = 3
    limits: ProviderLimits | None = None
    life_s: float | None = 2 * HOUR_S
    failing: float = 0.02
    wave: float = 0.6
    drain_hours: float = 24.0


@dataclass
class Outcome:
    """What it came to.

    Args:
        unfinished: jobs that had not ended `drain_hours` after the last one came.
        waits: seconds from submit to the first start, by plan.
        promises: what customers were told, and how long they waited.
        greedy: jobs that each customer who never stops got done, by plan.
        refused: requests that were over the provider's limits.
    """

    submitted: int
    unfinished: int
    failed: int
    waits: dict[str, list[float]]
    promises: list[tuple[Promise, float]]
    asked: int
    refused: int
    violations: list[str]
    greedy: dict[str, list[int]] = field(default_factory=dict)

    @property
    def worst_wait_s(self) -> float:
        """The longest anybody waited."""
        return max(itertools.chain.from_iterable(self.waits.values()), default=0.0)

    @property
    def unfairness(self) -> float:
        """How much more of the work one of two always-waiting customers of a plan got than another; 0 is equal."""
        return max((max(served) / max(1, min(served)) - 1 for served in self.greedy.values() if served), default=0.0)


def coverage(outcomes: Sequence[Outcome]) -> tuple[float, int]:
    """Return the share of waits that came within the range that was told, and of how many.

    A job that was told that it starts at once, and did, is not counted: there was nothing to foresee.
    """
    told = [
        (promise, waited)
        for outcome in outcomes
        for promise, waited in outcome.promises
        if promise.high_s > SHOWN_S or waited > SHOWN_S
    ]
    kept = sum(promise.low_s - SHOWN_S <= waited <= promise.high_s + SHOWN_S for promise, waited in told)
    return (kept / len(told) if told else 1.0), len(told)


def waits_of(outcomes: Sequence[Outcome], plan: str) -> tuple[float, float, float]:
    """Return the median, the 95th percentile and the worst wait of a plan, in seconds."""
    waits = sorted(wait for outcome in outcomes for wait in outcome.waits[plan])
    return median(waits), waits[int(0.95 * (len(waits) - 1))], waits[-1]


def product_of(hours: Hours) -> Product:
    """Return the town's product."""
    operations = {
        name: {
            "title": name.title(),
            "description": "For simulations",
            "task": name,
            "inputs": {"words": {"kind": "text", "title": "Words", "required": False}},
            "price": 1,
            "route": ["main"],
            "timeout_s": 3_600,
        }
        for name in OPERATIONS
    }
    plans = {name: {"title": name.title(), "description": "For simulations"} | plan for name, plan in PLANS.items()}
    limits = None if hours.limits is None else hours.limits.model_dump(exclude_none=True)
    providers = {"main": PRODUCT["providers"]["main"] | {"limits": limits}}
    return make_product(operations=operations, plans=plans, providers=providers, workers={"slots": SLOTS})


def simulate(hours: Hours, folder: Path) -> Outcome:
    """Play; `folder` must be empty."""
    with patch.object(worker, "POLL_S", POLL_S):
        return play(lambda: _hours(hours, folder))


async def _hours(hours: Hours, folder: Path) -> Outcome:
    clock = VirtualClock(asyncio.get_running_loop())
    path = folder / "penstock.sqlite3"
    make_schema(path)
    database = VirtualDatabase(path, clock=clock)
    chance = random.Random(hours.seed)
    vendor = Vendor("main", MEAN_S, random.Random(chance.random()), limits=hours.limits, failing=hours.failing)
    town = Town(database, clock, product_of(hours), {"main": vendor}, random.Random(chance.random()))
    crowd = Crowd(town.flow(), random.Random(chance.random()), OPERATIONS, hours.wave)
    machines = [Machine(town, SLOTS) for _ in range(hours.machines)]
    working = [asyncio.create_task(each) for each in _lives(machines, hours, random.Random(chance.random()))]
    coming = [asyncio.create_task(each) for each in _customers(crowd, hours)]
    await asyncio.sleep(hours.hours * HOUR_S)
    served = await database.read(_served, town.clock.now())
    await _end(coming)
    await _drained(town, hours.drain_hours * HOUR_S)
    await _end(working)
    for machine in machines:
        await machine.kill()
    outcome = await database.read(_outcome, crowd, vendor)
    outcome.greedy = {plan: [served.get(account, 0) for account in _greedy(plan, hours)] for plan in PLANS}
    await database.close()
    return outcome


def _lives(machines: list[Machine], hours: Hours, chance: random.Random) -> list[Any]:
    if hours.life_s is None:
        return [machine.start() for machine in machines]
    return [live(machine, chance, life_s=hours.life_s, pause_s=30.0, grace_s=20.0) for machine in machines]


def _customers(crowd: Crowd, hours: Hours) -> list[Any]:
    """Return the lives of all customers; best customers come as often as others, with three jobs more or less."""
    jobs_per_visit = 3.0
    visits = _jobs_per_day(hours) / jobs_per_visit / (hours.people * len(PLANS))
    common = [
        crowd.visitor(f"acc_{plan}_{number}", plan, visits, jobs_per_visit)
        for plan in PLANS
        for number in range(hours.people)
    ]
    greedy = [crowd.greedy(account, plan, queued=5) for plan in PLANS for account in _greedy(plan, hours)]
    return common + greedy


def _greedy(plan: str, hours: Hours) -> list[str]:
    return [f"acc_{plan}_greedy_{number}" for number in range(hours.greedy)]


def _jobs_per_day(hours: Hours) -> float:
    """Return the jobs that make up the load."""
    mean_s = sum(MEAN_S[name] * share for name, share in OPERATIONS.items())
    can = hours.machines * SLOTS / mean_s * 86_400
    if hours.limits is not None and hours.limits.requests_per_minute is not None:
        can = min(can, hours.limits.requests_per_minute * 1_440)
    return hours.load * can


async def _end(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(ended, Exception):
            raise ended


async def _drained(town: Town, limit_s: float) -> None:
    """Wait until every job has ended, and no longer than `limit_s` seconds."""
    limit = town.clock.now() + limit_s
    while town.clock.now() < limit and await town.database.read(_open):
        await asyncio.sleep(LOOK_S)


def _open(tx: Transaction) -> bool:
    states = ", ".join(f"'{state}'" for state in FINAL)
    return tx.one(f"SELECT 1 AS found FROM jobs WHERE state NOT IN ({states}) LIMIT 1") is not None


def _served(tx: Transaction, now: float) -> dict[str, int]:
    """Return the jobs that each customer has had done so far."""
    return {
        row["account_id"]: row["jobs"]
        for row in tx.all(
            "SELECT account_id, COUNT(*) AS jobs FROM jobs WHERE finished_at <= :now GROUP BY account_id", now=now
        )
    }


def _outcome(tx: Transaction, crowd: Crowd, vendor: Vendor) -> Outcome:
    rows = tx.all("SELECT id, plan, state, started_at - created_at AS waited FROM jobs")
    by_id = {row["id"]: row["waited"] for row in rows}
    waits: dict[str, list[float]] = {plan: [] for plan in PLANS}
    for row in rows:
        if row["waited"] is not None:
            waits[row["plan"]].append(row["waited"])
    return Outcome(
        submitted=crowd.submitted,
        unfinished=sum(row["state"] not in FINAL for row in rows),
        failed=sum(row["state"] in FINAL and row["state"] != "succeeded" for row in rows),
        waits=waits,
        promises=[(each, by_id[each.job_id]) for each in crowd.promises if by_id[each.job_id] is not None],
        asked=vendor.asked,
        refused=vendor.refused,
        violations=ledger.violations(tx),
    )
