"""The worker: claims ready jobs in batches, keeps their leases, and gives back what it can't finish.

It is woken by a signal and looks by itself every `POLL_S`; it renews every lease in one go every `HEARTBEAT_S`. A
task that lost its lease stops and writes nothing. If the database can't be reached for a whole lease, every task
stops: by then somebody else may hold those jobs.
"""

import asyncio
import json
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

import structlog

from penstock.jobs import capacity, queue, roster
from penstock.jobs.failure import customer_error, told
from penstock.jobs.flow import Claimed, Flow
from penstock.jobs.pool import GROW_S, Pool
from penstock.jobs.queue import FencedError
from penstock.jobs.rank import backoff
from penstock.jobs.run import Runner, cancel_at_provider
from penstock.jobs.settle import Ending, end, give_back, settle_failure
from penstock.kit.checkpoints import checkpoint
from penstock.kit.database import DatabaseUnavailableError, Row, Transaction
from penstock.kit.ids import new_id
from penstock.product.schema import Product
from penstock.providers.seam import ProviderError

POLL_S = 1.0

Stop = Literal["customer", "lost", "drain"]
Held = tuple[str, int]
"""A job's id and the fence by which this worker holds it."""

log = structlog.get_logger()


@dataclass
class _Work:
    """A job that runs here. One that was told to stop before its task took a first step only sees `stop`."""

    job: Claimed
    task: asyncio.Task[None] | None = None
    begun: bool = False
    stop: Stop | None = None

    @property
    def held(self) -> Held:
        return self.job.id, self.job.fence


@dataclass
class _Taken:
    """What one claim brought: jobs, and rows that can't be read under the product file that they came with."""

    jobs: list[Claimed] = field(default_factory=list)
    unreadable: list[Row] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.jobs) + len(self.unreadable)


