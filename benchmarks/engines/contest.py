"""Runs engines against each other in turns: A B C A B C, each in a fresh process, then the median of the rounds.

On a shared machine a slow minute must not hit one engine alone, and what one engine imports must not slow another.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROUNDS = 3
ENGINE_TIMEOUT_S = 180.0

Measured = dict[str, float]


class EngineFailedError(Exception):
    """An engine ended without a measurement."""


def race(engines: Mapping[str, Sequence[str]], rounds: int = ROUNDS) -> dict[str, Measured]:
    """Run every engine once in each of `rounds`; returns the median of each measurement, by engine.

    Args:
        engines: by name, the module and its arguments; `--folder` with a fresh folder is added.

    Errors: EngineFailedError with what the engine wrote.
    """
    results: dict[str, list[Measured]] = {name: [] for name in engines}
    for _ in range(rounds):
        for name, command in engines.items():
            results[name].append(run_once(name, command))
    return {name: _medians(measured) for name, measured in results.items()}


def run_once(name: str, command: Sequence[str]) -> Measured:
    """Run one engine in a fresh process and a fresh folder. Errors: EngineFailedError."""
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
        line = [sys.executable, "-m", *command, "--folder", folder]
        root = Path(__file__).resolve().parents[2]
        done = subprocess.run(line, cwd=root, capture_output=True, text=True, check=False, timeout=ENGINE_TIMEOUT_S)
    if done.returncode != 0:
        raise EngineFailedError(f"{name} ended with status {done.returncode}:\n{done.stderr.strip()}")
    measured: Measured = json.loads(done.stdout.strip().splitlines()[-1])
    return measured


def _medians(measured: Sequence[Measured]) -> Measured:
    return {key: statistics.median(one[key] for one in measured) for key in measured[0]}
