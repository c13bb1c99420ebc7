"""Maintenance: mends what crashes left behind and ends what has waited too long. Every step may be repeated or cut.

Each mend is a transaction of its own, with the wallet locked first like everywhere else; a crash between two only
leaves work for the next look. Of all processes one at a time does a chore (`turns.py`); the others see that it is not
due yet, and go on with it if that one dies.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from penstock.jobs import cache, capacity, queries, queue, roster, settle, turns
from penstock.jobs.failure import told
from penstock.jobs.flow import Flow
from penstock.jobs.run import cancel_at_provider
from penstock.jobs.settle import Ending
from penstock.jobs.states import FINAL
from penstock.kit.checkpoints import checkpoint
from penstock.kit.database import DatabaseUnavailableError, Row, Transaction
from penstock.kit.ids import new_id
from penstock.ledger import service as ledger
from penstock.notify.live import sweep_events

MAX_QUEUED_S = 86_400.0  # a job that has not started by then expires, its credits go back
IDEMPOTENCY_S = 86_400.0  # how long a key is remembered
STALE_HOLD_S = 3_600.0
BATCH_ROWS = 500
LEASE_LOOK_S, SWEEP_LOOK_S = 5.0, 60.0

log = structlog.get_logger()


@dataclass(frozen=True)
class Chore:
    """Something done again and again; `every_s` seconds lie between the end of one and the start of the next.

    Args:
        everywhere: each process does it for itself, also one that only serves.
    """

    name: str
    every_s: float
    do: Callable[[], Awaitable[int]]
    everywhere: bool = False


class Maintenance:
    """Runs chores, each on its own schedule; one that fails is logged and tried again at its next turn."""

    def __init__(self, flow: Flow, extra: tuple[Chore, ...] = ()) -> None:
        """Know the flow's own chores and `extra` ones of other parts (files, plans)."""
        self._flow = flow
        self._name = new_id("mnt")
        self._tasks: list[asyncio.Task[None]] = []
        self._looked_at = flow.clock.now()
        self._patient_until = float("-inf")
        self.chores = (
            Chore("lost leases", LEASE_LOOK_S, self.mend_lost),
            Chore("queued too long", SWEEP_LOOK_S, self.expire_queued),
            Chore("stale holds", SWEEP_LOOK_S, self.release_stale),
            Chore("expired credits", SWEEP_LOOK_S, self._expire_lots),
            Chore("old keys", SWEEP_LOOK_S, self._forget_keys),
            Chore("old events", SWEEP_LOOK_S, self._forget_events),
            Chore("old reservations", SWEEP_LOOK_S, self._forget_reservations),
            Chore("old cached results", SWEEP_LOOK_S, self._forget_cached),
            Chore("silent workers", SWEEP_LOOK_S, self._forget_workers),
            *extra,
        )

    def start(self, *, shared: bool = True) -> None:
        """Begin; each chore that is due is done right away.

        Args:
            shared: do also what any process may do for all; False for one that only serves.
        """
        chosen = [chore for chore in self.chores if shared or chore.everywhere]
        self._tasks = [asyncio.create_task(self._repeat(chore), name=chore.name) for chore in chosen]

    async def stop(self) -> None:
        """Stop; what is being done is cut between two transactions."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _repeat(self, chore: Chore) -> None:
        while True:
            self._notice_sleep()
            pause_s = chore.every_s
            try:
                if chore.everywhere:
                    _log_done(chore, await chore.do())
                else:
                    pause_s = await self._turn(chore)
            except DatabaseUnavailableError as error:
                log.error("maintenance.failed", chore=chore.name, error=str(error))
            except Exception:
                log.exception("maintenance.failed", chore=chore.name)
            await asyncio.sleep(pause_s)

    async def _turn(self, chore: Chore) -> float:
        """Do a chore if it is due and nobody else is at it; returns the seconds until the next look."""
        database = self._flow.database
        left_s = await database.read(turns.due_in, chore.name)
        if 0 < left_s <= 2 * max(chore.every_s, turns.TURN_S):
            return left_s
        if not await database.write(turns.take, chore.name, self._name, chore.every_s):
            return chore.every_s
        found, pause_s = None, chore.every_s
        try:
            found = await self._hold(chore)
        except asyncio.CancelledError:
            pause_s = 0.0  # somebody else is to go on at once
            raise
        finally:
            await database.write(turns.finish, chore.name, self._name, pause_s, found)
        _log_done(chore, found)
        return chore.every_s

    async def _hold(self, chore: Chore) -> int:
        """Do a chore and keep the turn for as long as it takes."""
        doing = asyncio.ensure_future(chore.do())
        try:
            while not (await asyncio.wait([doing], timeout=turns.TURN_S / 3))[0]:
                if not await self._flow.database.write(turns.keep, chore.name, self._name):
                    log.warning("maintenance.turn_lost", chore=chore.name)  # this process stood still for too long
                    break
        finally:
            doing.cancel()
            await asyncio.wait([doing])
        return 0 if doing.cancelled() else doing.result()

    def _notice_sleep(self) -> None:
        """See whether the whole machine has slept since the last look at anything."""
        now = self._flow.clock.now()
        if now - self._looked_at > queue.LEASE_S:
            self._patient_until = now + queue.LEASE_S
        self._looked_at = now
        # Not longer than one lease either: a clock that was ahead and has been set right must not cost hours.
        self._patient_until = min(self._patient_until, now + queue.LEASE_S)

    async def mend_lost(self) -> int:
        """Take jobs away from workers that let the lease run out: back to the queue, or failed at the last try.

        After a sleep of the whole machine every lease looks lost; living workers then get one lease to renew.
        """
        self._notice_sleep()
        if self._flow.clock.now() < self._patient_until:
            return 0
        lost = await self._flow.database.read(queue.lost)
        return await self._each(lost, self._mend_one)

    async def _mend_one(self, job: Row) -> None:
        mended = await self._flow.database.write(mend, self._flow, job)
        checkpoint("maintenance.mended")
        if mended and await self._flow.database.read(_has_ended, job["id"]):
            await cancel_at_provider(self._flow, job["id"])

    async def expire_queued(self) -> int:
        """End jobs that waited longer than `MAX_QUEUED_S`."""
        before = self._flow.clock.now() - MAX_QUEUED_S
        late = await self._flow.database.read(_all, queue.QUEUED_TOO_LONG, before)
        return await self._each(late, self._expire_one)

    async def _expire_one(self, job: Row) -> None:
        ending = Ending("expired", told("expired", self._flow.products.current()))
        await self._flow.database.write(settle.leave, self._flow, job["id"], job["account_id"], ending)
        checkpoint("maintenance.expired")

    async def release_stale(self) -> int:
        """Give back what is held for jobs that have ended. None exist unless something is broken: say so loudly."""
        before = self._flow.clock.now() - STALE_HOLD_S
        stale = await self._flow.database.read(_all, queries.STALE_HOLDS, before)
        return await self._each(stale, self._release_one)

    async def _release_one(self, hold: Row) -> None:
        log.error("ledger.stale_hold", job=hold["job_id"], account=hold["account_id"])
        await self._flow.database.write(_release_stale, hold)
        checkpoint("maintenance.released")

    async def _each(self, rows: Sequence[Row], mend_one: Callable[[Row], Awaitable[None]]) -> int:
        """Mend one after another; one that can't be mended keeps none of the others waiting. Returns how many were."""
        mended = 0
        for row in rows:
            try:
                await mend_one(row)
            except DatabaseUnavailableError:
                raise
            except Exception:
                log.exception("maintenance.failed", row=row)
            else:
                mended += 1
        return mended

    async def _expire_lots(self) -> int:
        return await self._flow.database.write(ledger.expire_lots)

    async def _forget_keys(self) -> int:
        before = self._flow.clock.now() - IDEMPOTENCY_S
        return await self._flow.database.write(_run, queries.DELETE_OLD_KEYS, before)

    async def _forget_events(self) -> int:
        return await self._flow.database.write(sweep_events)

    async def _forget_reservations(self) -> int:
        return await self._flow.database.write(capacity.forget_old)

    async def _forget_cached(self) -> int:
        return await self._flow.database.write(cache.forget_unused)

    async def _forget_workers(self) -> int:
        return await self._flow.database.write(roster.forget_silent)


