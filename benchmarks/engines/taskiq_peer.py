"""Taskiq on Redis lists: a worker process that runs up to 100 jobs at one time, no results, as it starts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from taskiq_redis import ListQueueBroker

from benchmarks.engines import noop_jobs
from benchmarks.engines.place import server_url
from benchmarks.engines.report import NOTE

WORKER = ["-m", "taskiq", "worker", "benchmarks.engines.taskiq_peer:broker", "--workers", "1"]
LOOKS_EVERY_S = 0.0  # it is woken

broker = ListQueueBroker(server_url())


@broker.task
async def mark(words: str, address: str) -> None:
    """Leave a mark."""
    noop_jobs.mark(words, address)


@broker.task
async def tell_start(words: str, address: str) -> None:
    """Tell when it started."""
    noop_jobs.tell_start(words, address)


JOBS = {"mark": mark, "tell_start": tell_start}


@asynccontextmanager
async def opened() -> AsyncIterator[object]:
    """Yield what enqueues a job."""

    async def enqueue(job: str, address: str) -> None:
        await JOBS[job].kiq(NOTE, address)

    await broker.startup()
    yield enqueue
    await broker.shutdown()