class Worker:
    """Runs jobs in this process.

    Args:
        slots: jobs at one time, at most.
        least: jobs at one time when little is to do; as many as `slots` if None.
    """

    def __init__(self, flow: Flow, slots: int, least: int | None = None) -> None:
        """Make a worker that rests until `start`."""
        self.name = new_id("wkr")
        self.flow = flow
        self._pool = Pool.between(slots if least is None else least, slots)
        self._runner = Runner(flow)
        # By fence too: a job that was given back may be claimed anew before its old task has cleared up.
        self._working: dict[Held, _Work] = {}
        self._claiming: asyncio.Task[None] | None = None
        self._beating: asyncio.Task[None] | None = None
        self._wake = flow.ready.listen()
        self._look = asyncio.Event()
        self._stopped_early: set[str] | None = None  # cancelled while a claim is under way: perhaps what it brings
        self._renewed_at = flow.clock.now()
        self.draining = False

    @property
    def running(self) -> int:
        """Jobs that run here now."""
        return len(self._working)

    @property
    def slots(self) -> int:
        """Jobs that would run here at one time now."""
        return self._pool.size

    @property
    def alive(self) -> bool:
        """Whether it claims and keeps its leases: False before `start`, and if one of its loops has broken."""
        loops = (self._claiming, self._beating)
        return all(loop is not None and not loop.done() for loop in loops)

    async def start(self) -> None:
        """Begin to claim."""
        await self._sign(self._seen)
        self.flow.cancelled.append(self._cancel)
        self._claiming = asyncio.create_task(self._claim_loop(), name=f"{self.name} claims")
        self._beating = asyncio.create_task(self._heartbeat_loop(), name=f"{self.name} beats")

    async def stop(self, grace_s: float) -> None:
        """Stop claiming, give running jobs `grace_s` seconds, then give back what is left: it loses no try."""
        self.draining = True
        self._wake.set()
        if self._claiming is not None:
            await self._sign(self._seen)
            await asyncio.wait([self._claiming])  # never cut: what is being claimed right now is ours to give back
        tasks = self._tasks()
        if tasks:
            await asyncio.wait(tasks, timeout=grace_s)
        for work in list(self._working.values()):
            self._interrupt(work, "drain")
        await asyncio.gather(*self._tasks(), return_exceptions=True)
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.wait([self._beating])
            await self._sign(lambda tx: roster.gone(tx, self.name))
        self.flow.ready.forget(self._wake)
        with suppress(ValueError):
            self.flow.cancelled.remove(self._cancel)

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [work.task for work in self._working.values() if work.task is not None]

    def _seen(self, tx: Transaction) -> None:
        roster.seen(tx, self.name, self.slots, len(self._working), draining=self.draining)

    async def _sign(self, unit: Callable[[Transaction], None]) -> None:
        """Write to the roster, if that can be done: nothing depends on it."""
        try:
            await self.flow.database.write(unit)
        except DatabaseUnavailableError as error:
            log.warning("worker.not_listed", error=str(error))

    async def _claim_loop(self) -> None:
        while not self.draining:
            self._wake.clear()
            free = self.slots - len(self._working)
            claimed = await self._claim(free) if free > 0 else 0
            left = free - claimed
            if self._resize(left):
                continue
            if free == 0 or left > 0:
                await self._rest(GROW_S if left <= 0 and self._pool.size < self._pool.most else POLL_S)

    async def _rest(self, most_s: float) -> None:
        """Wait for a wake-up, and no longer than until the next look is due."""
        await _until(self._wake, most_s)

    def _resize(self, left: int) -> bool:
        """Let the pool follow the queue, with so many slots left; returns whether it has grown."""
        before, now = self._pool, self.flow.clock.now()
        self._pool = before.full(now) if left <= 0 else before.with_room(len(self._working), now)
        if self._pool.size != before.size:
            log.debug("worker.resized", slots=self._pool.size, before=before.size)
        return self._pool.size > before.size

    async def _claim(self, free: int) -> int:
        """Claim up to `free` jobs and begin them; returns how many. Trouble is logged: the next look tries again."""
        try:
            stopped = self._stopped_early = set()
            taken = await self.flow.database.write(_take, self.flow, self.name, free, self._runner.pausing())
            checkpoint("claim.committed")
            for job in taken.jobs:
                self._begin(job)
            for job_id in list(stopped):
                self._cancel(job_id)
            for row in taken.unreadable:
                await self._refuse(row)
        except DatabaseUnavailableError as error:
            log.error("worker.claim_failed", error=str(error))
            return 0
        except Exception:
            log.exception("worker.claim_failed")
            return 0
        finally:
            self._stopped_early = None
        return len(taken)

    def _begin(self, job: Claimed) -> None:
        work = _Work(job)
        self._working[work.held] = work
        work.task = asyncio.create_task(self._work(work), name=job.id)

    async def _refuse(self, row: Row) -> None:
        """End a job that can't be read (its product file is not accepted any more), or it would come back for ever."""
        error = told("broken", self.flow.products.current())
        ending = Ending("failed", error)
        await self.flow.database.write(end, self.flow, row["id"], row["account_id"], row["fence"], ending)

    async def _work(self, work: _Work) -> None:
        """Take a job to its end. Whatever goes wrong ends here: nobody awaits this task for its result."""
        try:
            try:
                await self._run(work)
            except (FencedError, DatabaseUnavailableError):
                raise
            except Exception:
                log.exception("job.broke", job=work.job.id)
                await self._give_back_broken(work.job)
        except FencedError:
            log.warning("job.lost", job=work.job.id, fence=work.job.fence)
        except DatabaseUnavailableError as error:
            log.error("job.unsettled", job=work.job.id, error=str(error))  # its lease runs out and it is taken over
        except Exception:
            log.exception("job.unsettled", job=work.job.id)
        finally:
            del self._working[work.held]
            self._wake.set()

    async def _run(self, work: _Work) -> None:
        if work.stop is None:
            work.begun = True
            try:
                await self._runner.run(work.job)
            except asyncio.CancelledError:
                if work.stop is None:
                    raise  # not by us: the event loop is closing
        if work.stop is not None:
            await self._stopped(work.job, work.stop)

    async def _stopped(self, job: Claimed, why: Stop) -> None:
        """Finish what was interrupted; a job that got to its end all the same stays as it is, by its fence."""
        match why:
            case "customer":
                await cancel_at_provider(self.flow, job.id)
                await settle_failure(self.flow, job, Ending("cancelled", None))
            case "drain":
                await self._give_back(job, self.flow.clock.now(), spent=False)
            case "lost":
                log.warning("job.lost", job=job.id, fence=job.fence)

    async def _give_back_broken(self, job: Claimed) -> None:
        if job.attempts >= job.plan.attempts:
            error = customer_error(job, ProviderError("broken", "a bug here"))
            await settle_failure(self.flow, job, Ending("failed", error))
        else:
            pause = backoff(job.attempts, self.flow.chance)
            await self._give_back(job, self.flow.clock.now() + pause, spent=True)

    async def _give_back(self, job: Claimed, run_at: float, *, spent: bool) -> None:
        await self.flow.lasting.write(
            give_back,
            self.flow,
            job.id,
            job.account_id,
            job.fence,
            attempts=job.attempts,
            run_at=run_at,
            spent=spent,
        )
        checkpoint("worker.gave_back")

    async def _heartbeat_loop(self) -> None:
        pause = queue.HEARTBEAT_S
        while True:
            await _until(self._look, pause)
            self._look.clear()
            try:
                pause = await self.heartbeat()
            except Exception:
                log.exception("worker.heartbeat_failed")
                pause = queue.HEARTBEAT_S

    async def heartbeat(self) -> float:
        """Renew every lease; stop what was lost and what its customer cancelled elsewhere.

        Returns the seconds until the next one is due: where this one failed, not later than the leases end.
        """
        asked_at = self.flow.clock.now()
        # By customer, like every unit that locks jobs of several: units that lock in one order never wait in a ring.
        held = sorted(self._working, key=lambda which: self._working[which].job.account_id)
        lasts_s = self._renewed_at + queue.LEASE_S - asked_at
        try:
            # After a sleep of the machine the leases are over; they may be ours all the same, so ask.
            async with asyncio.timeout(lasts_s if lasts_s > 0 else queue.HEARTBEAT_S):
                renewed = await self.flow.database.write(self._renew, held)
        except (DatabaseUnavailableError, TimeoutError) as error:
            log.error("worker.heartbeat_failed", error=str(error))
            left_s = self._renewed_at + queue.LEASE_S - self.flow.clock.now()
            if left_s > 0:
                return min(queue.HEARTBEAT_S, left_s)
            renewed = {}
        else:
            self._renewed_at = asked_at
        for which in held:
            work = self._working.get(which)
            if work is not None and which not in renewed:
                self._interrupt(work, "lost")
            elif work is not None and renewed[which]:
                self._interrupt(work, "customer")
        return queue.HEARTBEAT_S

    def _renew(self, tx: Transaction, held: list[Held]) -> dict[Held, bool]:
        self._seen(tx)
        return queue.renew(tx, self.name, held)

    def _cancel(self, job_id: str | None) -> None:
        if job_id is None:
            self._look.set()  # the next renewal of the leases tells which are to stop
            return
        if self._stopped_early is not None:
            self._stopped_early.add(job_id)
        for work in list(self._working.values()):
            if work.job.id == job_id:
                self._interrupt(work, "customer")

    def _interrupt(self, work: _Work, why: Stop) -> None:
        if work.stop is None:
            work.stop = why
            if work.begun and work.task is not None:
                work.task.cancel()


