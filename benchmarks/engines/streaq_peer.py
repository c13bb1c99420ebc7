"""streaQ on Redis: a worker that runs up to 16 jobs at one time, on one event loop, as it starts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from streaq import Worker

from benchmarks.engines import noop_jobs
from benchmarks.engines.place import server_url
from benchmarks.engines.report import NOTE

WORKER = ["-m", "streaq", "run", "benchmarks.engines.streaq_peer:worker"]
LOOKS_EVERY_S = 0.0  # it is woken

worker = Worker(redis_url=server_url())


@worker.task
async def mark(words: str, address: str) -> None:
    """Leave a mark."""
    noop_jobs.mark(words, address)


@worker.task
async def tell_start(words: str, address: str) -> None:
    """Tell when it started."""
    noop_jobs.tell_start(words, address)


JOBS = {"mark": mark, "tell_start": tell_start}


@asynccontextmanager
async def opened() -> AsyncIterator[object]:
    """Yield what enqueues a job."""

    async def enqueue(job: str, address: str) -> None:
        await JOBS[job].enqueue(NOTE, address)

    async with worker:
        yield enqueue
