"""Trains the scratch detector: `python -m training.scratches`.

Two kinds of weights are written:

- `src/penstock/imaging/scratches.npz`, the detector of the package, which learnt from all photographs, and
- `training/folds/NAME.npz`, a detector for each photograph that learnt from all others. Tests and benchmarks judge
  a photograph only by the detector that never saw it.

Everything is seeded and runs on one thread of BLAS: the same recipe gives the same weights on the same machine, and
the recipe's fingerprint is stored in each file, so that a test notices when weights and recipe part.
"""

import hashlib
import inspect
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import Final

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

import penstock.imaging.features
import training.ageing
import training.perceptron
import training.photographs
import training.samples
import training.surface
from penstock.imaging.features import POLARITIES, Polarity
from penstock.imaging.perceptron import WEIGHTS_FILE, Detector, Perceptron, pack, unpack
from training.perceptron import Schedule, fit
from training.photographs import NAMES
from training.samples import Rows, sample_photograph, together

FOLDS: Final = Path(__file__).parent / "folds"
MAX_FILE_BYTES: Final = 100_000
RECIPE: Final[tuple[ModuleType, ...]] = (
    penstock.imaging.features,
    training.ageing,
    training.perceptron,
    training.photographs,
    training.samples,
    training.surface,
)
"""The modules that decide the weights."""


def fingerprint() -> str:
    """A hash of the training recipe's source; weights carry the one they were made with."""
    sources = "".join(inspect.getsource(module) for module in RECIPE)
    return hashlib.sha256(sources.encode()).hexdigest()


def train(samples: Iterable[dict[Polarity, Rows]], schedule: Schedule) -> Detector:
    """One perceptron for each polarity from the rows of several photographs."""
    rows = list(samples)
    with threadpool_limits(1):  # more threads wait for each other on layers this small, and sum in another order
        return {polarity: _fit_one(together(rows, polarity), schedule) for polarity in POLARITIES}


def _fit_one(rows: Rows, schedule: Schedule) -> Perceptron:
    return fit(rows.features, rows.damaged, schedule)


def save(detector: Detector, path: Path) -> None:
    """Writes the weights in half precision, with the recipe's fingerprint."""
    arrays = {name: array.astype(np.float16) for name, array in pack(detector).items()}
    path.parent.mkdir(exist_ok=True)
    np.savez_compressed(path, fingerprint=np.array(fingerprint()), **arrays)  # type: ignore[arg-type]
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ValueError(
            f"{path} has {path.stat().st_size} bytes, more than {MAX_FILE_BYTES}; make the network smaller"
        )


@cache
def unseen_detector(name: str) -> Detector:
    """The detector that never saw the photograph of this name."""
    with np.load(FOLDS / f"{name}.npz") as arrays:
        return unpack(dict(arrays))


def shipped_path() -> Path:
    """Where the package keeps its weights."""
    return Path(str(files("penstock.imaging").joinpath(WEIGHTS_FILE)))


def main() -> None:
    """Trains and writes all detectors; takes a few minutes."""
    samples = {}
    for name in NAMES:
        print(f"ageing {name}", flush=True)
        samples[name] = sample_photograph(name)
    for left_out in NAMES:
        print(f"training without {left_out}", flush=True)
        save(train((samples[name] for name in NAMES if name != left_out), Schedule()), FOLDS / f"{left_out}.npz")
    print("training the detector of the package", flush=True)
    save(train(samples.values(), Schedule()), shipped_path())


if __name__ == "__main__":
    main()
