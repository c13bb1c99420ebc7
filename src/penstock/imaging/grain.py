"""Measures grain and takes it out. Second stage of `restore`.

Brightness by non-local means (Buades, Coll and Morel, 2005), colour by a bilateral filter, which is enough for eyes
that see little detail in colour.
"""

from typing import Final

import cv2
import numpy as np

from penstock.imaging.picture import Floats, Picture, Plane

BLOCK_PX: Final = 8
MAX_BLOCKS: Final = 32_000
QUIET_SHARE: Final = 0.15
"""The quietest blocks show grain alone; busier ones show the picture."""
VISIBLE_SIGMA: Final = 1.2
"""8-bit levels; less than this is left alone."""
STRENGTH: Final = 1.0
"""Filter strength in units of the grain's deviation."""
PATCH_PX: Final = 7
"""Patches of 5 are faster and leave grain that costs SSIM once tone is stretched."""
SEARCH_PX: Final = 21
MAX_PIXELS_IN_FULL: Final = 3_000_000
"""Non-local means takes a second a megapixel; larger planes are smoothed at half their size and once more finely."""


def grain_sigma(plane: Plane) -> float:
    """The deviation of grain in 8-bit levels, from the quietest blocks after taking a slope out of each."""
    blocks = _blocks(plane)
    if not len(blocks):
        return 0.0
    mean = blocks.mean(axis=(1, 2))
    ramp = np.linspace(-1, 1, BLOCK_PX, dtype=np.float32)
    across = (blocks * ramp).mean(axis=(1, 2)) / (ramp * ramp).mean()
    down = (blocks * ramp[:, None]).mean(axis=(1, 2)) / (ramp * ramp).mean()
    flat = blocks - mean[:, None, None] - across[:, None, None] * ramp - down[:, None, None] * ramp[:, None]
    deviation = flat.std(axis=(1, 2)) * 1.024  # three of 64 degrees of freedom went into the slope
    exposed = (mean > 12) & (mean < 243)  # clipped blocks have lost their grain
    chosen = deviation[exposed] if exposed.sum() > 50 else deviation
    return float(np.quantile(chosen, QUIET_SHARE) * 1.08)


def _blocks(plane: Plane) -> Floats:
    rows, columns = plane.shape[0] // BLOCK_PX, plane.shape[1] // BLOCK_PX
    whole = plane[: rows * BLOCK_PX, : columns * BLOCK_PX]
    blocks = whole.reshape(rows, BLOCK_PX, columns, BLOCK_PX).transpose(0, 2, 1, 3)
    step = max(1, int(np.sqrt(rows * columns / MAX_BLOCKS)))
    return blocks[::step, ::step].reshape(-1, BLOCK_PX, BLOCK_PX).astype(np.float32)


def remove_grain(picture: Picture) -> Picture:
    """The picture without its grain; colour keeps its edges."""
    luma, *chroma = split(picture)
    colour_sigma = max(grain_sigma(plane) for plane in chroma)
    smooth = [np.asarray(cv2.bilateralFilter(plane, 9, 1.6 * colour_sigma, 3), np.uint8) for plane in chroma]
    return merged(_smoothed(luma), smooth)


def _smoothed(luma: Plane) -> Plane:
    """Non-local means; in a large plane at half its size, where grain is as coarse as in a small one."""
    if luma.size <= MAX_PIXELS_IN_FULL:
        return _non_local_means(luma)
    half = np.asarray(cv2.resize(luma, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
    coarse = cv2.subtract(_non_local_means(half), half, dtype=cv2.CV_16S)
    fine = cv2.bilateralFilter(luma, 5, 2 * grain_sigma(luma), 2)
    correction = cv2.resize(coarse, luma.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.add(fine, correction, dtype=cv2.CV_8U), np.uint8)


def _non_local_means(luma: Plane) -> Plane:
    sigma = grain_sigma(luma)
    if sigma <= VISIBLE_SIGMA:
        return luma
    return np.asarray(cv2.fastNlMeansDenoising(luma, None, STRENGTH * sigma, PATCH_PX, SEARCH_PX), np.uint8)


def split(picture: Picture) -> list[Plane]:
    """Brightness and the two colour differences, each a plane."""
    return [np.asarray(plane, np.uint8) for plane in cv2.split(cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb))]


def merged(luma: Plane, chroma: list[Plane]) -> Picture:
    """The way back from `split`."""
    return np.asarray(cv2.cvtColor(cv2.merge([luma, *chroma]), cv2.COLOR_YCrCb2RGB), np.uint8)
