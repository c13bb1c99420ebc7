"""Whole paid lifecycles per second on SQLite and PostgreSQL, in turns with jobs of the peers that do nothing.

A lifecycle is submit (hold, idempotency key, job, event in one transaction), claim, a provider that answers at once,
and settle (final state, capture, event in one transaction). The peers only carry a job to a worker and back: no money,
no key, no history. Theirs is counted in the same way, from the first enqueue to the end of the last job; their
`drain` leaves the enqueueing out, as `lifecycle.postgres.settle` leaves our submits out.
"""

from pathlib import Path

from benchmarks.engines.contest import Measured, race
from benchmarks.figure import Figure

GROUP = "lifecycle"

# How many jobs each engine runs in a round: some seconds each.
JOBS = {
    "full": 6_000,
    "normal": 6_000,
    "postgres": 3_000,
    "settle": 8_000,
    "huey.sqlite": 3_000,
    "rq.simple": 1_200,
    "rq.fork": 150,
    "celery.prefork": 2_500,
    "streaq": 2_000,
    "taskiq": 8_000,
    "procrastinate": 800,
    "dbos": 1_500,
}
BESIDE_SQLITE = ("rq.simple", "huey.sqlite")
BESIDE_POSTGRES = ("rq.simple", "rq.fork", "celery.prefork", "streaq", "taskiq", "procrastinate", "dbos")


def figures(out: Path) -> list[Figure]:
    """Measure, the engines in turns; `out` stays empty."""
    return compare(race(contenders()))


def contenders() -> dict[str, list[str]]:
    """Return the engines that race, with the number of jobs that each runs in a round."""
    commands = {
        "full": ["ours", "lifecycle"],
        "rq.simple": ["rq_peer", "lifecycle"],
        "huey.sqlite": ["huey_peer", "lifecycle"],
        "normal": ["ours", "lifecycle", "--durability", "normal"],
        "postgres": ["ours", "lifecycle", "--on", "postgres"],
        "rq.fork": ["rq_peer", "lifecycle", "--worker", "fork"],
        "celery.prefork": ["on_redis", "celery", "lifecycle"],
        "streaq": ["on_redis", "streaq", "lifecycle"],
        "settle": ["ours", "settle", "--on", "postgres"],
        "taskiq": ["on_redis", "taskiq", "lifecycle"],
        "procrastinate": ["on_postgres", "procrastinate", "lifecycle"],
        "dbos": ["on_postgres", "dbos", "lifecycle"],
    }
    return {
        name: [f"benchmarks.engines.{program}", *rest, "--jobs", str(JOBS[name])]
        for name, (program, *rest) in commands.items()
    }


def compare(measured: dict[str, Measured]) -> list[Figure]:
    """Turn the medians into figures, with the peers of the same run."""
    sqlite = {name: measured[name] for name in BESIDE_SQLITE}
    postgres = {name: measured[name] for name in BESIDE_POSTGRES}
    settled = measured["settle"]["rate"]
    drains = {name: settled / peer["drain_rate"] for name, peer in postgres.items()}
    return [
        *_beside("lifecycle.sqlite", measured["full"], sqlite),
        *_beside("lifecycle.sqlite_normal", measured["normal"], sqlite),
        *_beside("lifecycle.postgres", measured["postgres"], postgres),
        Figure("lifecycle.postgres.settle", settled, "settles/s", drains),
    ]


def _beside(name: str, ours: Measured, peers: dict[str, Measured]) -> list[Figure]:
    ratios = {}
    for peer, theirs in peers.items():
        ratios[peer] = ours["rate"] / theirs["rate"]
        ratios[f"{peer}.drain"] = ours["rate"] / theirs["drain_rate"]
    spent = {peer: ours["cpu_us"] / theirs["cpu_us"] for peer, theirs in peers.items()}
    return [
        Figure(name, ours["rate"], "lifecycles/s", ratios),
        Figure(f"{name}.cpu", ours["cpu_us"], "us/lifecycle", spent),
    ]
