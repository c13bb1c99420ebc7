"""What the scratch detector sees of each pixel: 28 numbers about thin lines and small spots around it.

Damage is brighter or darker than what lies on both its sides, so every number exists once for each polarity. Most are
divided by the picture's own noise or by the clutter nearby: a hair on a plain sky is conspicuous, the same contrast in
foliage is not. Lengths are in pixels of a picture whose short side is 480 and scale with the picture.
"""

from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
import numpy.typing as npt

from penstock.imaging.picture import Floats, Picture, disc, odd, short_side

Polarity = Literal[1, -1]
"""1: damage brighter than its surroundings; -1: darker."""

POLARITIES: Final[tuple[Polarity, Polarity]] = (1, -1)
COUNT: Final = 28
"""Features per pixel and polarity."""
TOP_HAT: Final = 10
"""Index of the small top-hat over the clutter: how much a pixel sticks out. Training picks hard negatives by it."""

ORIENTATIONS: Final = 20
RIDGES_PX: Final = ((9, 3), (21, 4), (45, 4), (45, 7), (91, 5))
"""Length of the line and distance to its two flanks."""
TOP_HATS_PX: Final = (5, 9, 17)
MEDIANS_PX: Final = (7, 13, 25)
NEIGHBOURHOODS_PX: Final = (15, 31, 61)


@dataclass(frozen=True)
class Ground:
    """What both polarities share: 8-bit lightness (raw and smoothed), its noise, and the picture's texture."""

    scale: float
    light: Floats
    smooth: Floats
    noise: float
    activity: Floats
    deviation: Floats
    chroma: Floats


class FeatureMaker:
    """Prepares a picture once; `of(polarity)` then gives shape (H, W, COUNT), so that only one stack is alive."""

    def __init__(self, picture: Picture) -> None:
        self.ground = _ground(picture)
        self._ridges = _ridges(self.ground)
        self._medians = [_median(self.ground, size) for size in MEDIANS_PX]

    def of(self, polarity: Polarity) -> Floats:
        ground, ridges = self.ground, self._ridges[polarity]
        clutter = _clutter(np.maximum(ridges[1], 0), 61 * ground.scale)
        planes = [np.clip(ridge / ground.noise, -3, 30) for ridge in ridges]
        floor = 0.3 * ground.noise + 0.5
        planes += [np.clip(ridge / (clutter + floor), -3, 20) for ridge in ridges[:4]]
        planes += _top_hats(ground, polarity)
        planes += [np.clip((ground.smooth - median) * polarity / ground.noise, -10, 40) for median in self._medians]
        planes += _extremes(ground, polarity)
        planes += [
            np.log(ground.activity / ground.noise + 0.1),
            np.log(ground.deviation / ground.noise + 0.1),
            np.log(clutter / ground.noise + 0.05),
            np.full_like(ground.light, np.log(ground.noise)),
            ground.chroma,
            ground.light / 128,
        ]
        return np.asarray(np.stack(planes, axis=-1), np.float32)


def _ground(picture: Picture) -> Ground:
    scale = short_side(picture) / 480
    lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    light = np.ascontiguousarray(lab[..., 0]) * np.float32(2.55)
    window = (odd(31 * scale),) * 2
    laplacian = cv2.Laplacian(cv2.GaussianBlur(light, (0, 0), 1.0), cv2.CV_32F)
    mean = cv2.blur(light, window)
    variance = np.maximum(cv2.blur(light * light, window) - mean * mean, 0)
    away = [lab[..., channel] - np.median(lab[..., channel]) for channel in (1, 2)]
    return Ground(
        scale=scale,
        light=np.asarray(light, np.float32),
        smooth=np.asarray(cv2.GaussianBlur(light, (0, 0), 0.6 * max(1.0, scale)), np.float32),
        noise=max(_noise(light), 0.7),
        activity=np.asarray(cv2.blur(np.abs(laplacian), window), np.float32),
        deviation=np.asarray(np.sqrt(variance), np.float32),
        chroma=np.asarray(np.hypot(*away) / 10, np.float32),
    )


