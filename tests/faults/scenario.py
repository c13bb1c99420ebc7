"""What happens in the process that is killed, and what the next process does to recover.

The scenario is a seeded mixture of everything a customer and an operator may do, on two workers that share the
database as two machines would. Time is a `ManualClock`: nothing waits, leases are lost by moving the clock.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from penstock.jobs import queue
from penstock.jobs.control import cancel
from penstock.jobs.flow import Flow
from penstock.jobs.maintenance import MAX_QUEUED_S, Maintenance
from penstock.jobs.order import Order
from penstock.jobs.states import FINAL
from penstock.jobs.submit import submit
from penstock.jobs.worker import Worker
from penstock.kit.clock import ManualClock
from penstock.kit.database import Transaction
from penstock.kit.errors import Problem
from penstock.kit.sqlite import SqliteDatabase
from penstock.media.queries import PENDING_FILE_S
from penstock.media.sweep import sweep
from penstock.notify.live import Hub
from tests.faults.inline import InlineDatabase, InlineExecutor
from tests.faults.world import ACCOUNTS, FileStudio, FolderStorage, Gate, SideFile, crash_product, vendors
from tests.support import flows

START = 1_800_000_000.0
ACTIONS = 10
ROUGH_EVERY = 3  # every so many seeds are rough: providers that hang, leases that are lost
SLOW_EVERY = 4  # every so many seeds see jobs that wait for a whole day
MAX_ROUNDS = 400  # looks at the database until every job has ended; far more than any job can need
OPERATIONS = ("plain", "plain", "twofold", "bought", "bought", "vendor", "vendor", "daring", "gift")
ROUGH_OPERATIONS = ("plain", "bought", "bought", "bought", "vendor")
SLOTS = 2

PRODUCT = crash_product()
_UNDER_WAY = "SELECT COUNT(*) FROM jobs WHERE state NOT IN ({})".format(", ".join(f"'{state}'" for state in FINAL))


@dataclass
class World:
    """A process: the engine on a database, two workers, and the customers' side of things."""

    flow: Flow
    clock: ManualClock
    side: SideFile
    gate: Gate
    storage: FolderStorage
    workers: list[Worker]
    maintenance: Maintenance

    async def ask(self, key: str, account: str, operation: str) -> None:
        """Submit as a customer does: with a key, and remembering what was answered."""
        self.side.note("wanted", key, account, operation)
        try:
            accepted = await submit(self.flow, self._order(key, account, operation))
        except Problem as problem:
            self.side.note("refused", key, problem.code)
        else:
            self.side.note("accepted", key, accepted.job_id)

    def _order(self, key: str, account: str, operation: str) -> Order:
        return flows.order(self.flow, account, operation, plan=ACCOUNTS[account], key=key, words=key)

    async def stop(self, job_id: str, account: str) -> None:
        """Cancel as a customer does."""
        try:
            await cancel(self.flow, account, job_id)
        except Problem as problem:
            self.side.note("not stopped", job_id, problem.code)

    async def look(self) -> int:
        """Let everything that is awake have a turn; returns how many jobs are under way."""
        self.flow.ready.wake()
        left = await self.flow.database.write(_under_way)
        for _ in range(3):
            await asyncio.sleep(0)
        return left

    async def finish(self) -> None:
        """Go on until every job has ended, then clean up after them."""
        self.gate.open()
        for _ in range(MAX_ROUNDS):
            if not await self.look():
                break
            self.clock.advance(8.0)
            for worker in self.workers:
                await worker.heartbeat()
            await self.maintenance.mend_lost()
        self.clock.advance(PENDING_FILE_S + 1)
        await self.maintenance.expire_queued()
        await sweep(self.flow.database, self.storage)


def is_rough(seed: int) -> bool:
    """Return whether the scenario of `seed` is one of the rough ones."""
    return seed % ROUGH_EVERY == 0


def _under_way(tx: Transaction) -> int:
    return int(tx.value(_UNDER_WAY))


