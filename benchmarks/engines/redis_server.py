"""A Redis server of our own on a free loopback port, without persistence, gone when the measurement ends."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from redis.exceptions import ConnectionError as NotYetError
from tests.support.ports import free_port

START_TIMEOUT_S = 30.0
LOOK_S = 0.02


class RedisMissingError(Exception):
    """There is no `redis-server` here."""


@contextmanager
def redis_server(folder: Path) -> Iterator[Redis]:
    """Start a server that keeps its files in `folder`; yields a client. Errors: RedisMissingError, TimeoutError."""
    program = shutil.which("redis-server")
    if program is None:
        raise RedisMissingError("redis-server is missing; install it first: apt-get install redis-server")
    port = free_port()
    settings = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    server = subprocess.Popen([program, "--port", str(port), *settings], stdout=subprocess.DEVNULL)
    client = Redis(host="127.0.0.1", port=port)
    try:
        _wait(client)
        yield client
    finally:
        client.close()
        server.terminate()
        server.wait()


def redis_cpu_s(client: Redis) -> float:
    """Return the seconds of CPU that the server has used."""
    used = client.info("cpu")
    assert isinstance(used, dict)
    return float(used["used_cpu_sys"]) + float(used["used_cpu_user"])


def _wait(client: Redis) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            client.ping()
        except NotYetError:
            if time.monotonic() > deadline:
                raise TimeoutError(f"redis-server did not answer within {START_TIMEOUT_S:.0f} s") from None
            time.sleep(LOOK_S)
        else:
            return
