"""Generated scenes: a print lying on something, photographed by hand, with its true corners known.

The print is one of the bundled photographs, half of them yellowed or faded, most with a white border. It lies turned
and seen at an angle on brick, grass, gravel, wood, plain or patterned cloth or another picture, under uneven light,
with shadows and glare, softened, noisy, and stored as JPEG. One seed decides everything.
"""

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from training.backdrops import backdrop
from training.photographs import IN_COLOUR, Picture, photograph

Floats = npt.NDArray[np.float32]
Points = npt.NDArray[np.floating[Any]]

WIDTH: Final = 1280
HEIGHT: Final = 960
FOCAL_LENGTH: Final = 1.3
"""In units of the picture's width: a phone."""
MAX_TILT_DEGREES: Final = 32
PAPER: Final = np.array([0.95, 0.92, 0.86], np.float32)
JPEG_QUALITY: Final = 88


@dataclass(frozen=True)
class Scene:
    """A photo of a photo. `corners` are (x, y) in pixels, clockwise from the print's own top left, shape (4, 2)."""

    picture: Picture
    corners: Points
    aspect: float
    backdrop: str


def scene(seed: int) -> Scene:
    """A print on a backdrop."""
    rng = np.random.default_rng(seed)
    ground, kind = backdrop(rng, WIDTH, HEIGHT)
    print_ = _print(rng)
    corners = _place(rng, print_.shape[1], print_.shape[0])
    picture = _light(rng, _lay(rng, ground, print_, corners))
    return Scene(_photograph(rng, picture), corners, print_.shape[1] / print_.shape[0], kind)


def empty_scene(seed: int) -> Picture:
    """A backdrop with no print on it, photographed the same way."""
    rng = np.random.default_rng(seed)
    ground, _ = backdrop(rng, WIDTH, HEIGHT)
    return _photograph(rng, _light(rng, ground))


def _print(rng: np.random.Generator) -> Floats:
    picture = photograph(str(rng.choice(IN_COLOUR))).astype(np.float32) / 255
    if rng.random() < 0.4:
        picture = picture.mean(axis=2, keepdims=True) * np.array([1.0, 0.88, 0.75], np.float32) * 0.85 + 0.08
    elif rng.random() < 0.5:
        picture = picture * 0.8 + 0.12
    if rng.random() < 0.6:
        border = int(rng.uniform(12, 40))
        colour = [float(level) for level in PAPER * rng.uniform(0.9, 1.04)]
        sides = (border,) * 4
        picture = np.asarray(cv2.copyMakeBorder(picture, *sides, cv2.BORDER_CONSTANT, value=colour))
    return np.asarray(picture, np.float32)


def _place(rng: np.random.Generator, width: int, height: int) -> Points:
    """Turns the print in its plane, tilts the plane, projects it, and puts it somewhere in the frame."""
    share = rng.uniform(0.22, 0.72)
    scale = min(np.sqrt(share * WIDTH * HEIGHT / (width * height)), 0.93 * WIDTH / width, 0.93 * HEIGHT / height)
    half = np.array([width, height]) / 2 * scale
    flat = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    turn = np.deg2rad(rng.normal(0, 12))
    flat = flat @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    space = np.c_[flat, np.zeros(4)] @ _tilt(*np.deg2rad(rng.uniform(-MAX_TILT_DEGREES, MAX_TILT_DEGREES, 2))).T
    focal = FOCAL_LENGTH * WIDTH
    seen = space[:, :2] * focal / (focal + space[:, 2:])
    seen *= min(1.0, 0.94 * WIDTH / np.ptp(seen[:, 0]), 0.94 * HEIGHT / np.ptp(seen[:, 1]))
    room = np.maximum(0, (np.array([WIDTH, HEIGHT]) - np.ptp(seen, axis=0)) / 2 - 6)
    middle = np.array([WIDTH, HEIGHT]) / 2 + rng.uniform(-0.8, 0.8, 2) * room
    return np.asarray(seen - (seen.min(axis=0) + seen.max(axis=0)) / 2 + middle)


