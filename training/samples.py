"""Pixels to learn from: damaged ones, and sound ones of which half are those that stick out most.

One aged photograph gives at most `MAX_DAMAGED` and 2 x `MAX_SOUND` rows for each polarity.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from penstock.imaging.features import COUNT, POLARITIES, TOP_HAT, FeatureMaker, Polarity
from penstock.imaging.picture import grey
from training.ageing import STRENGTHS, Aged, Strength, Tone, age
from training.photographs import NAMES, SHORT_SIDE, photograph

Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

MAX_DAMAGED: Final = 2500
MAX_SOUND: Final = 3000
REPEATS: Final = 2
"""How often each photograph is aged in each strength."""
MIN_CONTRAST: Final = 6
"""8-bit levels by which damage must differ from what it covers to be worth learning."""


@dataclass(frozen=True)
class Rows:
    """Features of shape (n, COUNT) and whether each row is damage of this polarity."""

    features: Floats
    damaged: Flags


def sample_photograph(name: str, short_side: int = SHORT_SIDE) -> dict[Polarity, Rows]:
    """All rows that one photograph gives: aged in every strength, and once as it is."""
    parts = [_sample(_aged(name, strength, turn, short_side), name, turn) for strength, turn in _plan()]
    return {polarity: _joined([part[polarity] for part in parts]) for polarity in POLARITIES}


def _plan() -> list[tuple[Strength | None, int]]:
    aged: list[tuple[Strength | None, int]] = [(strength, turn) for strength in STRENGTHS for turn in range(REPEATS)]
    return [*aged, (None, 0)]


def _aged(name: str, strength: Strength | None, turn: int, short_side: int) -> Aged:
    clean = photograph(name, short_side)
    if strength is None:
        return Aged(clean, clean, clean, np.zeros(clean.shape[:2], np.bool_))
    index = NAMES.index(name)
    tone: Tone = "sepia" if name == "camera" or (index + turn) % 3 == 2 else "color"
    return age(clean, index * 1000 + STRENGTHS.index(strength) * 100 + turn, strength, tone)


def _sample(aged: Aged, name: str, turn: int) -> dict[Polarity, Rows]:
    rng = np.random.default_rng([NAMES.index(name), turn])
    maker = FeatureMaker(aged.picture)
    difference = grey(aged.picture).astype(np.int16) - grey(aged.unscratched)
    near = cv2.dilate(aged.damage.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    sampled: dict[Polarity, Rows] = {}
    for polarity in POLARITIES:
        features = maker.of(polarity)
        damaged = np.flatnonzero(aged.damage & (difference * polarity > MIN_CONTRAST))
        sound = _pick_sound(rng, np.flatnonzero(~near), features[..., TOP_HAT].ravel())
        damaged = rng.choice(damaged, min(MAX_DAMAGED, len(damaged)), replace=False)
        chosen = np.concatenate([damaged, sound])
        sampled[polarity] = Rows(features.reshape(-1, COUNT)[chosen], np.arange(len(chosen)) < len(damaged))
    return sampled


def _pick_sound(rng: np.random.Generator, sound: npt.NDArray[np.intp], top_hat: Floats) -> npt.NDArray[np.intp]:
    """Half at random, half weighted by how much they look like damage."""
    count = min(MAX_SOUND, len(sound))
    weights = np.clip(top_hat[sound], 0.05, 10).astype(np.float64) ** 1.5
    tempting = rng.choice(sound, count, replace=False, p=weights / weights.sum())
    return np.concatenate([rng.choice(sound, count, replace=False), tempting])


def _joined(parts: list[Rows]) -> Rows:
    return Rows(np.vstack([part.features for part in parts]), np.concatenate([part.damaged for part in parts]))


def together(samples: list[dict[Polarity, Rows]], polarity: Polarity) -> Rows:
    """The rows of several photographs."""
    return _joined([sample[polarity] for sample in samples])
