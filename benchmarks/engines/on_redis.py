"""A peer on a Redis server of its own, as a program: `celery lifecycle`, `celery idle`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.engines.peer import main
from benchmarks.engines.redis_server import redis_cpu_s, redis_server

PEERS = ("celery", "streaq", "taskiq")


@contextmanager
def server(folder: Path) -> Iterator[tuple[str, Callable[[], float]]]:
    """Yield the address of a server and what tells the CPU that it has used."""
    with redis_server(folder) as client:
        port = client.connection_pool.connection_kwargs["port"]
        yield f"redis://127.0.0.1:{port}/0", lambda: redis_cpu_s(client)


if __name__ == "__main__":
    main(PEERS, server)
