"""From submit to start when nothing else is going on: milliseconds, median and 95th percentile, beside RQ and Huey.

Ours is measured as it runs by default, server and worker in one process, from before `submit` to the provider's first
instruction; so is Huey's thread. RQ's worker is a process of its own, as RQ knows no other way.
"""

from pathlib import Path

from benchmarks.engines.contest import Measured, race
from benchmarks.figure import Figure

GROUP = "start"
JOBS = 80  # in a round


def figures(out: Path) -> list[Figure]:
    """Measure, the engines in turns; `out` stays empty."""
    return compare(race(contenders()))


def contenders(jobs: int = JOBS) -> dict[str, list[str]]:
    """Return the engines that race."""
    return {
        "ours": ["benchmarks.engines.ours", "idle", "--jobs", str(jobs)],
        "rq.simple": ["benchmarks.engines.rq_peer", "idle", "--jobs", str(jobs)],
        "huey.sqlite": ["benchmarks.engines.huey_peer", "idle", "--jobs", str(jobs)],
    }


def compare(measured: dict[str, Measured]) -> list[Figure]:
    """Turn the medians of the rounds into figures; a ratio below 1 says that we start sooner."""
    peers = [name for name in measured if name != "ours"]
    found = []
    for point in ("p50", "p95"):
        ours = measured["ours"][point]
        ratios = {peer: ours / measured[peer][point] for peer in peers}
        found.append(Figure(f"start.idle.{point}", ours, "ms", ratios))
    return found
