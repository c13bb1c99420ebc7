"""How this process is doing, for `GET /api/v1/health`: whoever routes requests here asks often, so answers are kept.

Ready means: the database answers, has the right shape and the process is not draining. Everything else that is wrong
is `degraded`: the service goes on.
"""

import asyncio
import os
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field

from penstock.app import migrate
from penstock.app.chores import LEDGER_CHORE
from penstock.app.services import Services
from penstock.jobs import queue, roster, turns
from penstock.kit.database import Transaction
from penstock.media.bucket import Bucket, UnusableBucketError
from penstock.observability import metrics
from penstock.observability.load import Load, machine_load

KEEP_S = 1.0  # how long an answer is given again
DATABASE_S = 2.0  # by when the database must have answered
BUCKET_S = 2.0  # by when an object storage must have
KEEP_BUCKET_S = 10.0  # how long its answer counts: it is paid by the request
MAX_FREE_SHARE_USED = 0.98  # of the disk: beyond that, storing will fail soon
Check = Literal["ok", "failed"]

log = structlog.get_logger()


class LoadView(BaseModel):
    """How much of the machine is in use, 0 to 1."""

    level: float = Field(description="the scarcest of the others")
    cpu: float
    memory: float


class QueueView(BaseModel):
    """The queue, of all customers."""

    waiting: int
    running: int
    oldest_wait_s: float | None = Field(description="how long the oldest waiting job has waited; null: none waits")


class HealthView(BaseModel):
    """How this server is doing."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "ok",
                    "load": {"level": 0.41, "cpu": 0.22, "memory": 0.41},
                    "queue": {"waiting": 3, "running": 2, "oldest_wait_s": 12.5},
                    "version": "0.1.0",
                    "checks": {"database": "ok", "ledger": "ok", "migrations": "ok", "storage": "ok", "workers": "ok"},
                }
            ]
        }
    )

    status: Literal["ok", "degraded"]
    load: LoadView
    queue: QueueView
    version: str
    checks: dict[str, str]


@dataclass
class Health:
    """Looks at one process's services."""

    services: Services
    _kept: tuple[float, HealthView, bool] | None = None
    _bucket: tuple[float, Check] | None = None
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def view(self) -> tuple[HealthView, bool]:
        """Return how it is, and whether requests should come here."""
        async with self._asking:
            if self._kept is None or time.monotonic() - self._kept[0] > KEEP_S:
                self._kept = (time.monotonic(), *await self._look())
            _, view, ready = self._kept
        return view, ready and not self.services.draining

    async def _look(self) -> tuple[HealthView, bool]:
        load = await asyncio.to_thread(machine_load)
        found, checks = await self._database()
        checks["storage"] = await self._storage()
        checks["ledger"] = "failed" if found.violations else "ok"
        checks["workers"] = _workers(self.services, found.alive)
        checks |= self.services.shared.checks()
        ready = checks["database"] == checks["migrations"] == "ok"
        well = all(check == "ok" for check in checks.values()) and not self.services.draining
        _measure(load, found, self.services)
        view = HealthView(
            status="ok" if well else "degraded",
            load=LoadView(level=load.level, cpu=load.cpu, memory=load.memory),
            queue=found.queue,
            version=version("penstock"),
            checks=dict(sorted(checks.items())),
        )
        return view, ready

    async def _database(self) -> tuple["_Found", dict[str, str]]:
        try:
            async with asyncio.timeout(DATABASE_S):
                found, revision = await self.services.database.read(_look)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is not well
            log.error("health.database_failed", error=str(error))
            return _Found(), {"database": "failed", "migrations": "failed"}
        return found, {"database": "ok", "migrations": "ok" if revision == migrate.newest() else "failed"}

    async def _storage(self) -> Check:
        folder = await asyncio.to_thread(_folder, self.services)
        bucket = self.services.storage.bucket
        if bucket is None or folder == "failed":
            return folder
        if self._bucket is None or time.monotonic() - self._bucket[0] > KEEP_BUCKET_S:
            self._bucket = (time.monotonic(), await _look_at(bucket))
        return self._bucket[1]


async def _look_at(bucket: Bucket) -> Check:
    """Say whether an object storage answers."""
    try:
        async with asyncio.timeout(BUCKET_S):
            await bucket.look()
    except (UnusableBucketError, TimeoutError) as error:
        log.error("health.storage_failed", error=str(error) or f"no answer within {BUCKET_S:g} seconds")
        return "failed"
    return "ok"


@dataclass(frozen=True)
class _Found:
    """What the database says; `alive` is None where it says nothing."""

    queue: QueueView = field(default_factory=lambda: QueueView(waiting=0, running=0, oldest_wait_s=None))
    alive: roster.Alive | None = None
    violations: int = 0


def _look(tx: Transaction) -> tuple[_Found, str | None]:
    revision = tx.value("SELECT version_num FROM alembic_version")
    return _Found(_queue(tx), roster.alive(tx), turns.last_found(tx, LEDGER_CHORE)), revision


def _queue(tx: Transaction) -> QueueView:
    depth = tx.one(queue.DEPTH)
    assert depth is not None
    oldest = None if depth["oldest"] is None else round(max(0.0, tx.now - depth["oldest"]), 1)
    return QueueView(waiting=depth["queued"], running=int(tx.value(queue.RUNNING)), oldest_wait_s=oldest)


def _folder(services: Services) -> Check:
    """Say whether files can be stored here: the folder is there, is ours to write, and the disk is not full.

    What lies in a bucket passes through this disk, too.
    """
    try:
        disk = os.statvfs(services.folder.files)
    except OSError:
        return "failed"
    full = disk.f_blocks and 1 - disk.f_bavail / disk.f_blocks > MAX_FREE_SHARE_USED
    return "failed" if full or not os.access(services.folder.files, os.W_OK) else "ok"


def _workers(services: Services, alive: roster.Alive | None) -> str:
    """Say how the worker here is, or where only others work, whether there are any."""
    if services.draining:
        return "draining"
    if services.worker is None:
        return "none" if alive is not None and not alive.workers else "ok"
    return "ok" if services.worker.alive else "failed"


def _measure(load: Load, found: _Found, services: Services) -> None:
    metrics.LOAD.labels("cpu").set(load.cpu)
    metrics.LOAD.labels("memory").set(load.memory)
    metrics.JOBS_QUEUED.set(found.queue.waiting)
    metrics.JOBS_RUNNING.set(found.queue.running)
    metrics.OLDEST_WAIT.set(found.queue.oldest_wait_s or 0)
    metrics.LEDGER_VIOLATIONS.set(found.violations)
    if found.alive is not None:
        metrics.WORKERS.set(found.alive.workers)
        metrics.WORKERS_SLOTS.set(found.alive.slots)
    metrics.WORKER_RUNNING.set(0 if services.worker is None else services.worker.running)
    metrics.WORKER_SLOTS.set(0 if services.worker is None else services.worker.slots)
