"""Whole paid lifecycles per second on SQLite and PostgreSQL, in turns with no-op jobs on RQ (Redis) and Huey (SQLite).

A lifecycle is submit (hold, idempotency key, job, event in one transaction), claim, a provider that answers at once,
and settle (final state, capture, event in one transaction). The peers only carry a job to a worker and back: no money,
no key, no history. Theirs is counted in the same way, from the first enqueue to the end of the last job; their
`drain` leaves the enqueueing out.
"""

from pathlib import Path

from benchmarks.engines.contest import Measured, race
from benchmarks.figure import Figure

GROUP = "lifecycle"
OURS_JOBS, POSTGRES_JOBS, RQ_JOBS, HUEY_JOBS = 6_000, 2_000, 1_500, 3_000  # each engine some seconds in a round


def figures(out: Path) -> list[Figure]:
    """Measure, the engines in turns; `out` stays empty."""
    return compare(race(contenders()))


def contenders(
    ours: int = OURS_JOBS, postgres: int = POSTGRES_JOBS, rq: int = RQ_JOBS, huey: int = HUEY_JOBS
) -> dict[str, list[str]]:
    """Return the engines that race, with the number of jobs that each runs in a round."""
    penstock = ["benchmarks.engines.ours", "lifecycle", "--jobs"]
    return {
        "full": [*penstock, str(ours)],
        "postgres": [*penstock, str(postgres), "--on", "postgres"],
        "rq": ["benchmarks.engines.rq_peer", "lifecycle", "--jobs", str(rq)],
        "huey": ["benchmarks.engines.huey_peer", "lifecycle", "--jobs", str(huey)],
        "normal": [*penstock, str(ours), "--durability", "normal"],
    }


def compare(measured: dict[str, Measured]) -> list[Figure]:
    """Turn the medians into figures, with the peers of the same run."""
    rq, huey = measured["rq"], measured["huey"]
    found = []
    for database, engine in (("sqlite", "full"), ("sqlite_normal", "normal"), ("postgres", "postgres")):
        name, ours = f"lifecycle.{database}", measured[engine]
        rate, cpu = ours["rate"], ours["cpu_us"]
        ratios = {
            "rq.simple": rate / rq["rate"],
            "rq.simple.drain": rate / rq["drain_rate"],
            "huey.sqlite": rate / huey["rate"],
            "huey.sqlite.drain": rate / huey["drain_rate"],
        }
        found.append(Figure(name, rate, "lifecycles/s", ratios))
        spent = {"rq.simple": cpu / rq["cpu_us"], "huey.sqlite": cpu / huey["cpu_us"]}
        found.append(Figure(f"{name}.cpu", cpu, "us/lifecycle", spent))
    return found
