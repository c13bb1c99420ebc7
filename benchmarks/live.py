"""A thousand live connections to one server process: milliseconds from an event's commit to its being heard, memory.

Each of 250 customers listens on four connections and is told ten things, some hundred events a second in all, each of
which goes to four. Server and clients are a process each, on SQLite. What is lost, doubled or out of order is no figure
but a failure.
"""

from pathlib import Path

from benchmarks.engines.contest import race
from benchmarks.figure import Figure

GROUP = "live"
SOCKETS = 1_000


def figures(out: Path) -> list[Figure]:
    """Measure; `out` stays empty."""
    engine = ["benchmarks.engines.sockets", "listen", "--sockets", str(SOCKETS)]
    measured = race({"ours": engine})["ours"]
    name = f"live.sockets.{SOCKETS}"
    return [
        Figure(f"{name}.p50", measured["p50"], "ms", {}),
        Figure(f"{name}.p95", measured["p95"], "ms", {}),
        Figure(f"{name}.memory", measured["kib_each"], "KiB/connection", {}),
        Figure(f"{name}.open", measured["opened_s"], "s", {}),
    ]