def _noise(light: npt.NDArray[np.floating]) -> float:
    """Immerkaer's mask (1996) with a median, so that edges count little. It reads low, equally in every picture."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    return float(np.median(np.abs(cv2.filter2D(light, cv2.CV_32F, kernel))) / 0.6745 / 6)


def _ridges(ground: Ground) -> dict[Polarity, list[Floats]]:
    """The best line through each pixel over all orientations, less the stronger of its two flanks.

    Taking the stronger flank keeps edges out: an edge has one flank as bright as the line itself.
    """
    bright, dark = [_lowest(ground) for _ in RIDGES_PX], [_lowest(ground) for _ in RIDGES_PX]
    for step in range(ORIENTATIONS):
        angle = np.pi * step / ORIENTATIONS
        across = -np.sin(angle), np.cos(angle)
        means = {length: _line_mean(ground, length, angle) for length, _ in RIDGES_PX}
        for index, (length, distance) in enumerate(RIDGES_PX):
            line, reach = means[length], distance * ground.scale
            left = _moved(line, across[0] * reach, across[1] * reach)
            right = _moved(line, -across[0] * reach, -across[1] * reach)
            np.maximum(bright[index], line - np.maximum(left, right), out=bright[index])
            np.maximum(dark[index], np.minimum(left, right) - line, out=dark[index])
    return {1: bright, -1: dark}


def _lowest(ground: Ground) -> Floats:
    return np.full(ground.light.shape, -1e9, np.float32)


def _line_mean(ground: Ground, length: int, angle: float) -> Floats:
    return np.asarray(cv2.filter2D(ground.smooth, cv2.CV_32F, _line_kernel(length * ground.scale, angle)), np.float32)


def _line_kernel(length: float, angle: float) -> Floats:
    size = odd(length + 2)
    middle, half = size // 2, (length - 1) / 2
    kernel = np.zeros((size, size), np.float32)
    reach = np.array([np.cos(angle), np.sin(angle)]) * half
    start, end = np.round((middle - reach) * 16).astype(int), np.round((middle + reach) * 16).astype(int)
    cv2.line(kernel, start.tolist(), end.tolist(), 1.0, 1, cv2.LINE_8, 4)  # 4: coordinates are in sixteenths
    return np.asarray(kernel / kernel.sum(), np.float32)


def _moved(plane: Floats, right: float, down: float) -> Floats:
    height, width = plane.shape
    shift = np.array([[1, 0, right], [0, 1, down]], np.float32)
    moved = cv2.warpAffine(plane, shift, (width, height), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32)


def _median(ground: Ground, size: int) -> Floats:
    levels = np.clip(ground.smooth, 0, 255).astype(np.uint8)
    return np.asarray(cv2.medianBlur(levels, odd(size * ground.scale)), np.float32)


def _clutter(response: Floats, window: float) -> Floats:
    """The usual response nearby. The strongest 7 % are cut off, else damage would hide itself."""
    return np.asarray(cv2.blur(np.minimum(response, np.percentile(response[::3, ::3], 93)), (odd(window),) * 2))


def _top_hats(ground: Ground, polarity: Polarity) -> list[Floats]:
    """Sticking out by more than anything of that width: over the noise, and over the clutter."""
    planes: list[Floats] = []
    for size in TOP_HATS_PX:
        element = disc(odd(size * ground.scale))
        hat = np.asarray(cv2.morphologyEx(ground.smooth * polarity, cv2.MORPH_TOPHAT, element), np.float32)
        clutter = _clutter(hat, 41 * ground.scale)
        planes.append(np.clip(hat / ground.noise, 0, 40))
        planes.append(np.clip(hat / (clutter + 0.4 * ground.noise + 0.5), 0, 20))
    return planes


def _extremes(ground: Ground, polarity: Polarity) -> list[Floats]:
    """Brighter (darker) than anything broad nearby, or in the whole picture: paper white and dirt are."""
    signed = ground.smooth * polarity
    broad = cv2.morphologyEx(signed, cv2.MORPH_OPEN, disc(odd(6 * ground.scale)))
    tops = [cv2.dilate(broad, np.ones((odd(size * ground.scale),) * 2, np.uint8)) for size in NEIGHBOURHOODS_PX]
    return [np.clip((signed - top) / 15, -8, 8) for top in (*tops, np.percentile(broad, 99))]
