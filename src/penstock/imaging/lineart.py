"""A photograph as a colouring page: clean lines on white, as pixels, as SVG and as a page to print.

    smooth -> colour structure tensor -> difference of Gaussians across the edges, summed along them
           -> texture held down -> thinned to one pixel -> short strokes pruned, gaps bridged -> drawn with weight

Sources: the flow-based difference of Gaussians of Kang, Lee and Chui, "Coherent line drawing" (NPAR 2007), on the
colour structure tensor of Kyprianidis and Kang, "Image and video abstraction by coherence-enhancing filtering"
(Eurographics 2011). The page is compressed as CCITT group 4, which printers understand and which keeps every pixel.
"""

import io
from dataclasses import dataclass
from typing import Any, Final, Literal

import cv2
import img2pdf
import numpy as np
import numpy.typing as npt
import vtracer
from PIL import Image

from penstock.imaging.picture import Floats, Mask, Picture, Plane, check_picture, disc, scaled, short_side

Labels = npt.NDArray[np.integer[Any]]
Preset = Literal["detailed", "simple", "kids"]
Paper = Literal["a4", "letter"]

PAPERS_MM: Final[dict[Paper, tuple[float, float]]] = {"a4": (210.0, 297.0), "letter": (215.9, 279.4)}
MARGIN_MM: Final = 10.0  # what every printer can reach
PRINT_DPI: Final = 300
MM_PER_INCH: Final = 25.4
MAX_LONG_SIDE: Final = 4_000  # of the working picture: a panorama is drawn smaller rather than for minutes
MIN_SIDE: Final = 16  # smaller pictures are brought up to this: filters need room
OVERSAMPLING: Final = 2  # the drawing has so many times the pixels of the working picture

SMOOTHING_PASSES: Final = 5  # of the bilateral filter
EDGE_SIGMA: Final = 1.5  # pixels at a short side of 1000
SURROUND: Final = 1.6  # ratio of the two Gaussians
FLOW_STEPS: Final = 12
FLOW_SIGMA: Final = 6.0
CHROMA_WEIGHT: Final = 0.9
TEXTURE_SIGMA: Final = 22.0
TEXTURE_POWER: Final = 0.6
HIGH: Final = 1.05  # hysteresis: what starts a line
LOW: Final = 0.38 * HIGH  # and what goes on with one
MIN_STROKE: Final = 36  # pixels
MAX_GAP: Final = 14  # pixels
TIP: Final = 80  # pixels of the smallest white area that a crayon can fill


@dataclass(frozen=True)
class Style:
    """How a preset draws: short side of the working picture and line width, in pixels."""

    short_side: int
    width: float


STYLES: Final[dict[Preset, Style]] = {
    "detailed": Style(1_000, 2.6),
    "simple": Style(560, 3.2),
    "kids": Style(400, 3.4),
}


def line_art(picture: Picture, preset: Preset = "detailed") -> Plane:
    """Draw a picture: 0 is ink, 255 is paper, shape (H, W) with `OVERSAMPLING` times the preset's short side.

    Errors: BadPicture; KeyError for an unknown preset.
    """
    check_picture(picture)
    style = STYLES[preset]
    working = _working(picture, style.short_side)
    scale = short_side(working) / 1_000
    lab = _smooth_lab(working)
    response = _flow_dog(lab, EDGE_SIGMA * scale)
    lines, strength = _crests(response, *_tangents(lab, 4 * scale), scale)
    strokes = _strokes(lines, scale)
    return _without_specks(_inked(strokes, strength, style.width, scale), scale)


def line_art_svg(drawing: Plane) -> str:
    """Trace a drawing to SVG of black shapes on nothing."""
    encoded, content = cv2.imencode(".png", drawing)
    assert encoded
    svg: str = vtracer.convert_raw_image_to_svg(
        content.tobytes(),
        img_format="png",
        colormode="binary",
        mode="spline",
        filter_speckle=4,
        corner_threshold=60,
        path_precision=1,
    )
    return svg


