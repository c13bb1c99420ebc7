"""A PostgreSQL server of our own on a free loopback port, as durable as it comes, gone when the measurement ends."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.postgres import Server

from benchmarks.engines.report import processes_cpu_s

# A commit is on disk before it is answered (fsync, synchronous_commit), as it is where nobody changes a thing.
SETTINGS = {"shared_buffers": "256MB", "autovacuum": "on"}


@contextmanager
def postgres_server() -> Iterator[Server]:
    """Yield a running server that has the template with Penstock's tables."""
    folder = Path(tempfile.mkdtemp(prefix="penstock-bench-postgres-"))
    folder.chmod(0o755)
    server = Server(folder / "server", **SETTINGS)
    try:
        server.make()
        server.start()
        server.make_template()
        yield server
    finally:
        server.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


def postgres_cpu_s(server: Server) -> float:
    """Return the seconds of CPU that the server and its processes, running or ended, have used."""
    return processes_cpu_s(lambda process: server.pid in {process.pid, process.parent})