def _log_done(chore: Chore, count: int) -> None:
    if count:
        log.info("maintenance.done", chore=chore.name, count=count)


def mend(tx: Transaction, flow: Flow, job: Row) -> bool:
    """Requeue, fail or cancel a job whose worker is gone; False if somebody was faster."""
    ledger.lock(tx, job["account_id"])
    if not queue.still_lost(tx, job["id"], job["fence"]):
        return False
    if job["cancel_requested"]:
        return settle.end(tx, flow, job["id"], job["account_id"], job["fence"], Ending("cancelled", None))
    if job["attempts"] >= _attempts_of(tx, flow, job):
        ending = Ending("failed", told("broken", flow.products.current()))
        return settle.end(tx, flow, job["id"], job["account_id"], job["fence"], ending)
    return settle.give_back(
        tx, flow, job["id"], job["account_id"], job["fence"], attempts=job["attempts"], run_at=tx.now
    )


def _has_ended(tx: Transaction, job_id: str) -> bool:
    job = tx.one(queries.ANY_JOB, id=job_id)
    return job is not None and job["state"] in FINAL


def _attempts_of(tx: Transaction, flow: Flow, job: Row) -> int:
    """Return how many tries a job has; none where its product file can't be read any more."""
    try:
        return flow.products.at(tx, job["product_version"]).plans[job["plan"]].attempts
    except Exception:
        log.exception("job.unreadable", job=job["id"], product_version=job["product_version"])
        return 0


def _release_stale(tx: Transaction, hold: Row) -> None:
    wallet = ledger.lock(tx, hold["account_id"])
    ledger.release(tx, wallet, hold["job_id"], "Job ended: given back")


def _all(tx: Transaction, sql: str, before: float) -> list[Row]:
    return tx.all(sql, before=before, limit=BATCH_ROWS)


def _run(tx: Transaction, sql: str, before: float) -> int:
    return tx.run(sql, before=before, limit=BATCH_ROWS)
