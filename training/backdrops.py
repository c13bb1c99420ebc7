"""What a print lies on in `training.scenes`: eight kinds, from plain to another picture. RGB in 0..1."""

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from training.photographs import photograph, texture

Floats = npt.NDArray[np.float32]

LIGHT_WOOD: Final = np.array([0.68, 0.48, 0.30], np.float32)
DARK_WOOD: Final = np.array([0.28, 0.18, 0.12], np.float32)
PICTURES: Final = ("coffee", "flower", "rocket")


def backdrop(rng: np.random.Generator, width: int, height: int) -> tuple[Floats, str]:
    """A random backdrop, shape (height, width, 3), and the name of its kind."""
    kind = str(rng.choice(list(_KINDS)))
    picture = _KINDS[kind](rng, width, height)
    fleck = cv2.GaussianBlur(rng.standard_normal((height, width), np.float32), (0, 0), 1.0)
    return np.asarray(np.clip(picture + fleck[..., None] * 0.02, 0, 1), np.float32), kind


def _textured(name: str, rng: np.random.Generator, width: int, height: int) -> Floats:
    tiled = np.tile(texture(name), (3, 3))
    zoom = rng.uniform(1.0, 2.5)
    large = cv2.resize(tiled, None, fx=zoom, fy=zoom)
    top, left = rng.integers(0, large.shape[0] - height), rng.integers(0, large.shape[1] - width)
    cut = large[top : top + height, left : left + width, None]
    return np.asarray((cut * 0.6 + 0.25) * rng.uniform(0.35, 1.0, 3), np.float32)


def _wood(colour: Floats, rng: np.random.Generator, width: int, height: int) -> Floats:
    """Wavy grain along the boards, and dark gaps between them."""
    waves = cv2.GaussianBlur(rng.standard_normal((height, width), np.float32), (0, 0), 40) * 400
    rings = np.linspace(-400, height + 400, (height + 800) // 3)
    at = np.arange(height)[:, None] + waves
    grain = np.interp(at.ravel(), rings, rng.random(len(rings))).reshape(height, width).astype(np.float32)
    wood = colour * (0.75 + 0.5 * cv2.GaussianBlur(grain, (0, 0), 2)[..., None])
    for row in range(int(rng.integers(0, 150)), height, int(rng.integers(120, 260))):
        wood[row : row + 2] *= 0.55
    return np.asarray(wood, np.float32)


def _plain(rng: np.random.Generator, width: int, height: int) -> Floats:
    colour = rng.uniform(0.1, 0.95, 3)
    return np.full((height, width, 3), colour * 0.6 + colour.mean() * 0.4, np.float32)


def _cloth(rng: np.random.Generator, width: int, height: int) -> Floats:
    """Stripes or checks."""
    y, x = np.mgrid[0:height, 0:width]
    period = rng.uniform(5, 40)
    pattern = np.sin(x / period) > 0
    if rng.random() < 0.5:
        pattern ^= np.sin(y / period) > 0
    one, other = rng.uniform(0.2, 0.9, 3), rng.uniform(0.2, 0.9, 3)
    return np.where(pattern[..., None], one, one * 0.6 + other * 0.4).astype(np.float32)


def _picture(rng: np.random.Generator, width: int, height: int) -> Floats:
    large = cv2.resize(photograph(str(rng.choice(PICTURES))), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.GaussianBlur(large, (0, 0), 1.0), np.float32) / np.float32(255)


Maker = Callable[[np.random.Generator, int, int], Floats]

_KINDS: Final[dict[str, Maker]] = {
    "brick": lambda rng, width, height: _textured("brick", rng, width, height),
    "grass": lambda rng, width, height: _textured("grass", rng, width, height),
    "gravel": lambda rng, width, height: _textured("gravel", rng, width, height),
    "wood": lambda rng, width, height: _wood(LIGHT_WOOD, rng, width, height),
    "plain": _plain,
    "cloth": _cloth,
    "picture": _picture,
    "dark wood": lambda rng, width, height: _wood(DARK_WOOD, rng, width, height),
}
