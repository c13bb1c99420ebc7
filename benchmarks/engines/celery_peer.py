"""Celery on Redis: a worker with two processes (prefork) that acknowledges before it runs, no results, as it starts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from celery import Celery

from benchmarks.engines import noop_jobs
from benchmarks.engines.place import server_url
from benchmarks.engines.report import NOTE

NAME = "benchmarks.engines.celery_peer"
WORKER = ["-m", "celery", "--app", NAME, "worker", "--concurrency", "2", "--loglevel", "ERROR"]
LOOKS_EVERY_S = 0.0  # it is woken

app = Celery("bench", broker=server_url())
JOBS = {job.__name__: app.task(job, name=job.__name__) for job in (noop_jobs.mark, noop_jobs.tell_start)}


@asynccontextmanager
async def opened() -> AsyncIterator[object]:
    """Yield what enqueues a job."""

    async def enqueue(job: str, address: str) -> None:
        JOBS[job].delay(NOTE, address)

    yield enqueue
