"""Holds and captures per second on PostgreSQL, with many wallets and with a single hot one, beside a stored procedure.

A hold and its capture are two transactions; 50 requests are open at one time. The peer does the same accounting on the
same tables in one call each, so that nothing travels but the call: the least that this work can cost from outside.
"""

from pathlib import Path

from benchmarks.engines.contest import Measured, race
from benchmarks.figure import Figure

GROUP = "ledger"
WALLETS = {"wallets": 1_000, "hot": 1}
PAIRS = {"wallets": 4_000, "hot": 1_000}  # in a round


def figures(out: Path) -> list[Figure]:
    """Measure, both ways in turns; `out` stays empty."""
    return compare(race(contenders()))


def contenders() -> dict[str, list[str]]:
    """Return what races: each way of doing it, with each number of wallets."""
    return {
        f"{how}.{kind}": [
            *("benchmarks.engines.holds", how),
            *("--wallets", str(WALLETS[kind]), "--pairs", str(PAIRS[kind])),
        ]
        for kind in WALLETS
        for how in ("ours", "procedure")
    }


def compare(measured: dict[str, Measured]) -> list[Figure]:
    """Turn the medians into figures."""
    found = []
    for kind in WALLETS:
        ours, peer = measured[f"ours.{kind}"], measured[f"procedure.{kind}"]
        name = f"ledger.postgres.{kind}"
        found.append(Figure(name, ours["rate"], "pairs/s", {"procedure": ours["rate"] / peer["rate"]}))
        found.append(Figure(f"{name}.cpu", ours["cpu_us"], "us", {"procedure": ours["cpu_us"] / peer["cpu_us"]}))
    return found
