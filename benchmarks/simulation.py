"""A thousand hours of business under virtual time: waits, fairness, the told range, provider refusals, the books.

The real submit, queue, worker, run, settle and maintenance, on SQLite, with machines that are killed and deployed and
a provider that fails now and then (`tests/simulation`). Scenarios take turns over many seeds, on two processes.
"""

import logging
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import structlog
from tests.simulation.hours import PLANS, Hours, Outcome, coverage, simulate, waits_of

from benchmarks.figure import Figure
from penstock.product.schema_providers import ProviderLimits

GROUP = "simulation"
PROCESSES = 2
HOURS = 1_000.0
LIMITS = ProviderLimits(requests_per_minute=10, tokens_per_minute=12_500, concurrency=10, tokens_each=2_000)

# What is played again and again, each time with another seed, until `HOURS` are over.
SCENARIOS = {
    "days": Hours(seed=0, hours=24, people=500, load=0.7),
    "busy": Hours(seed=0, hours=10, people=500, load=0.9, wave=0),
    "overload": Hours(seed=0, hours=10, people=500, load=1.1, wave=0),
    "greedy": Hours(seed=0, hours=10, people=200, load=0.4, greedy=3, wave=0),
    "twice": Hours(seed=0, hours=6, people=500, load=2.0, wave=0, limits=LIMITS),
}


def figures(out: Path) -> list[Figure]:
    """Play all hours; `out` stays empty."""
    planned = plan(HOURS)
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn"), initializer=_quiet) as pool:
        outcomes = list(pool.map(played, [hours for _, hours in planned]))
    return told([name for name, _ in planned], [hours.hours for _, hours in planned], outcomes)


def plan(hours: float) -> list[tuple[str, Hours]]:
    """Return what to play: every scenario in turn with a new seed, until there are so many hours."""
    planned: list[tuple[str, Hours]] = []
    while sum(each.hours for _, each in planned) < hours:
        name = list(SCENARIOS)[len(planned) % len(SCENARIOS)]
        values = SCENARIOS[name].__dict__ | {"seed": len(planned)}
        planned.append((name, Hours(**values)))
    return planned


def played(hours: Hours) -> Outcome:
    """Play in a folder that goes away."""
    with tempfile.TemporaryDirectory() as folder:
        return simulate(hours, Path(folder))


def told(names: Sequence[str], hours: Sequence[float], outcomes: Sequence[Outcome]) -> list[Figure]:
    """Turn what came of it into figures."""
    figure = partial(Figure, ratios={})
    found = [
        figure("simulation.hours", sum(hours), "hours"),
        figure("simulation.jobs", sum(each.submitted for each in outcomes), "jobs"),
        figure("simulation.unfinished", sum(each.unfinished for each in outcomes), "jobs"),
        figure("simulation.violations", sum(len(each.violations) for each in outcomes), "violations"),
        figure("simulation.refused", sum(each.refused for each in outcomes), "requests"),
        figure("simulation.unfairness", max(each.unfairness for each in outcomes), "share"),
        figure("simulation.coverage", coverage(outcomes)[0], "share"),
    ]
    for name in SCENARIOS:
        of_it = [each for each, scenario in zip(outcomes, names, strict=True) if scenario == name]
        if not of_it:
            continue
        found.append(figure(f"simulation.coverage.{name}", coverage(of_it)[0], "share"))
        for plan_name in PLANS:
            for which, wait_s in zip(("p50", "p95", "worst"), waits_of(of_it, plan_name), strict=True):
                found.append(figure(f"simulation.wait.{name}.{plan_name}.{which}", wait_s, "s"))
    return found


def _quiet() -> None:
    """Write no log: hours of it in seconds tell nobody anything."""
    structlog.configure(processors=[_drop])
    logging.disable()


def _drop(_logger: object, _method: str, _event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    raise structlog.DropEvent
