"""Finds scratches, dust, hairs and creases, and fills them from their surroundings.

First stage of `restore`. The search runs at a working size; the perceptron gives each pixel a probability, and the
threshold depends on how damaged the whole picture seems: with little damage only certain finds are touched, because
on a nearly clean picture false finds cost more than the damage does.
"""

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from penstock.imaging.features import POLARITIES, FeatureMaker, Polarity
from penstock.imaging.perceptron import Detector
from penstock.imaging.picture import Floats, Mask, Picture, scaled, short_side

WORKING_SHORT_SIDE_PX: Final = 512
MAX_WORKING_PIXELS: Final = 1_000_000
"""Bounds memory for long, narrow pictures: a feature stack takes 112 bytes a pixel."""

CERTAIN: Final = 0.95
"""Pixels at least this probable make up the estimate of how damaged the picture is."""
NEXT_TO_NO_DAMAGE: Final = 0.0005
"""Share of certain pixels below which `auto` leaves the picture alone."""
LITTLE_DAMAGE: Final = 0.001
MUCH_DAMAGE: Final = 0.01
"""Share of certain pixels at which the threshold is strictest and most lenient."""
STRICT_THRESHOLD: Final = 0.97
LENIENT_THRESHOLD: Final = 0.60
SPREAD: Final = 0.7
"""A find spreads to its neighbours down to this share of the threshold."""
MIN_DEFECT_PX: Final = 6
SURE_ENOUGH: Final = 0.38
"""Share of a defect that a pixel of the full size must lie in; below a half, so that thin defects stay whole."""
INPAINT_RADIUS_PX: Final = 3


Counts = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Damage:
    """`mask` is true where the surface is damaged, shape (H, W); `estimate` the share of certain pixels, 0..1."""

    mask: Mask
    estimate: float


def find_damage(picture: Picture, detector: Detector) -> Damage:
    """The surface damage of an RGB picture."""
    small = scaled(picture, min(1.0, working_scale(picture)))
    maker = FeatureMaker(small)
    found = {polarity: _probability(maker, detector, polarity) for polarity in POLARITIES}
    estimate = sum(float((probability > CERTAIN).mean()) for probability in found.values())
    mask = np.zeros(small.shape[:2], np.bool_)
    for probability in found.values():
        mask |= _defects(probability, estimate)
    if small.shape != picture.shape:
        enlarged = cv2.resize(mask.astype(np.float32), picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        mask = np.asarray(enlarged > SURE_ENOUGH)
    return Damage(mask, estimate)


def working_scale(picture: Picture) -> float:
    """Factor from the picture to the size that the search runs at; above 1 the picture is already small enough."""
    pixels = picture.shape[0] * picture.shape[1]
    return min(WORKING_SHORT_SIDE_PX / short_side(picture), math.sqrt(MAX_WORKING_PIXELS / pixels))


def fill_damage(picture: Picture, mask: Mask) -> Picture:
    """Paints over the damage from what surrounds it (Telea, 2004)."""
    if not mask.any():
        return picture
    radius = max(INPAINT_RADIUS_PX, min(8, round(INPAINT_RADIUS_PX * short_side(picture) / 480)))
    return np.asarray(cv2.inpaint(picture, mask.astype(np.uint8), radius, cv2.INPAINT_TELEA), np.uint8)


def _probability(maker: FeatureMaker, detector: Detector, polarity: Polarity) -> Floats:
    probability = detector[polarity].probability(maker.of(polarity))
    return np.asarray(cv2.GaussianBlur(probability, (0, 0), 0.6), np.float32)


def threshold_for(estimate: float) -> float:
    """The probability that a find must reach, given how damaged the picture is."""
    much = float(np.clip((estimate - LITTLE_DAMAGE) / (MUCH_DAMAGE - LITTLE_DAMAGE), 0, 1))
    return STRICT_THRESHOLD + (LENIENT_THRESHOLD - STRICT_THRESHOLD) * much


def _defects(probability: Floats, estimate: float) -> Mask:
    threshold = threshold_for(estimate)
    mask = _grown_from(probability > threshold, probability > threshold * SPREAD)
    found = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    labels, stats = np.asarray(found[1], np.int32), np.asarray(found[2], np.int32)
    keep = stats[:, cv2.CC_STAT_AREA] >= MIN_DEFECT_PX
    if estimate < 0.03:
        keep &= ~_looks_like_texture(mask, labels, stats)
    keep[0] = False
    return np.asarray(keep[labels])


def _grown_from(certain: Mask, possible: Mask) -> Mask:
    """Hysteresis: the connected parts of `possible` that hold something certain."""
    count, labels = cv2.connectedComponents(possible.astype(np.uint8), connectivity=8)
    keep = np.zeros(count, np.bool_)
    keep[np.unique(labels[certain])] = True
    keep[0] = False
    return np.asarray(keep[labels])


def _looks_like_texture(mask: Mask, labels: Counts, stats: Counts) -> Mask:
    """Many short finds close together in an otherwise sound picture are foliage or fabric, not dust."""
    scale = min(mask.shape) / 480
    density = cv2.blur(mask.astype(np.float32), (61, 61))
    around = np.bincount(labels.ravel(), weights=density.ravel(), minlength=len(stats)) / stats[:, cv2.CC_STAT_AREA]
    extent = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    return np.asarray((around > 0.08) & (extent < 60 * scale))
