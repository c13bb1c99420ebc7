"""Synthetic ageing: what a print goes through between the darkroom and the scanner, with the damage known.

The order is the order of nature: soft optics, fading dyes and a colour cast, uneven light, stains, grain, then
scratches, dust, hairs and creases on the surface, and a JPEG of it all. Every random number comes from one seed.
Lengths are in pixels of a picture whose short side is 480 and scale with it.
"""

from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
import numpy.typing as npt

from training.photographs import Picture
from training.surface import Surface, cross_creases, drop_dust, scratch

Strength = Literal["light", "medium", "heavy"]
Tone = Literal["color", "sepia"]
Floats = npt.NDArray[np.float32]

STRENGTHS: Final[tuple[Strength, ...]] = ("light", "medium", "heavy")
TONES: Final[tuple[Tone, ...]] = ("color", "sepia")

DAMAGE_OPACITY: Final = 0.22
"""From this opacity on a surface defect counts as damage (below it nobody sees it)."""


@dataclass(frozen=True)
class Recipe:
    """How much of everything. Ranges are uniform; `white` and `black` are 8-bit levels."""

    blur: float
    white: tuple[int, int]
    black: tuple[int, int]
    gamma: tuple[float, float]
    desaturation: float
    cast: float
    uneven: float
    grain: float
    scratches: int
    specks: int
    creases: int
    stains: int
    jpeg_quality: int


RECIPES: Final[dict[Strength, Recipe]] = {
    "light": Recipe(0.5, (225, 245), (15, 35), (0.95, 1.10), 0.15, 0.12, 0.048, 4, 4, 25, 0, 0, 92),
    "medium": Recipe(0.8, (200, 225), (30, 60), (0.85, 1.15), 0.35, 0.25, 0.096, 8, 9, 70, 1, 1, 88),
    "heavy": Recipe(1.1, (180, 205), (45, 80), (0.80, 1.20), 0.50, 0.40, 0.156, 13, 18, 160, 3, 3, 82),
}


@dataclass(frozen=True)
class Aged:
    """An aged picture beside what it was.

    `picture` is what a customer would upload, `clean` what we hope to get back (without colour for sepia),
    `unscratched` the aged picture before its surface was damaged, `damage` true where it was, shape (H, W).
    """

    picture: Picture
    clean: Picture
    unscratched: Picture
    damage: npt.NDArray[np.bool_]


def age(clean: Picture, seed: int, strength: Strength, tone: Tone = "color") -> Aged:
    """Ages an RGB picture; the same seed gives the same picture."""
    rng = np.random.default_rng(seed)
    recipe = RECIPES[strength]
    target = clean if tone == "color" else _without_colour(clean)
    scale = min(clean.shape[:2]) / 480
    softness = max(recipe.blur * scale * rng.uniform(0.7, 1.2), 0.3)
    picture = np.asarray(cv2.GaussianBlur(target.astype(np.float32) / 255, (0, 0), softness), np.float32)
    cast = recipe.cast * rng.uniform(0.6, 1.2)
    picture = _fade(picture, rng, recipe, tone, cast)
    picture = _light_unevenly(picture, rng, recipe.uneven)
    for _ in range(recipe.stains):
        picture = _stain(picture, rng, scale)
    picture = _add_grain(picture, rng, recipe.grain, scale)
    unscratched = _to_bytes(picture)
    surface = Surface(picture, rng, scale, _paper(rng, cast))
    scratch(surface, int(recipe.scratches * rng.uniform(0.7, 1.3)))
    drop_dust(surface, int(recipe.specks * rng.uniform(0.7, 1.3)))
    cross_creases(surface, recipe.creases)
    return Aged(
        picture=_through_jpeg(_to_bytes(surface.picture), recipe.jpeg_quality),
        clean=target,
        unscratched=unscratched,
        damage=surface.opacity > DAMAGE_OPACITY,
    )


def _without_colour(picture: Picture) -> Picture:
    return np.repeat(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2).astype(np.uint8)


