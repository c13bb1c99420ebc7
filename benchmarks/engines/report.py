"""What a racing engine hands back: one line of JSON on standard output, and what it spent on it."""

import json
import os
import resource
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

NOTE = "the words of a job"  # what each job carries, whatever the engine
MAX_S = 120.0  # of one measurement
IDLE_GAP_S = (0.02, 0.08)  # between two idle jobs, so that they meet every phase of a poll
WARM_UP = 5  # idle jobs that are not counted


def hand_in(measured: Mapping[str, float]) -> None:
    """Print the measurements as the last line; `benchmarks.engines.contest` reads it."""
    json.dump(measured, sys.stdout)
    print(flush=True)


def cpu_s() -> float:
    """Return the seconds of CPU that this process and its ended children have used, all threads together."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


class Process(NamedTuple):
    """A process of this machine, and the seconds of CPU that it and its ended children have used."""

    pid: int
    parent: int
    session: int
    cpu_s: float


def processes_cpu_s(counts: Callable[[Process], bool]) -> float:
    """Return the seconds of CPU of all processes that count."""
    return sum(process.cpu_s for process in map(_process, Path("/proc").glob("[0-9]*")) if process and counts(process))


def _process(folder: Path) -> Process | None:
    try:
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None  # ended since the look
    ticks = sum(int(field) for field in fields[11:15])  # user, system, and those of ended children
    return Process(int(folder.name), int(fields[1]), int(fields[3]), ticks / os.sysconf("SC_CLK_TCK"))


def points(waits_ms: Sequence[float]) -> dict[str, float]:
    """Return the median and the 95th percentile of waits."""
    return {"p50": statistics.median(waits_ms), "p95": statistics.quantiles(waits_ms, n=20)[-1]}
