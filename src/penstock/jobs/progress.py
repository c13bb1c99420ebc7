"""Progress on its way to the customer: as often as a provider reports, written only as often as someone can read."""

import asyncio

import structlog

from penstock.jobs import queue
from penstock.jobs.flow import Claimed, Flow
from penstock.kit.database import DatabaseUnavailableError, Transaction

WRITE_EVERY_S = 0.4

log = structlog.get_logger()


class ProgressWriter:
    """Writes the newest of what was reported about one job, at most every `WRITE_EVERY_S`."""

    def __init__(self, flow: Flow, job: Claimed) -> None:
        """Write nothing until something is reported."""
        self._flow, self._job = flow, job
        self._newest: tuple[str, float | None] | None = None
        self._writing: asyncio.Task[None] | None = None
        self._stopped = False
        self.provider: str | None = None

    def report(self, stage: str, progress: float | None) -> None:
        """Take a stage and how much of it all is done (0..1), on the event loop; ignored after `stop`."""
        if self._stopped:
            return
        self._newest = (stage, progress)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    async def stop(self) -> None:
        """Stop writing: the job is about to end."""
        self._stopped, self._newest = True, None
        if self._writing is not None and not self._writing.done():
            self._writing.cancel()
            await asyncio.wait([self._writing])  # waited for, not awaited: only a cancellation of the caller is raised

    async def _write(self) -> None:
        while self._newest is not None:
            (stage, progress), self._newest = self._newest, None
            try:
                await self._flow.database.write(self._store, stage, progress)
            except DatabaseUnavailableError as error:  # the next report may get through; the lease decides otherwise
                log.warning("job.progress_lost", job=self._job.id, error=str(error))
            await asyncio.sleep(WRITE_EVERY_S)

    def _store(self, tx: Transaction, stage: str, progress: float | None) -> None:
        job = self._job
        held = tx.run(
            queue.PROGRESS, id=job.id, fence=job.fence, stage=stage, progress=progress, provider=self.provider
        )
        if held:
            content = {"stage": stage, "progress": progress}
            self._flow.hub.emit(tx, job.account_id, job.id, "job.progress", content)
