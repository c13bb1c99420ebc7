"""A small multi-layer perceptron: weights from a file of the package, forward pass in numpy.

`training.scratches` makes the weights; `scratches` asks for the probability of damage at each pixel.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

import numpy as np

from penstock.imaging.features import COUNT, POLARITIES, Polarity
from penstock.imaging.picture import Floats

WEIGHTS_FILE: Final = "scratches.npz"
PIXELS_AT_ONCE: Final = 1 << 16
"""Bounds the memory of the hidden layers."""
KEYS: Final[dict[Polarity, str]] = {1: "bright", -1: "dark"}


@dataclass(frozen=True)
class Perceptron:
    """Standardises its inputs, then linear layers with ReLU between them and a sigmoid at the end."""

    mean: Floats
    deviation: Floats
    layers: tuple[tuple[Floats, Floats], ...]
    """(weights, bias) of each layer."""

    def probability(self, features: Floats) -> Floats:
        """Features of shape (H, W, n) to a probability of shape (H, W)."""
        rows = features.reshape(-1, features.shape[-1])
        answers = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), PIXELS_AT_ONCE):
            part = slice(start, start + PIXELS_AT_ONCE)
            answers[part] = self._forward(rows[part])
        return answers.reshape(features.shape[:2])

    def _forward(self, rows: Floats) -> Floats:
        signal = (rows - self.mean) / self.deviation
        for weights, bias in self.layers[:-1]:
            signal = np.maximum(signal @ weights + bias, 0)
        weights, bias = self.layers[-1]
        return np.asarray(1 / (1 + np.exp(-np.clip(signal @ weights + bias, -30, 30)[:, 0])), np.float32)


Detector = Mapping[Polarity, Perceptron]
"""One perceptron for damage brighter than its surroundings, one for darker."""


@cache
def shipped_detector() -> Detector:
    """The detector that comes with the package."""
    with files("penstock.imaging").joinpath(WEIGHTS_FILE).open("rb") as file, np.load(file) as arrays:
        return unpack(dict(arrays))


def pack(detector: Detector) -> dict[str, Floats]:
    """Named arrays to be saved; `unpack` is the way back."""
    arrays: dict[str, Floats] = {}
    for polarity, perceptron in detector.items():
        key = KEYS[polarity]
        arrays |= {f"{key}_mean": perceptron.mean, f"{key}_deviation": perceptron.deviation}
        for number, (weights, bias) in enumerate(perceptron.layers):
            arrays |= {f"{key}_weights_{number}": weights, f"{key}_bias_{number}": bias}
    return arrays


def unpack(arrays: Mapping[str, Floats]) -> Detector:
    """A detector from named arrays. Raises KeyError or ValueError when they are not one."""
    return {polarity: _unpack_one(arrays, KEYS[polarity]) for polarity in POLARITIES}


def _unpack_one(arrays: Mapping[str, Floats], key: str) -> Perceptron:
    depth = sum(name.startswith(f"{key}_weights_") for name in arrays)
    layers = tuple(
        (
            np.asarray(arrays[f"{key}_weights_{number}"], np.float32),
            np.asarray(arrays[f"{key}_bias_{number}"], np.float32),
        )
        for number in range(depth)
    )
    mean = np.asarray(arrays[f"{key}_mean"], np.float32)
    if mean.shape != (COUNT,) or not layers or layers[0][0].shape[0] != COUNT:
        raise ValueError(f"weights for {mean.size} features, the detector has {COUNT}; train it again")
    return Perceptron(mean, np.asarray(arrays[f"{key}_deviation"], np.float32), layers)