@asynccontextmanager
async def open_world(folder: Path, seed: int, start: float = START, *, threads: bool = False) -> AsyncIterator[World]:
    """Start the engine on the database in `folder`; the clock starts at `start`."""
    clock, side, gate = ManualClock(start), SideFile(folder / "side"), Gate(0.8 if is_rough(seed) else 0.1)
    path = folder / "penstock.sqlite3"
    database = SqliteDatabase(path, clock=clock, durability="normal") if threads else InlineDatabase(path, clock=clock)
    if not threads:
        asyncio.get_running_loop().set_default_executor(InlineExecutor())
    storage = FolderStorage(folder / "files")
    flow = Flow(
        database=database,
        clock=clock,
        hub=Hub(),
        products=flows.OneProduct(PRODUCT),
        studio=FileStudio(storage, lambda: database),
        providers={vendor.name: vendor for vendor in vendors(side, seed, gate)},
        folder=folder / "work",
        chance=random.Random(seed),
    )
    world = World(flow, clock, side, gate, storage, [Worker(flow, SLOTS), Worker(flow, SLOTS)], Maintenance(flow))
    for worker in world.workers:
        await worker.start()
    try:
        yield world
    finally:
        gate.open()
        for worker in world.workers:
            await worker.stop(grace_s=0)
        await database.close()
        side.close()


async def play(folder: Path, seed: int, *, threads: bool = False) -> None:
    """Play the scenario of `seed` from the beginning to the end, unless a kill comes in between."""
    chance = random.Random(seed)
    async with open_world(folder, seed, threads=threads) as world:
        for turn in range(ACTIONS):
            await _act(world, chance, turn, rough=is_rough(seed))
            for _ in range(chance.randrange(3)):
                await world.look()
        if seed % SLOW_EVERY == 1:
            await _wait_too_long(world)
        if seed % SLOW_EVERY == 2:
            await _drain_at_work(world)
        await world.finish()


async def _act(world: World, chance: random.Random, turn: int, *, rough: bool) -> None:
    chosen = chance.random()
    if turn < 3 or chosen < 0.4:
        name = "doomed" if chance.random() < 0.15 else "job"
        account = chance.choice(list(ACCOUNTS))
        await world.ask(f"{name}-{turn}", account, chance.choice(ROUGH_OPERATIONS if rough else OPERATIONS))
    elif chosen < 0.75 and rough:
        await _lose_leases(world, chance)
    elif chosen < 0.5:
        await _ask_again(world, chance)
    elif chosen < 0.7:
        await _cancel_one(world, chance)
    elif chosen < 0.77:
        await _lose_leases(world, chance)
    elif chosen < 0.85:
        await _restart_a_worker(world, chance.randrange(len(world.workers)))
    else:
        world.clock.advance(chance.uniform(0.5, 5.0))
        for worker in world.workers:
            await worker.heartbeat()
        world.gate.let_one_through()


async def _ask_again(world: World, chance: random.Random) -> None:
    wanted = [line for line in world.side.lines() if line[0] == "wanted"]
    _, key, account, operation = chance.choice(wanted)
    await world.ask(key, account, operation)


async def _cancel_one(world: World, chance: random.Random) -> None:
    accounts = {line[1]: line[2] for line in world.side.lines() if line[0] == "wanted"}
    accepted = [(line[2], accounts[line[1]]) for line in world.side.lines() if line[0] == "accepted"]
    if accepted:
        await world.stop(*chance.choice(accepted))


async def _lose_leases(world: World, chance: random.Random) -> None:
    """Time passes, and one of the two workers doesn't notice."""
    awake = chance.choice(world.workers)
    for _ in range(2):
        world.clock.advance(queue.LEASE_S / 2 + 1)
        await awake.heartbeat()
        await world.maintenance.mend_lost()
    for _ in range(4):
        await world.look()
    world.gate.let_one_through()


async def _wait_too_long(world: World) -> None:
    await asyncio.gather(*(world.ask(f"late-{nth}", "acc_free", "plain") for nth in range(3)))
    world.clock.advance(MAX_QUEUED_S + 1)
    await world.maintenance.expire_queued()


async def _restart_a_worker(world: World, at: int) -> None:
    world.side.note("restarted")
    await world.workers[at].stop(grace_s=0)
    world.workers[at] = Worker(world.flow, SLOTS)
    await world.workers[at].start()


async def _drain_at_work(world: World) -> None:
    """Stop every worker while a provider is at work for one of them: the job goes back to the queue."""
    usual, world.gate.share = world.gate.share, 1.0
    await world.ask("drained", "acc_free", "plain")
    for _ in range(MAX_ROUNDS):
        if any(worker.running for worker in world.workers):
            break
        await world.look()
    for _ in range(6):
        await world.look()  # so that its provider is asked, and waits
    for at in range(len(world.workers)):
        await _restart_a_worker(world, at)
    world.gate.share = usual


async def recover(folder: Path, seed: int, start: float) -> None:
    """Do what the next process does: customers ask again with their keys, lost leases are mended, work goes on."""
    async with open_world(folder, seed, start) as world:
        world.gate.open()
        for kind, *rest in world.side.lines():
            if kind == "wanted":
                await world.ask(*rest)
        await world.finish()