def line_art_pdf(drawing: Plane, paper: Paper) -> bytes:
    """Return one page to print: the drawing as large as the margins allow, turned to the paper, 300 dpi, 1 bit."""
    width_mm, height_mm = PAPERS_MM[paper]
    if drawing.shape[1] > drawing.shape[0]:
        width_mm, height_mm = height_mm, width_mm
    width, height = (round(side / MM_PER_INCH * PRINT_DPI) for side in (width_mm, height_mm))
    margin = round(MARGIN_MM / MM_PER_INCH * PRINT_DPI)
    factor = min((width - 2 * margin) / drawing.shape[1], (height - 2 * margin) / drawing.shape[0])
    size = max(1, round(drawing.shape[1] * factor)), max(1, round(drawing.shape[0] * factor))
    page = np.full((height, width), 255, np.uint8)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    page[top : top + size[1], left : left + size[0]] = cv2.resize(drawing, size, interpolation=cv2.INTER_AREA)
    content = io.BytesIO()
    bilevel = Image.fromarray(np.where(page > 127, 255, 0).astype(np.uint8)).convert("1", dither=Image.Dither.NONE)
    bilevel.save(content, "TIFF", compression="group4", dpi=(PRINT_DPI, PRINT_DPI))
    layout = img2pdf.get_layout_fun((img2pdf.mm_to_pt(width_mm), img2pdf.mm_to_pt(height_mm)))
    pdf: bytes = img2pdf.convert(content.getvalue(), layout_fun=layout)
    return pdf


def _working(picture: Picture, wanted_short_side: int) -> Picture:
    factor = min(wanted_short_side / short_side(picture), MAX_LONG_SIDE / max(picture.shape[:2]))
    working = scaled(picture, factor)
    if short_side(working) < MIN_SIDE:
        size = max(MIN_SIDE, working.shape[1]), max(MIN_SIDE, working.shape[0])
        working = np.asarray(cv2.resize(working, size, interpolation=cv2.INTER_NEAREST), np.uint8)
    return working


def _smooth_lab(picture: Picture) -> Floats:
    """Contrast stretched, flattened inside shapes, in LAB with shadows lifted so that their edges survive."""
    low, high = np.percentile(picture, (0.5, 99.5))
    stretched = np.clip((picture.astype(np.float32) - low) * (255 / max(1.0, high - low)), 0, 255).astype(np.uint8)
    for _ in range(SMOOTHING_PASSES):
        stretched = np.asarray(cv2.bilateralFilter(stretched, 9, 30, 7), np.uint8)
    lab = np.asarray(cv2.cvtColor(stretched, cv2.COLOR_RGB2LAB), np.float32)
    lab[..., 0] = 255 * np.power(lab[..., 0] / 255, 0.75)
    return lab


def _tangents(lab: Floats, sigma: float) -> tuple[Floats, Floats]:
    """Unit vectors along the edges: the minor eigenvector of the colour structure tensor, smoothed by `sigma`."""
    across = [cv2.Scharr(np.ascontiguousarray(lab[..., i]), cv2.CV_32F, 1, 0) for i in range(3)]
    down = [cv2.Scharr(np.ascontiguousarray(lab[..., i]), cv2.CV_32F, 0, 1) for i in range(3)]
    xx = _blurred(np.sum([x * x for x in across], axis=0), sigma)
    yy = _blurred(np.sum([y * y for y in down], axis=0), sigma)
    xy = _blurred(np.sum([x * y for x, y in zip(across, down, strict=True)], axis=0), sigma)
    larger = 0.5 * (xx + yy + np.sqrt((xx - yy) ** 2 + 4 * xy * xy))
    x, y = larger - xx, -xy
    length = np.hypot(x, y)
    flat = length < 1e-6
    length[flat] = 1
    return np.where(flat, 0, x / length).astype(np.float32), np.where(flat, 1, y / length).astype(np.float32)


def _blurred(values: Floats, sigma: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(np.asarray(values, np.float32), (0, 0), max(sigma, 0.3)), np.float32)


