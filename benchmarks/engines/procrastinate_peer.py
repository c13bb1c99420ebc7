"""Procrastinate on PostgreSQL: a worker that runs one job at a time and is woken by NOTIFY, as it starts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from procrastinate import App, PsycopgConnector

from benchmarks.engines import noop_jobs
from benchmarks.engines.place import server_url
from benchmarks.engines.report import NOTE

NAME = "benchmarks.engines.procrastinate_peer"
WORKER = ["-m", "procrastinate", "--app", f"{NAME}.app", "worker"]
LOOKS_EVERY_S = 0.0  # it is woken

app = App(connector=PsycopgConnector(conninfo=server_url()))


@app.task(name="mark")
async def mark(words: str, address: str) -> None:
    """Leave a mark."""
    noop_jobs.mark(words, address)


@app.task(name="tell_start")
async def tell_start(words: str, address: str) -> None:
    """Tell when it started."""
    noop_jobs.tell_start(words, address)


JOBS = {"mark": mark, "tell_start": tell_start}


@asynccontextmanager
async def opened() -> AsyncIterator[object]:
    """Make the tables; yield what enqueues a job."""

    async def enqueue(job: str, address: str) -> None:
        await JOBS[job].defer_async(words=NOTE, address=address)

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        yield enqueue
