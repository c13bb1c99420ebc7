"""Damage on the surface of a print: scratches, dust, hairs and creases, drawn over the picture and remembered.

Used by `training.ageing`. Each kind stamps a colour through an opacity; the largest opacity of all is the truth
that the detector is trained on and judged by.
"""

from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

DARK_SCRATCH: Final = np.array([0.10, 0.10, 0.10], np.float32)
DARK_DUST: Final = np.array([0.10, 0.09, 0.08], np.float32)


@dataclass
class Surface:
    """The picture in 0..1 under damage, and how opaque the damage is at each pixel."""

    picture: Floats
    rng: np.random.Generator
    scale: float
    paper: Floats
    opacity: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.opacity = np.zeros(self.picture.shape[:2], np.float32)

    def stamp(self, opacity: Floats, colour: Floats) -> None:
        """Covers the picture with a colour where `opacity` (H, W) says so."""
        cover = opacity[..., None]
        self.picture = np.asarray(self.picture * (1 - cover) + cover * colour, np.float32)
        self.opacity = np.maximum(self.opacity, opacity)

    def soften(self, drawing: Floats) -> Floats:
        """Drawn lines and dots lose their hard edge, as a scanner sees them."""
        return np.asarray(cv2.GaussianBlur(drawing, (0, 0), 0.5 * max(1.0, self.scale * 0.8)), np.float32)

    def blank(self) -> Floats:
        return np.zeros(self.picture.shape[:2], np.float32)


def scratch(surface: Surface, count: int) -> None:
    """Long thin lines, most of them near vertical (film transport), fading in and out along their length."""
    rng = surface.rng
    for _ in range(count):
        drawing = surface.blank()
        thickness = max(1, round(float(rng.choice([1, 1, 1, 2, 2, 3])) * surface.scale))
        course = np.round(_wandering_line(surface)).astype(np.int32)
        cv2.polylines(drawing, [course], isClosed=False, color=1.0, thickness=thickness)
        opacity = np.clip(surface.soften(drawing) * _patchiness(surface) * rng.uniform(0.55, 1.0), 0, 1)
        surface.stamp(opacity, surface.paper if rng.random() < 0.8 else DARK_SCRATCH)


def _wandering_line(surface: Surface) -> npt.NDArray[np.float64]:
    rng, (height, width) = surface.rng, surface.picture.shape[:2]
    angle = np.pi / 2 + rng.normal(0, 0.12) if rng.random() < 0.65 else rng.uniform(0, np.pi)
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    centre = np.array([rng.uniform(0, width), rng.uniform(0, height)])
    steps = np.linspace(-0.5, 0.5, 30)[:, None] * rng.uniform(0.1, 0.9) * height
    return np.asarray(centre + steps * along + np.cumsum(rng.normal(0, 0.25, 30))[:, None] * across)


def _patchiness(surface: Surface) -> Floats:
    height, width = surface.picture.shape[:2]
    coarse = surface.rng.random((height // 16 + 1, width // 16 + 1)).astype(np.float32)
    patches = cv2.resize(cv2.GaussianBlur(coarse, (0, 0), 1.5), (width, height))
    patches = (patches - patches.min()) / (np.ptp(patches) + 1e-6)
    return np.asarray(np.clip(0.35 + patches, 0, 1), np.float32)


def drop_dust(surface: Surface, count: int) -> None:
    """Specks, white or dark, and now and then a hair."""
    rng = surface.rng
    white, dark = surface.blank(), surface.blank()
    for _ in range(count):
        drawing = white if rng.random() < 0.75 else dark
        if rng.random() < 0.85:
            _draw_speck(surface, drawing)
        else:
            _draw_hair(surface, drawing)
    surface.stamp(surface.soften(white), surface.paper)
    surface.stamp(surface.soften(dark), DARK_DUST)


def _somewhere(surface: Surface) -> tuple[int, int]:
    height, width = surface.picture.shape[:2]
    return int(surface.rng.integers(0, width)), int(surface.rng.integers(0, height))


def _draw_speck(surface: Surface, drawing: Floats) -> None:
    rng = surface.rng
    radius = max(1, round(float(np.clip(rng.lognormal(0.3, 0.55), 0.6, 6)) * surface.scale))
    axes = (radius, max(1, int(radius * rng.uniform(0.5, 1))))
    place, turn, opacity = _somewhere(surface), rng.uniform(0, 180), float(rng.uniform(0.6, 1))
    cv2.ellipse(drawing, place, axes, turn, 0, 360, opacity, -1)


def _draw_hair(surface: Surface, drawing: Floats) -> None:
    rng = surface.rng
    points, angle = [np.array(_somewhere(surface), float)], rng.uniform(0, 2 * np.pi)
    for _ in range(8):
        angle += rng.normal(0, 0.5)
        points.append(points[-1] + 4 * surface.scale * np.array([np.cos(angle), np.sin(angle)]))
    course = np.array(points).astype(np.int32)
    cv2.polylines(
        drawing, [course], isClosed=False, color=float(rng.uniform(0.5, 0.9)), thickness=max(1, int(surface.scale))
    )


def cross_creases(surface: Surface, count: int) -> None:
    """Folds right across: one side lighter, the other darker, the emulsion cracked along the middle."""
    rng, scale, (height, width) = surface.rng, surface.scale, surface.picture.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    for _ in range(count):
        angle = rng.uniform(0, np.pi)
        through = rng.uniform(0.2, 0.8) * width, rng.uniform(0.2, 0.8) * height
        wobble = cv2.GaussianBlur(rng.standard_normal((height, width), np.float32), (0, 0), 12 * scale)
        distance = (columns - through[0]) * -np.sin(angle) + (rows - through[1]) * np.cos(angle)
        distance = distance + wobble / wobble.std() * 1.2 * scale
        shade = 0.10 * np.exp(-((distance / (7 * scale)) ** 2)) * np.sign(distance)
        surface.picture = np.asarray(surface.picture * (1 + shade[..., None]), np.float32)
        patches = cv2.GaussianBlur(rng.standard_normal((height, width), np.float32), (0, 0), 3 * scale) * 8
        crack = np.exp(-((distance / (1.3 * scale)) ** 2)) * np.clip(0.55 + 0.6 * patches, 0, 1)
        surface.stamp(np.asarray(crack, np.float32), surface.paper)
