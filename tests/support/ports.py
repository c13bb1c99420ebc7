"""Ports for servers that a test may stop and start again at the same place."""

import random
import socket

PORTS = (10_100, 32_000)
"""Below those that the system gives to connections: none can take the port of a server that is away. And above the
last one that browsers refuse to speak with."""


def free_port() -> int:
    """Return a loopback port that nothing listens on."""
    for port in random.sample(range(*PORTS), 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("every port is taken")