def _tilt(around_x: float, around_y: float) -> Points:
    cos_x, sin_x, cos_y, sin_y = np.cos(around_x), np.sin(around_x), np.cos(around_y), np.sin(around_y)
    over_x = np.array([[1, 0, 0], [0, cos_x, -sin_x], [0, sin_x, cos_x]])
    over_y = np.array([[cos_y, 0, sin_y], [0, 1, 0], [-sin_y, 0, cos_y]])
    return np.asarray(over_x @ over_y)


def _lay(rng: np.random.Generator, ground: Floats, print_: Floats, corners: Points) -> Floats:
    """The print over the backdrop, with the soft shadow of its edge."""
    height, width = print_.shape[:2]
    flat = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    seen = np.asarray(cv2.getPerspectiveTransform(flat, corners.astype(np.float32)), np.float64)
    whole = np.ones((height, width), np.float32)
    cover = cv2.warpPerspective(whole, seen, (WIDTH, HEIGHT))[..., None]
    moved = np.array([[1, 0, rng.uniform(-6, 9)], [0, 1, rng.uniform(0, 10)], [0, 0, 1]]) @ seen
    shadow = cv2.GaussianBlur(cv2.warpPerspective(whole, moved, (WIDTH, HEIGHT)), (0, 0), rng.uniform(2, 8))
    ground = ground * (1 - rng.uniform(0.1, 0.5) * shadow[..., None])
    laid = cv2.warpPerspective(print_, seen, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
    return np.asarray(ground * (1 - cover) + laid * cover, np.float32)


def _light(rng: np.random.Generator, picture: Floats) -> Floats:
    """A slope of light; sometimes the shadow of a hand, sometimes glare."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] / np.array([HEIGHT, WIDTH]).reshape(2, 1, 1)
    towards = rng.uniform(0, 2 * np.pi)
    slope = 1 + rng.uniform(0.1, 0.45) * ((x - 0.5) * np.cos(towards) + (y - 0.5) * np.sin(towards))
    lit = picture * slope[..., None]
    if rng.random() < 0.4:
        lit = lit * (1 - _hand(rng))[..., None]
    if rng.random() < 0.3:
        at = rng.uniform(0.2, 0.8, 2)
        lit = lit + 0.5 * np.exp(-(((x - at[0]) / 0.08) ** 2 + ((y - at[1]) / 0.06) ** 2))[..., None]
    return np.asarray(lit, np.float32)


def _hand(rng: np.random.Generator) -> Floats:
    across, down = rng.uniform(0, WIDTH, 4), np.array([-50, -50, *rng.uniform(0.3, 1, 2) * HEIGHT])
    outline = np.stack([across, down], axis=1).astype(np.int32)
    shade = np.zeros((HEIGHT, WIDTH), np.float32)
    cv2.fillConvexPoly(shade, cv2.convexHull(outline), 1.0)
    return np.asarray(rng.uniform(0.15, 0.4) * cv2.GaussianBlur(shade, (0, 0), rng.uniform(8, 40)), np.float32)


def _photograph(rng: np.random.Generator, picture: Floats) -> Picture:
    soft = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.5, 1.4))
    noisy = soft + rng.uniform(0.004, 0.02) * rng.standard_normal(soft.shape, np.float32)
    levels = np.round(np.clip(noisy, 0, 1) * 255).astype(np.uint8)
    _, packed = cv2.imencode(".jpg", cv2.cvtColor(levels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    unpacked = cv2.imdecode(packed, cv2.IMREAD_COLOR)
    if unpacked is None:  # cannot be: we packed it ourselves two lines ago
        raise RuntimeError("OpenCV could not read back its own JPEG")
    return np.asarray(cv2.cvtColor(unpacked, cv2.COLOR_BGR2RGB), np.uint8)
