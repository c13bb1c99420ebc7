"""Runs benchmarks: `python -m benchmarks.run [NAME]`, or `make bench ONLY=NAME`.

A module in one of `PLACES` is a benchmark when it has `GROUP`, a name, and `figures(out)`, which measures and returns
figures; `out` is a folder for pictures and the like. NAME is a group or the name of a figure (or its first parts);
without it every group runs. Each group's figures go to `benchmarks/results/GROUP.json`, the machine's description to
`machine.json` beside them.
"""

import argparse
import importlib
import json
import pkgutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType

from benchmarks import machine
from benchmarks.figure import Figure

ROOT = Path(__file__).resolve().parents[1]
RESULTS, OUT = ROOT / "benchmarks" / "results", ROOT / "out"
PLACES = ("benchmarks", "benchmarks.pictures")  # packages whose modules may be benchmarks
SIGNIFICANT = 4  # digits of a printed value

Measure = Callable[[Path], list[Figure]]


class BenchmarkError(Exception):
    """A name that is not known, or a module that does not keep to the form; the message says what to do."""


@dataclass(frozen=True)
class Chosen:
    """A group to run, and which of its figures to print: those named `only` or below it, all if None."""

    group: str
    only: str | None


def find_groups(places: Sequence[str] = PLACES) -> dict[str, Measure]:
    """Return every benchmark by its group's name, in order. Errors: BenchmarkError for two of one name."""
    groups: dict[str, Measure] = {}
    for module in _modules(places):
        if not hasattr(module, "GROUP"):
            continue
        if not hasattr(module, "figures"):
            raise BenchmarkError(f"{module.__name__} has a GROUP but no figures(out)")
        if module.GROUP in groups:
            raise BenchmarkError(f"{module.__name__}: there is another group {module.GROUP!r} already; rename one")
        groups[module.GROUP] = module.figures
    return dict(sorted(groups.items()))


def _modules(places: Sequence[str]) -> list[ModuleType]:
    names = []
    for place in places:
        package = importlib.import_module(place)
        names += [f"{place}.{found.name}" for found in pkgutil.iter_modules(package.__path__) if not found.ispkg]
    return [importlib.import_module(name) for name in names if name != f"{PLACES[0]}.run"]


def choose(name: str | None, groups: Sequence[str]) -> list[Chosen]:
    """Return what to run for `name`. Errors: BenchmarkError for a name that fits no group."""
    if name is None:
        return [Chosen(group, None) for group in groups]
    if name in groups:
        return [Chosen(name, None)]
    fitting = [group for group in groups if name.startswith(f"{group}.")]
    if not fitting:
        raise BenchmarkError(f"There is no benchmark {name!r}. There are: {', '.join(groups)}.")
    return [Chosen(max(fitting, key=len), name)]


def select(figures: Sequence[Figure], only: str | None) -> list[Figure]:
    """Return the figures named `only` or below it. Errors: BenchmarkError if there are none."""
    if only is None:
        return list(figures)
    selected = [figure for figure in figures if figure.name == only or figure.name.startswith(f"{only}.")]
    if not selected:
        raise BenchmarkError(f"There is no figure {only!r}. There are: {', '.join(one.name for one in figures)}.")
    return selected


def line(figure: Figure) -> str:
    """Return a figure as one line: name, value, unit, then each peer with the ratio of our value to its."""
    ratios = "".join(f" {peer}={_digits(ratio)}" for peer, ratio in figure.ratios.items())
    return f"{figure.name} {_digits(figure.value)} {figure.unit}{ratios}"


def _digits(value: float) -> str:
    """Write a number with `SIGNIFICANT` digits and never as a power of ten."""
    if abs(value) >= 10 ** (SIGNIFICANT - 1):
        return f"{value:.0f}"
    return f"{float(f'{value:.{SIGNIFICANT}g}')!r}".removesuffix(".0")


def keep(folder: Path, group: str, figures: Sequence[Figure]) -> Path:
    """Write the figures of a group to `folder`; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{group}.json"
    path.write_text(json.dumps({"figures": [asdict(figure) for figure in figures]}, indent=2) + "\n")
    return path


def run(name: str | None, groups: Mapping[str, Measure], results: Path, out: Path) -> None:
    """Run what `name` says, print a line for each figure and keep the results. Errors: BenchmarkError."""
    chosen = choose(name, list(groups))
    out.mkdir(parents=True, exist_ok=True)
    for one in chosen:
        figures = groups[one.group](out)
        keep(results, one.group, figures)
        for figure in select(figures, one.only):
            print(line(figure), flush=True)
    machine.write(results / "machine.json")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description="Measure, print and keep figures.")
    parser.add_argument("name", nargs="?", help="a group such as `lifecycle`, or a figure such as `lifecycle.sqlite`")
    try:
        run(parser.parse_args(arguments).name, find_groups(), RESULTS, OUT)
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
