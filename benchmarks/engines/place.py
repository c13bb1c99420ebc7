"""Where a peer finds its server: in the environment, since its worker is a process of its own."""

import os

URL = "BENCH_URL"


def server_url() -> str:
    """Return the address of the server that was started for this measurement."""
    return os.environ[URL]
