"""The jobs that the peers run: nothing, or a note of the moment at which it started."""

import socket
import struct
import time

MOMENT = struct.Struct("<d")


def nothing(words: str) -> None:
    """Do nothing."""


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
