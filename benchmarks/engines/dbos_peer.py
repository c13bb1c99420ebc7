"""DBOS on PostgreSQL: a worker that looks into its queue every second and runs all that it finds, as it starts."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dbos import DBOS, DBOSClient, run_dbos_database_migrations

from benchmarks.engines import noop_jobs
from benchmarks.engines.place import server_url
from benchmarks.engines.report import NOTE

WORKER = ["-m", "benchmarks.engines.dbos_peer"]
LOOKS_EVERY_S = 1.0
QUEUE = "bench"


@DBOS.workflow(name="mark")
def mark(words: str, address: str) -> None:
    """Leave a mark."""
    noop_jobs.mark(words, address)


@DBOS.workflow(name="tell_start")
def tell_start(words: str, address: str) -> None:
    """Tell when it started."""
    noop_jobs.tell_start(words, address)


@asynccontextmanager
async def opened() -> AsyncIterator[object]:
    """Make the tables; yield what enqueues a job."""
    run_dbos_database_migrations(server_url())
    client = DBOSClient(system_database_url=server_url())

    async def enqueue(job: str, address: str) -> None:
        client.enqueue({"workflow_name": job, "queue_name": QUEUE}, NOTE, address)

    yield enqueue
    client.destroy()


def work() -> None:
    """Be a worker until the process is ended."""
    DBOS(config={"name": "bench", "system_database_url": server_url(), "log_level": "WARNING"})
    DBOS.launch()
    DBOS.register_queue(QUEUE)
    threading.Event().wait()


if __name__ == "__main__":
    work()
