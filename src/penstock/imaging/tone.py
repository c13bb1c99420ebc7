"""Brings back faded tone and takes out a colour cast. Third stage of `restore`.

Fading lifts black, darkens white and takes one dye faster than the others. Stretching each channel from its darkest to
its lightest level undoes that, but only if the scene held black and white in the first place: a grey cat would become
a zebra. So the stretch may go no further than the fading that the picture gives evidence of: its lifted black and its
grain and its scratches, which age together. Gray-world balancing and CLAHE were tried; against the clean original
both lose.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from penstock.imaging.grain import grain_sigma, merged, split
from penstock.imaging.picture import Mask, Picture, grey, short_side

END_SHARE: Final = 0.001
"""The darkest and lightest thousandth of the sound pixels are taken for black and white."""
BLACK_LEVEL: Final = 4.0
WHITE_LEVEL: Final = 251.0
MIN_RANGE: Final = 40.0
"""A channel with fewer levels than this holds no picture to stretch."""

FADE_PER_BLACK_LEVEL: Final = 0.30 / 50
FADE_PER_GRAIN_LEVEL: Final = 0.50 / 10
FADE_AT_MUCH_DAMAGE: Final = 0.20
MUCH_DAMAGE: Final = 0.02
FADE_AT_REST: Final = 0.15
FADE_BEND: Final = 0.15
MAX_FADE: Final = 0.9
"""Evidence of fading, in units of log contrast lost; fitted on synthetic ageing. A sound picture comes out at 0."""
MAX_BLACK: Final = 90.0
"""No dye fades further; above it the scene itself has no black."""
CAST_PER_FADE: Final = 0.20
"""Log gain by which one channel may differ from the mean of all: a cast is no stronger than the fading."""
PIVOT: Final = 118.0
"""The level that fading leaves where it is, black rising and white falling towards it."""

BLOTCHY_SIGMA: Final = 2.0
"""Colour noise, in 8-bit levels, from which on colour is smoothed."""
MAX_SATURATION: Final = 0.10
SATURATION_PER_FADE: Final = 0.25

MAX_SEPIA_RESIDUAL: Final = 2.0
"""Lab units. Heavily aged sepia reads up to 2.2, heavily faded colour down to 1.7: the customer can say which it is."""
SEPIA_GRID_PX: Final = 32
JUDGED_SHARE: Final = 0.8
LEAST_SOUND: Final = 0.02
"""Share of a cell of the grid; one with less than this shows nothing, and counts as black."""


Levels = npt.NDArray[np.float64]
"""One number for each channel."""


@dataclass(frozen=True)
class Fading:
    """Darkest and lightest level of each channel (8-bit), and the evidence of fading (log contrast lost, 0 is none)."""

    black: Levels
    white: Levels
    evidence: float


def measure_fading(picture: Picture, sound: Mask, grain: float, damage: float) -> Fading:
    """Looks at the pixels that are not damaged.

    `grain` is the deviation before grain was taken out (8-bit levels), `damage` the detector's estimate (a share).
    """
    black, white = np.array([_ends(picture, channel, sound) for channel in range(3)], np.float64).T
    if (white - black).max() < MIN_RANGE:  # one flat tone: nothing says what it was
        return Fading(np.full(3, BLACK_LEVEL), np.full(3, WHITE_LEVEL), 0.0)
    black = np.minimum(black, MAX_BLACK)
    scratched = FADE_AT_MUCH_DAMAGE * min(1.0, float(np.sqrt(damage / MUCH_DAMAGE)))
    plain = FADE_PER_BLACK_LEVEL * float(black.mean()) + FADE_PER_GRAIN_LEVEL * grain + scratched - FADE_AT_REST
    return Fading(black, white, min(MAX_FADE, max(0.0, plain) * (1 + FADE_BEND * max(0.0, plain))))


def _ends(picture: Picture, channel: int, sound: Mask) -> tuple[int, int]:
    counts = cv2.calcHist([picture], [channel], sound.astype(np.uint8), [256], [0, 256]).ravel()
    share = np.cumsum(counts) / max(float(counts.sum()), 1.0)
    return int(np.searchsorted(share, END_SHARE)), int(np.searchsorted(share, 1 - END_SHARE))


def stretch(fading: Fading) -> tuple[Levels, Levels]:
    """The gain of each channel, and the level of each that becomes black.

    The full stretch, held back to what the fading explains. Where it is held back, black stays up as well: a picture
    that lost little contrast has no true black to be pulled down to, and would only get darker.
    """
    full = np.log((WHITE_LEVEL - BLACK_LEVEL) / np.maximum(fading.white - fading.black, MIN_RANGE))
    common = min(float(full.mean()), fading.evidence)
    cast = CAST_PER_FADE * fading.evidence
    gain = np.exp(common + np.clip(full - full.mean(), -cast, cast))
    lowest = PIVOT - (PIVOT - BLACK_LEVEL) / np.exp(common)
    return gain, fading.black + min(0.0, float(lowest - fading.black.mean()))


def revive_tone(picture: Picture, fading: Fading, amount: float) -> Picture:
    """Stretches the tone. `amount` 0 leaves the picture alone, 1 does all that the evidence allows."""
    gain, black = stretch(fading)
    levels = np.arange(256)[:, None]
    revived = (levels - black) * gain + BLACK_LEVEL
    table = np.clip(np.round(levels * (1 - amount) + revived * amount), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(picture, table[None]), np.uint8)


def without_colour(picture: Picture) -> Picture:
    """Neutral grey in three channels: what a sepia or black-and-white print becomes."""
    return np.repeat(grey(picture)[..., None], 3, axis=2)


def freshen_colour(picture: Picture, amount: float, evidence: float) -> Picture:
    """Smooths blotchy colour along the brightness (guided filter, He et al. 2010) and gives saturation back."""
    luma, *chroma = split(picture)
    sigma = max(grain_sigma(plane) for plane in chroma)
    radius = max(3, round(4 * short_side(picture) / 480))
    saturation = 1 + min(MAX_SATURATION, evidence * SATURATION_PER_FADE) * amount
    if sigma > BLOTCHY_SIGMA:
        smooth = float((1.2 * sigma) ** 2)
        chroma = [np.asarray(cv2.ximgproc.guidedFilter(luma, plane, radius, smooth), np.uint8) for plane in chroma]
    fresh = [cv2.convertScaleAbs(plane, alpha=saturation, beta=128 * (1 - saturation)) for plane in chroma]
    return merged(luma, [np.asarray(plane, np.uint8) for plane in fresh])


def looks_sepia(picture: Picture, sound: Mask) -> bool:
    """Whether colour is nothing but a curve over lightness: black and white, sepia, or a single tint."""
    return colour_residual(picture, sound) < MAX_SEPIA_RESIDUAL


def colour_residual(picture: Picture, sound: Mask) -> float:
    """How far colour strays from a quadratic over lightness, in Lab units: exceeded by a fifth of the picture.

    Judged on a coarse grid, where grain has averaged out, and on the pixels that are not damaged; what a stain adds
    lies in the fifth that is not looked at.
    """
    height, width = picture.shape[:2]
    scale = SEPIA_GRID_PX / max(height, width)
    size = max(8, round(width * scale)), max(8, round(height * scale))
    weight = sound.astype(np.float32)
    kept = np.maximum(cv2.resize(weight, size, interpolation=cv2.INTER_AREA), LEAST_SOUND)[..., None]
    total = cv2.resize(picture * weight[..., None], size, interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(np.asarray(total / kept / 255, np.float32), cv2.COLOR_RGB2LAB).reshape(-1, 3)
    curve = np.stack([np.ones(len(lab)), lab[:, 0], lab[:, 0] ** 2], axis=1)
    strayed = lab[:, 1:] - curve @ np.linalg.lstsq(curve, lab[:, 1:], rcond=None)[0]
    return float(np.quantile(np.hypot(strayed[:, 0], strayed[:, 1]), JUDGED_SHARE))
