"""A real Redis server for the tests: one for all of them, emptied for each test.

A test that wants to stop or kill a server starts its own (`Server`).
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis

from tests.support.ports import free_port

START_LIMIT_S = 30.0


def binary() -> str:
    """Return where the server's program is; skips the test where there is none, but fails it in CI."""
    found = shutil.which("redis-server")
    if found is None:
        advice = "there is no Redis server here: .ci/install redis-server"
        if os.environ.get("CI"):
            pytest.fail(advice)
        pytest.skip(advice)
    return found


class Server:
    """A Redis server on a free loopback port, which stays the same when it is started again. It keeps no files."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.options = folder, options
        self.port = free_port()
        self._binary = binary()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it and wait until it answers. Errors: AssertionError, with what it said."""
        files = ("--save", "", "--appendonly", "no", "--dir", str(self.folder))
        place = ("--bind", "127.0.0.1", "--port", str(self.port))
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([self._binary, *place, *files, *self.options], stdout=log, stderr=log)
        limit = time.monotonic() + START_LIMIT_S
        while not self._answers():
            said = (self.folder / "log").read_text()
            assert self._process.poll() is None, f"Redis did not start:\n{said}"
            assert time.monotonic() < limit, f"Redis does not answer:\n{said}"
            time.sleep(0.01)

    def kill(self) -> None:
        """End it as a power cut would: everything in it is gone."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def empty(self) -> None:
        """Forget everything."""
        with Redis.from_url(self.url) as client:
            client.flushall()

    def _answers(self) -> bool:
        """Say whether it speaks, also to somebody without the password."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(7).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False


@contextmanager
def server(*options: str) -> Iterator[Server]:
    """Yield a running server, and take it away."""
    folder = Path(tempfile.mkdtemp(prefix="penstock-redis-"))
    started = Server(folder, *options)
    try:
        started.start()
        yield started
    finally:
        started.kill()
        shutil.rmtree(folder, ignore_errors=True)