async def _until(event: asyncio.Event, most_s: float) -> None:
    """Wait for an event, and no longer than `most_s` seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(most_s):
            await event.wait()


def _take(tx: Transaction, flow: Flow, worker: str, free: int, pausing: Collection[str]) -> _Taken:
    taken = _Taken()
    without = capacity.blocked(tx, flow.products.current(), flow.providers, pausing)
    for row in queue.claim(tx, worker, free, without):
        try:
            job = claimed(flow.products.at(tx, row["product_version"]), row)
        except Exception:
            log.exception("job.unreadable", job=row["id"], product_version=row["product_version"])
            taken.unreadable.append(row)
            continue
        taken.jobs.append(job)
    in_order = sorted(taken.jobs, key=lambda job: job.account_id)  # see `Hub.emit`
    flow.hub.emit_all(tx, "job.started", ((job.account_id, job.id, {"attempts": job.attempts}) for job in in_order))
    checkpoint("claim.taken")
    return taken


def claimed(product: Product, row: Row) -> Claimed:
    """Read a claimed row."""
    return Claimed(
        id=row["id"],
        account_id=row["account_id"],
        operation_id=row["operation"],
        operation=product.operations[row["operation"]],
        plan_id=row["plan"],
        plan=product.plans[row["plan"]],
        product_version=row["product_version"],
        price=row["price"],
        inputs=json.loads(row["inputs"]),
        options=json.loads(row["options"]),
        fence=row["fence"],
        attempts=row["attempts"],
        started_at=row["started_at"],
        product=product,
        cache_key=row["cache_key"],
        cached_from=row["cached_from"],
    )