def _to_bytes(picture: Floats) -> Picture:
    return np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def _paper(rng: np.random.Generator, cast: float) -> Floats:
    """The bare paper that scratches and white dust show, yellowed with the cast."""
    return np.asarray(np.array([0.93, 0.88 - cast * 0.1, 0.80 - cast * 0.3]) * rng.uniform(0.95, 1.05), np.float32)


def _fade(picture: Floats, rng: np.random.Generator, recipe: Recipe, tone: Tone, cast: float) -> Floats:
    """Dyes lose saturation, whites darken, blacks lift; blue goes first."""
    if tone == "color":
        loss = recipe.desaturation * rng.uniform(0.6, 1.2)
        picture = picture * (1 - loss) + picture.mean(axis=2, keepdims=True) * loss
        gain = np.array([1.0, 1 - cast * 0.35 * rng.uniform(0.5, 1.5), 1 - cast])
        lift = np.array([1 + cast * 0.3, 1.0, 1 - cast * 0.5])
    else:
        gain = np.array([1.0, 1 - cast * 0.45, 1 - cast * 1.3])
        lift = np.array([1.05, 1 - cast * 0.3, 1 - cast])
    black = rng.uniform(*recipe.black) / 255 * lift
    white = rng.uniform(*recipe.white) / 255 * gain
    curve = np.clip(picture, 0, 1) ** rng.uniform(*recipe.gamma)
    return np.asarray(black + curve * (white - black), np.float32)


def _light_unevenly(picture: Floats, rng: np.random.Generator, amount: float) -> Floats:
    """Light that fell on one side for decades: darker and flatter away from a random centre."""
    height, width = picture.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    distance = np.hypot((columns - rng.uniform(0, width)) / width, (rows - rng.uniform(0, height)) / height)
    return np.asarray(picture * (1 - amount * distance[..., None]) + amount * 0.4 * distance[..., None], np.float32)


def _stain(picture: Floats, rng: np.random.Generator, scale: float) -> Floats:
    """A soft brown blotch with a darker rim."""
    height, width = picture.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    radius = rng.uniform(0.06, 0.16) * min(height, width)
    distance = np.hypot(columns - rng.uniform(0, width), rows - rng.uniform(0, height)) / radius
    distance = distance + smooth_noise(rng, (height, width), 25 * scale) * 0.15
    inside = 1 / (1 + np.exp(np.clip((distance - 1) * 12, -60, 60)))
    rim = np.exp(-(((distance - 1) / 0.08) ** 2))
    depth = rng.uniform(0.08, 0.25) * (inside * 0.8 + rim * 0.35)
    return np.asarray(picture * (1 - depth[..., None] * np.array([0.7, 1.0, 1.3])), np.float32)


def _add_grain(picture: Floats, rng: np.random.Generator, sigma: float, scale: float) -> Floats:
    """Slightly correlated noise, strongest in the mid-tones, mostly in brightness."""
    shape = picture.shape[:2]
    light = picture.mean(axis=2)
    middle = 0.6 + 0.8 * np.sqrt(np.clip(4 * light * (1 - light), 0, 1))
    amplitude = sigma / 255 * rng.uniform(0.7, 1.2) * middle / 1.3
    size = 0.55 * max(1.0, scale)
    shared = smooth_noise(rng, shape, size)
    noise = np.stack([0.85 * shared + 0.5 * smooth_noise(rng, shape, size) for _ in range(3)], axis=-1)
    return np.asarray(picture + amplitude[..., None] * noise, np.float32)


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], sigma: float) -> Floats:
    """Gaussian noise of unit deviation, correlated over `sigma` pixels."""
    noise = cv2.GaussianBlur(rng.standard_normal(shape, np.float32), (0, 0), sigma)
    return np.asarray(noise / noise.std(), np.float32)


def _through_jpeg(picture: Picture, quality: int) -> Picture:
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    _, packed = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    unpacked = cv2.imdecode(packed, cv2.IMREAD_COLOR)
    if unpacked is None:  # cannot be: we packed it ourselves a line ago
        raise RuntimeError("OpenCV could not read back its own JPEG")
    return np.asarray(cv2.cvtColor(unpacked, cv2.COLOR_BGR2RGB), np.uint8)
