"""The photographs that come inside the wheels of scikit-image and scikit-learn; nothing is downloaded.

Eight are used: seven in colour and one in black and white. Each is the judge of detectors that never saw it
(`training.scratches` leaves one photograph out at a time).
"""

from collections.abc import Callable
from functools import cache
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
import skimage.data
from sklearn.datasets import load_sample_image

Picture = npt.NDArray[np.uint8]

SHORT_SIDE: Final = 480
"""Pixels of the shorter side that trials are made at: the free plan's size."""

_LOADERS: Final[dict[str, Callable[[], npt.NDArray[np.uint8]]]] = {
    "astronaut": skimage.data.astronaut,
    "camera": skimage.data.camera,
    "chelsea": skimage.data.chelsea,
    "china": lambda: load_sample_image("china.jpg"),
    "coffee": skimage.data.coffee,
    "flower": lambda: load_sample_image("flower.jpg"),
    "motorcycle": lambda: skimage.data.stereo_motorcycle()[0],  # type: ignore[no-untyped-call]
    "rocket": skimage.data.rocket,
}
_TEXTURES: Final[dict[str, Callable[[], npt.NDArray[np.uint8]]]] = {
    "brick": skimage.data.brick,
    "grass": skimage.data.grass,
    "gravel": skimage.data.gravel,
}

NAMES: Final = tuple(_LOADERS)
IN_COLOUR: Final = tuple(name for name in NAMES if name != "camera")
TEXTURES: Final = tuple(_TEXTURES)


@cache
def photograph(name: str, short_side: int = SHORT_SIDE) -> Picture:
    """The photograph as RGB, shape (H, W, 3), its shorter side scaled to `short_side` pixels. Read-only."""
    picture = _as_rgb(_LOADERS[name]())
    scale = short_side / min(picture.shape[:2])
    size = round(picture.shape[1] * scale), round(picture.shape[0] * scale)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = np.asarray(cv2.resize(picture, size, interpolation=how), np.uint8)
    scaled.setflags(write=False)
    return scaled


@cache
def texture(name: str) -> npt.NDArray[np.float32]:
    """A brightness texture in 0..1, shape (512, 512). Read-only."""
    plane = _TEXTURES[name]().astype(np.float32) / np.float32(255)
    plane.setflags(write=False)
    return plane


def _as_rgb(picture: npt.NDArray[np.uint8]) -> Picture:
    if picture.ndim == 2:
        return np.repeat(picture[..., None], 3, axis=2)
    return np.ascontiguousarray(picture[..., :3])
