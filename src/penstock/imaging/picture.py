"""What a picture is to this package, its limits, and scaling. Everything else in `imaging` starts here."""

import math
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
"""RGB, shape (H, W, 3)."""
Plane = npt.NDArray[np.uint8]
"""One channel, shape (H, W)."""
Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

MAX_PIXELS: Final = 4096 * 3072
"""Twelve megapixels as cameras count them. Larger pictures are worked on (and returned) at this size."""
MAX_INPUT_PIXELS: Final = 120_000_000
"""More than this is refused: somebody upstream forgot a limit."""


class BadPicture(ValueError):  # noqa: N818 - it is said aloud as it reads
    """This array can't be worked on; the text says what to pass instead."""


def check_picture(picture: Picture) -> None:
    """Raises BadPicture unless `picture` is a non-empty uint8 RGB array of at most MAX_INPUT_PIXELS."""
    kind = getattr(picture, "dtype", type(picture).__name__)
    if kind != np.uint8:
        raise BadPicture(f"expected a numpy array of uint8, got {kind}; convert the picture to 8-bit RGB first")
    if picture.ndim != 3 or picture.shape[2] != 3:
        raise BadPicture(f"expected shape (height, width, 3), got {picture.shape}; convert the picture to RGB first")
    if picture.size == 0:
        raise BadPicture(f"the picture is empty: {picture.shape[1]} x {picture.shape[0]} pixels")
    if picture.shape[0] * picture.shape[1] > MAX_INPUT_PIXELS:
        raise BadPicture(
            f"{picture.shape[1]} x {picture.shape[0]} is more than {MAX_INPUT_PIXELS:,} pixels; scale it down first"
        )


def short_side(picture: npt.NDArray[np.generic]) -> int:
    """Pixels of the shorter side."""
    return int(min(picture.shape[:2]))


def scaled(picture: Picture, factor: float) -> Picture:
    """The picture at `factor` times its size, at least one pixel each way."""
    height, width = picture.shape[:2]
    size = max(1, round(width * factor)), max(1, round(height * factor))
    if size == (width, height):
        return picture
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size, interpolation=how), np.uint8)


def at_most(picture: Picture, max_pixels: int) -> Picture:
    """The picture itself, or scaled down to at most `max_pixels`."""
    pixels = picture.shape[0] * picture.shape[1]
    if pixels <= max_pixels:
        return picture
    return scaled(picture, math.sqrt(max_pixels / pixels) * (1 - 1e-6))


def grey(picture: Picture) -> Plane:
    """Brightness (BT.601)."""
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def odd(pixels: float) -> int:
    """The odd kernel size nearest to a length in pixels, at least 3."""
    return max(3, round(pixels) | 1)


def disc(diameter: int) -> npt.NDArray[np.uint8]:
    """A round structuring element."""
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (diameter, diameter)), np.uint8)