def _grid(shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    x, y = np.meshgrid(np.arange(shape[1], dtype=np.float32), np.arange(shape[0], dtype=np.float32))
    return x, y


def _at(values: Floats, x: Floats, y: Floats, how: int = cv2.INTER_LINEAR) -> Floats:
    return np.asarray(cv2.remap(values, x, y, how, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _flow_dog(lab: Floats, sigma: float) -> Floats:
    """Difference of Gaussians across the edges, summed along them; negative where ink belongs."""
    tx, ty = _tangents(lab, 4.0)
    difference = _across(lab, tx, ty, max(sigma, 0.5))
    chroma = np.maximum(np.abs(difference[..., 1]), np.abs(difference[..., 2]))
    return _along(np.asarray(np.minimum(difference[..., 0], 0) - CHROMA_WEIGHT * chroma, np.float32), tx, ty)


def _across(lab: Floats, tx: Floats, ty: Floats, sigma: float) -> Floats:
    x, y = _grid(lab.shape)
    centre, surround = np.zeros_like(lab), np.zeros_like(lab)
    centre_weight = surround_weight = 0.0
    reach = int(np.ceil(2 * sigma * SURROUND))
    for step in range(-reach, reach + 1):
        values = _at(lab, x - ty * step, y + tx * step)
        near = float(np.exp(-step * step / (2 * sigma**2)))
        far = float(np.exp(-step * step / (2 * (sigma * SURROUND) ** 2)))
        centre += near * values
        surround += far * values
        centre_weight += near
        surround_weight += far
    return centre / centre_weight - surround / surround_weight


def _along(response: Floats, tx: Floats, ty: Floats) -> Floats:
    """Line integral along the flow, both ways, by Euler steps of one pixel."""
    total, weight = response.copy(), 1.0
    for sign in (1.0, -1.0):
        x, y = _grid(response.shape)
        vx, vy = tx * np.float32(sign), ty * np.float32(sign)
        for step in range(1, FLOW_STEPS + 1):
            x, y = x + vx, y + vy
            share = float(np.exp(-step * step / (2 * FLOW_SIGMA**2)))
            total += np.float32(share) * _at(response, x, y)
            weight += share
            nx, ny = _at(tx, x, y, cv2.INTER_NEAREST), _at(ty, x, y, cv2.INTER_NEAREST)
            turned = np.where(nx * vx + ny * vy < 0, np.float32(-1), np.float32(1))
            vx, vy = nx * turned, ny * turned
    return total / np.float32(weight)


def _crests(response: Floats, tx: Floats, ty: Floats, scale: float) -> tuple[Mask, Floats]:
    """Where the response is strongest across the line, by hysteresis; busy texture counts for less."""
    ink = -np.minimum(response, 0)
    busy = _blurred(ink, TEXTURE_SIGMA * scale)
    strength = (ink / np.power(1 + busy / 1.2, TEXTURE_POWER)).astype(np.float32)
    x, y = _grid(strength.shape)
    crest = (strength >= _at(strength, x - ty, y + tx)) & (strength >= _at(strength, x + ty, y - tx))
    crest &= strength > LOW
    count, labels = cv2.connectedComponents(crest.astype(np.uint8), connectivity=8)
    kept = np.zeros(count, np.bool_)
    kept[np.unique(labels[crest & (strength > HIGH)])] = True
    kept[0] = False
    return kept[labels], strength


def _strokes(lines: Mask, scale: float) -> Plane:
    """One-pixel strokes: thinned, the short ones gone, loose ends joined."""
    closed = cv2.morphologyEx(lines.astype(np.uint8) * 255, cv2.MORPH_CLOSE, disc(3))
    thin = np.asarray(cv2.ximgproc.thinning(closed), np.uint8)
    half = _pruned(thin, round(MIN_STROKE * scale / 2))
    return _pruned(_bridged(half, max(3, round(MAX_GAP * scale))), round(MIN_STROKE * scale))


def _pruned(strokes: Plane, min_pixels: int) -> Plane:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(strokes, connectivity=8)
    kept = stats[:, cv2.CC_STAT_AREA] >= min_pixels
    kept[0] = False
    assert len(kept) == count
    return np.asarray(kept[labels] * 255, np.uint8)


def _bridged(strokes: Plane, gap: int) -> Plane:
    """Join each loose end to the nearest ink that lies ahead of it, within `gap` pixels."""
    joined = strokes.copy()
    neighbours = cv2.filter2D((strokes > 0).astype(np.uint8), -1, np.ones((3, 3), np.uint8))
    labels = np.asarray(cv2.connectedComponents(strokes, connectivity=8)[1], np.int32)
    for y, x in np.argwhere((strokes > 0) & (neighbours == 2)):
        target = _ahead(joined, labels, int(x), int(y), gap)
        if target is not None:
            cv2.line(joined, (int(x), int(y)), target, 255, 1)
    return joined


def _ahead(strokes: Plane, labels: Labels, x: int, y: int, gap: int) -> tuple[int, int] | None:
    """The nearest ink in a cone before the end at (x, y), which points away from its own stroke."""
    near = labels[max(0, y - 7) : y + 8, max(0, x - 7) : x + 8]
    own = np.argwhere(near == labels[y, x]) - (min(y, 7), min(x, 7))
    direction = -own.mean(axis=0)
    length = float(np.hypot(*direction))
    if length < 1:
        return None
    around = strokes[max(0, y - gap) : y + gap + 1, max(0, x - gap) : x + gap + 1]
    offsets = np.argwhere(around > 0) - (min(y, gap), min(x, gap))
    distance = np.hypot(offsets[:, 0], offsets[:, 1])
    fits = (distance > 2.5) & (distance <= gap)
    offsets, distance = offsets[fits], distance[fits]
    if not len(offsets):
        return None
    cosine = offsets @ (direction / length) / distance
    cost = np.where(cosine > 0.6, distance * (1.6 - 0.6 * cosine), np.inf)
    best = int(cost.argmin())
    return (x + int(offsets[best, 1]), y + int(offsets[best, 0])) if np.isfinite(cost[best]) else None


def _inked(strokes: Plane, strength: Floats, width: float, scale: float) -> Plane:
    """Draw strokes with a weight that follows the strength of the edge, smooth-edged, at `OVERSAMPLING`."""
    on_stroke = strokes > 0
    large = cv2.resize(strokes, None, fx=OVERSAMPLING, fy=OVERSAMPLING, interpolation=cv2.INTER_NEAREST)
    if not on_stroke.any():
        return np.full_like(large, 255)
    reach = np.asarray(cv2.dilate(strength, disc(5)), np.float32)
    mean = _blurred(np.where(on_stroke, reach, 0), 6) / (_blurred(on_stroke.astype(np.float32), 6) + 1e-3)
    weight = np.clip(0.75 + 0.25 * mean / max(1e-3, float(np.median(mean[on_stroke]))), 0.7, 1.5)
    weight = np.asarray(cv2.resize(weight.astype(np.float32), large.shape[1::-1]), np.float32)
    thin = np.asarray(cv2.ximgproc.thinning(large), np.uint8)
    distance = _blurred(np.asarray(cv2.distanceTransform(255 - thin, cv2.DIST_L2, 5), np.float32), 1.2)
    radius = max(1.0, width * scale) * OVERSAMPLING / 2 * weight
    return (255 * (1 - np.clip(radius - distance + 0.5, 0, 1))).astype(np.uint8)


def _without_specks(drawing: Plane, scale: float) -> Plane:
    """Fill white areas that are smaller than a crayon's tip."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats((drawing > 127).astype(np.uint8), connectivity=4)
    tiny = stats[:, cv2.CC_STAT_AREA] < TIP * scale * scale * OVERSAMPLING
    tiny[0] = False
    filled = drawing.copy()
    filled[tiny[labels]] = 0
    return filled
