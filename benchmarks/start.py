"""From submit to start when nothing else is going on: milliseconds, median and 95th percentile, beside the peers.

Ours is measured as it runs by default, server and worker in one process, from before `submit` to the provider's first
instruction; so is Huey's thread. Every other peer's worker is a process of its own, as its documentation has it.
"""

from pathlib import Path

from benchmarks.engines.contest import Measured, race
from benchmarks.figure import Figure

GROUP = "start"
JOBS, DBOS_JOBS = 80, 20  # in a round; DBOS looks once in a second

BESIDE = {
    "idle": ("rq.simple", "huey.sqlite"),
    "postgres": ("rq.simple", "celery.prefork", "streaq", "taskiq", "procrastinate", "dbos"),
}


def figures(out: Path) -> list[Figure]:
    """Measure, the engines in turns; `out` stays empty."""
    return compare(race(contenders()))


def contenders(jobs: int = JOBS, dbos: int = DBOS_JOBS) -> dict[str, list[str]]:
    """Return the engines that race."""
    commands = {
        "idle": ["ours", "idle"],
        "rq.simple": ["rq_peer", "idle"],
        "huey.sqlite": ["huey_peer", "idle"],
        "postgres": ["ours", "idle", "--on", "postgres"],
        "celery.prefork": ["on_redis", "celery", "idle"],
        "streaq": ["on_redis", "streaq", "idle"],
        "taskiq": ["on_redis", "taskiq", "idle"],
        "procrastinate": ["on_postgres", "procrastinate", "idle"],
        "dbos": ["on_postgres", "dbos", "idle"],
    }
    return {
        name: [f"benchmarks.engines.{program}", *rest, "--jobs", str(dbos if name == "dbos" else jobs)]
        for name, (program, *rest) in commands.items()
    }


def compare(measured: dict[str, Measured]) -> list[Figure]:
    """Turn the medians of the rounds into figures; a ratio below 1 says that we start sooner."""
    found = []
    for ours, peers in BESIDE.items():
        for point in ("p50", "p95"):
            waited = measured[ours][point]
            ratios = {peer: waited / measured[peer][point] for peer in peers}
            found.append(Figure(f"start.{ours}.{point}", waited, "ms", ratios))
    return found
