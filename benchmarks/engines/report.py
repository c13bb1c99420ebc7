"""What a racing engine hands back: one line of JSON on standard output, and what it spent on it."""

import json
import resource
import statistics
import sys
from collections.abc import Mapping, Sequence

NOTE = "the words of a job"  # what each job carries, whatever the engine


def hand_in(measured: Mapping[str, float]) -> None:
    """Print the measurements as the last line; `benchmarks.engines.contest` reads it."""
    json.dump(measured, sys.stdout)
    print(flush=True)


def cpu_s() -> float:
    """Return the seconds of CPU that this process and its ended children have used, all threads together."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def points(waits_ms: Sequence[float]) -> dict[str, float]:
    """Return the median and the 95th percentile of waits."""
    return {"p50": statistics.median(waits_ms), "p95": statistics.quantiles(waits_ms, n=20)[-1]}
