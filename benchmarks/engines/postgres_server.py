"""A PostgreSQL server of our own on a free loopback port, as durable as it comes, gone when the measurement ends."""

from contextlib import AbstractContextManager

from tests.support.postgres import Server, server

from benchmarks.engines.report import processes_cpu_s

# A commit is on disk before it is answered, as it is where nobody changes a thing.
DURABLE = dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes"), "on")
SETTINGS = DURABLE | {"shared_buffers": "256MB", "autovacuum": "on"}


def postgres_server() -> AbstractContextManager[Server]:
    """Return a running server that has the template with Penstock's tables, for as long as a block lasts."""
    return server(**SETTINGS)


def postgres_cpu_s(running: Server) -> float:
    """Return the seconds of CPU that the server and its processes, running or ended, have used."""
    return processes_cpu_s(lambda process: running.pid in {process.pid, process.parent})
