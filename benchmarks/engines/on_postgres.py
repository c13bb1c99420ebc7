"""A peer on a PostgreSQL server of its own, as a program: `dbos lifecycle`, `dbos idle`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.engines.peer import main
from benchmarks.engines.postgres_server import postgres_cpu_s, postgres_server

PEERS = ("procrastinate", "dbos")


@contextmanager
def server(_: Path) -> Iterator[tuple[str, Callable[[], float]]]:
    """Yield the address of a database and what tells the CPU that its server has used."""
    with postgres_server() as started:
        yield started.make_database("template1"), lambda: postgres_cpu_s(started)


if __name__ == "__main__":
    main(PEERS, server)
