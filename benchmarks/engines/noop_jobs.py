"""The jobs that the peers run: nothing, a mark that it was run, or a note of the moment at which it started."""

import asyncio
import os
import socket
import struct
import time
from functools import cache
from pathlib import Path

LOOK_S = 0.005  # between two looks at a tally
MOMENT = struct.Struct("<d")


def nothing(words: str) -> None:
    """Do nothing."""


def mark(words: str, address: str) -> None:
    """Make the file at `address` one byte longer, which whoever counts the jobs sees for next to nothing."""
    os.write(_opened(address), b".")


@cache
def _opened(address: str) -> int:
    return os.open(address, os.O_WRONLY | os.O_APPEND)


def tell_start(words: str, address: str) -> None:
    """Send the monotonic moment of now to the datagram socket at `address`."""
    at = time.monotonic()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(MOMENT.pack(at), address)


class StartLine:
    """The receiving end: waits for one job's start. All processes of a machine share the monotonic clock."""

    def __init__(self, address: str) -> None:
        """Listen at `address`, a path that does not exist yet."""
        self.address = address
        self._receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._receiver.bind(address)
        self._receiver.settimeout(60)

    def wait(self) -> float:
        """Return the moment at which the next job started. Errors: TimeoutError."""
        moment: float = MOMENT.unpack(self._receiver.recv(MOMENT.size))[0]
        return moment

    def close(self) -> None:
        """Stop listening."""
        self._receiver.close()


class Tally:
    """Counts the jobs that were run, whatever process ran them: each leaves a `mark`."""

    def __init__(self, address: str) -> None:
        """Count at `address`, a path that does not exist yet."""
        self.address = address
        Path(address).touch()

    async def reach(self, jobs: int, most_s: float) -> None:
        """Wait for so many jobs since the beginning. Errors: TimeoutError."""
        limit = time.monotonic() + most_s
        while (counted := Path(self.address).stat().st_size) < jobs:
            if time.monotonic() > limit:
                raise TimeoutError(f"after {most_s:.0f} s {counted} of {jobs} jobs had run")
            await asyncio.sleep(LOOK_S)
