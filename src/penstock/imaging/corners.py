"""The photo in the photo: where the corners of a print are, and the print cut out and straightened.

    candidates (contours, lines) -> score by edge evidence along the sides -> prefer the outermost of near ties
    -> refine each side to a fraction of a pixel

The aspect of the straightened print comes from the homography, as in Zhang and He, "Whiteboard scanning and image
enhancement" (Digital Signal Processing 17, 2007): square pixels, the optical axis through the middle.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from penstock.imaging.picture import MAX_PIXELS, BadPicture, Picture, Plane, at_most, check_picture
from penstock.imaging.quads import Floats, Quad, candidates

Corners = tuple[tuple[float, float], ...]
"""Four (x, y) in 0..1 of width and height, clockwise from what is to be top left."""

WORKING_SIDE: Final = 640  # pixels of the long side while looking
MIN_SIDE: Final = 32  # pixels; smaller pictures hold no print
MIN_SCORE: Final = 2.4  # below it there is no print in the frame
NEAR_TIE: Final = 0.22
MIN_EVIDENCE: Final = 0.45
BORDER_REACH: Final = 25  # working pixels: the window around a border that counts as its surroundings
MIN_BORDER_CONTRAST: Final = 12.0  # 8-bit LAB between a border and its surroundings
REFINE_POINTS: Final = 60  # along each side
REFINE_REACH: Final = 3.5  # working pixels to either side
MAX_SIDE: Final = 8_192  # pixels of a straightened print
MIN_CROP: Final = 1e-3  # of the picture's area


@dataclass(frozen=True)
class Found:
    """A print in the picture; `score` says how sure that is, from `MIN_SCORE` to about 4."""

    corners: Corners
    score: float


@dataclass(frozen=True)
class _Evidence:
    """What is known of the working picture: smoothed LAB, gradient with direction, gradient in 0..1.2, wide colour."""

    lab: Picture
    saturation: Plane
    gradient: Floats
    gx: Floats
    gy: Floats
    edge: Floats
    wide: Floats


def find_corners(picture: Picture) -> Corners | None:
    """Return the corners of a print in the picture, or None where there is none. Errors: BadPicture."""
    found = find_print(picture)
    return None if found is None or found.score < MIN_SCORE else found.corners


def find_print(picture: Picture) -> Found | None:
    """Return the likeliest print with its score, however low."""
    check_picture(picture)
    height, width = picture.shape[:2]
    if min(height, width) < MIN_SIDE:
        return None
    factor = min(1.0, WORKING_SIDE / max(height, width))
    small = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA) if factor < 1 else picture
    seen = _evidence(np.asarray(small, np.uint8))
    quads = candidates(seen.lab, seen.gradient, seen.saturation)
    if not quads:
        return None
    best, score = _choose(seen, quads)
    refined = _refine(picture, best / factor, REFINE_REACH / factor)
    scaled = np.clip(refined / np.array([width, height]), 0, 1)
    return Found(tuple((float(x), float(y)) for x, y in scaled), score)


def check_corners(corners: Corners) -> None:
    """Raises BadPicture unless the corners go clockwise around a convex shape of some size within the picture."""
    points = np.asarray(corners, np.float64)
    if points.shape != (4, 2) or not np.isfinite(points).all() or points.min() < 0 or points.max() > 1:
        raise BadPicture("corners are four (x, y) from 0 to 1, clockwise from the top left")
    sides = np.roll(points, -1, axis=0) - points
    following = np.roll(sides, -1, axis=0)
    turns = sides[:, 0] * following[:, 1] - sides[:, 1] * following[:, 0]
    area = 0.5 * float((points[:, 0] * np.roll(points[:, 1], -1) - np.roll(points[:, 0], -1) * points[:, 1]).sum())
    if turns.min() <= 0 or area < MIN_CROP:
        raise BadPicture("the corners must go clockwise around a shape that bends outwards at each of them")


def straighten(picture: Picture, corners: Corners) -> Picture:
    """Cut the print out of the picture and make it a rectangle of its own aspect. Errors: BadPicture."""
    check_picture(picture)
    check_corners(corners)
    height, width = picture.shape[:2]
    quad = np.asarray(corners, np.float64) * (width, height)
    across, down = _size(quad, width, height)
    target = np.array([[0, 0], [across, 0], [across, down], [0, down]], np.float32)
    transform = cv2.getPerspectiveTransform(quad.astype(np.float32), target)
    size = (max(1, round(across)), max(1, round(down)))
    cut = cv2.warpPerspective(picture, transform, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return at_most(np.asarray(cut, np.uint8), MAX_PIXELS)


def _size(quad: Floats, width: int, height: int) -> tuple[float, float]:
    """Width and height of the straightened print in pixels: its aspect, at the resolution of its longer sides."""
    lengths = np.hypot(*(np.roll(quad, -1, axis=0) - quad).T)
    across, down = max(lengths[0], lengths[2], 1.0), max(lengths[1], lengths[3], 1.0)
    aspect = _aspect(quad, width, height) or across / down
    if across / down > aspect:
        down = across / aspect
    else:
        across = down * aspect
    shrink = min(1.0, MAX_SIDE / max(across, down))
    return float(across * shrink), float(down * shrink)


def _aspect(quad: Floats, width: int, height: int) -> float | None:
    """Width over height of the print from its perspective; None where perspective is too weak or too odd to tell."""
    top_left, top_right, bottom_right, bottom_left = (np.array([*(p - (width / 2, height / 2)), 1.0]) for p in quad)
    diagonal = np.cross(top_left, bottom_right)
    right = float(diagonal @ bottom_left) / float(np.cross(top_right, bottom_right) @ bottom_left)
    down = float(diagonal @ top_right) / float(np.cross(bottom_left, bottom_right) @ top_right)
    across_vector, down_vector = right * top_right - top_left, down * bottom_left - top_left
    depth = float(across_vector[2] * down_vector[2])
    if abs(across_vector[2]) <= 1e-4 and abs(down_vector[2]) <= 1e-4:
        return float(np.hypot(*across_vector[:2]) / np.hypot(*down_vector[:2]))
    if abs(across_vector[2]) <= 1e-4 or abs(down_vector[2]) <= 1e-4:
        return None
    focal = -float(across_vector[:2] @ down_vector[:2]) / depth
    side = max(width, height) ** 2
    if not 0.3 * side < focal < 16 * side:
        return None
    metric = np.diag([1 / focal, 1 / focal, 1.0])
    ratio = float(across_vector @ metric @ across_vector) / float(down_vector @ metric @ down_vector)
    return float(np.sqrt(ratio))


def _evidence(small: Picture) -> _Evidence:
    smooth = np.asarray(cv2.bilateralFilter(cv2.medianBlur(small, 5), 9, 40, 7), np.uint8)
    lab = np.asarray(cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB), np.uint8)
    saturation = np.ascontiguousarray(cv2.cvtColor(smooth, cv2.COLOR_RGB2HSV)[..., 1])
    gradient, gx, gy = (np.zeros(lab.shape[:2], np.float32) for _ in range(3))
    for i, weight in enumerate((1.0, 1.6, 1.6)):  # colour edges count for more: shadows have few
        x = cv2.Scharr(np.ascontiguousarray(lab[..., i]), cv2.CV_32F, 1, 0) * (weight / 16)
        y = cv2.Scharr(np.ascontiguousarray(lab[..., i]), cv2.CV_32F, 0, 1) * (weight / 16)
        strength = np.hypot(x, y)
        stronger = strength > gradient
        gradient[stronger], gx[stronger], gy[stronger] = strength[stronger], x[stronger], y[stronger]
    edge = np.minimum(gradient / (np.percentile(gradient, 97) + 2), 1.2).astype(np.float32)
    wide = cv2.blur(lab, (5, 5)).astype(np.float32)
    return _Evidence(lab, np.asarray(saturation, np.uint8), gradient, gx, gy, edge, wide)


def _choose(seen: _Evidence, quads: list[Quad]) -> tuple[Quad, float]:
    """The best candidate; of near ties the outermost, so that a white border belongs to the print."""
    scores = [_score(seen, quad) for quad in quads]
    order = sorted(range(len(quads)), key=lambda i: -scores[i][0])
    first = order[0]
    best = quads[first]
    for i in order[1:12]:
        outer = quads[i]
        larger = cv2.contourArea(outer) > 1.03 * cv2.contourArea(best)
        near = scores[i][0] > scores[first][0] - NEAR_TIE and scores[i][1] > MIN_EVIDENCE
        if near and larger and _contains(outer, best) and _has_border(seen, outer, best):
            best = outer
    return best, scores[first][0]


def _contains(outer: Quad, inner: Quad) -> bool:
    outline = outer.reshape(-1, 1, 2)
    return all(cv2.pointPolygonTest(outline, (float(x), float(y)), measureDist=True) > -4 for x, y in inner)


def _has_border(seen: _Evidence, outer: Quad, inner: Quad) -> bool:
    """Whether what lies between two outlines is paper, not more of the table: unlike what lies just outside."""
    whole, within = (_filled(quad, seen.edge.shape) for quad in (outer, inner))
    border = (whole > 0) & (within == 0)
    near = cv2.dilate(border.astype(np.uint8), np.ones((BORDER_REACH, BORDER_REACH), np.uint8)) > 0
    outside = near & (cv2.dilate(whole, np.ones((5, 5), np.uint8)) == 0)
    if not border.any() or not outside.any():
        return False
    between, around = (seen.wide[region].mean(axis=0) for region in (border, outside))
    return float(np.hypot.reduce(between - around)) > MIN_BORDER_CONTRAST


def _filled(quad: Quad, shape: tuple[int, ...]) -> Plane:
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, np.round(quad).astype(np.int32), 1)
    return mask


def _score(seen: _Evidence, quad: Quad) -> tuple[float, float]:
    """How much speaks for a candidate, and the evidence of its weakest side."""
    sides = [_side(seen, quad[i], quad[(i + 1) % 4]) for i in range(4)]
    evidence, contrast = [side[0] for side in sides], [side[1] for side in sides]
    share = cv2.contourArea(quad) / seen.edge.size
    total = min(evidence) * 0.9 + sum(evidence) / 4 + 0.35 * sum(contrast) / 4 + 0.3 * min(contrast)
    return float(total + 0.45 * np.sqrt(share)), min(evidence)


def _side(seen: _Evidence, start: Floats, end: Floats) -> tuple[float, float]:
    """Edge evidence along a side (only gradients across it count) and the contrast between its two sides."""
    height, width = seen.edge.shape
    length = float(np.hypot(*(end - start)))
    normal = np.array([end[1] - start[1], start[0] - end[0]]) / length
    points = start + (end - start) * np.linspace(0.03, 0.97, int(max(24, length / 2)))[:, None]

    def pixels(at: Floats) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.intp]], ...]:
        rounded = at.round().astype(np.intp)
        return np.clip(rounded[..., 1], 0, height - 1), np.clip(rounded[..., 0], 0, width - 1)

    strip = pixels(points[None] + np.arange(-2, 3)[:, None, None] * normal)
    aligned = np.abs(seen.gx[strip] * normal[0] + seen.gy[strip] * normal[1]) / (seen.gradient[strip] + 1e-3)
    strongest = (seen.edge[strip] * (aligned > 0.85)).max(axis=0)
    across = np.abs(seen.wide[pixels(points + normal * 6)] - seen.wide[pixels(points - normal * 6)]).sum(axis=1)
    evidence = (strongest > 0.18).mean() * 0.7 + np.minimum(strongest, 0.6).mean() * 0.5
    return float(evidence), float(np.minimum(across / 30, 1).mean())


def _refine(picture: Picture, quad: Quad, reach: float) -> Quad:
    """Move each side to the strongest edge near it in the full picture: sampled normals, a robust line, crossings."""
    lab = np.asarray(cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2LAB), (0, 0), 1.2), np.uint8)
    for radius in (reach, reach / 2):
        sides = [_fit_side(lab, quad[i], quad[(i + 1) % 4], radius) for i in range(4)]
        corners = []
        for (p, u), (q, v) in zip((sides[-1], *sides[:-1]), sides, strict=True):
            determinant = float(u[0] * v[1] - u[1] * v[0])
            if abs(determinant) < 1e-3:
                return quad
            corners.append(p + ((q - p)[0] * v[1] - (q - p)[1] * v[0]) / determinant * u)
        moved = np.asarray(corners, np.float32)
        if np.abs(moved - quad).max() > 4 * radius:
            return quad
        quad = moved
    return quad


def _fit_side(lab: Picture, start: Floats, end: Floats, radius: float) -> tuple[Floats, Floats]:
    """A point on the side and its direction."""
    length = float(np.hypot(*(end - start)))
    direction = (end - start) / length
    normal = np.array([direction[1], -direction[0]])
    offsets = np.arange(-radius - 1, radius + 1.01, max(0.5, radius / 24))
    points = start + (end - start) * np.linspace(0.06, 0.94, REFINE_POINTS)[:, None]
    strip = points[:, None] + offsets[None, :, None] * normal
    x, y = strip[..., 0].astype(np.float32), strip[..., 1].astype(np.float32)
    values = np.asarray(cv2.remap(lab, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)
    change = np.abs(values[:, 2:] - values[:, :-2]).sum(axis=2)
    at, strength = change.argmax(axis=1), change.max(axis=1)
    good = strip[np.arange(REFINE_POINTS), at + 1][strength > np.median(strength) * 0.4]
    if len(good) < 8:
        return np.asarray(start, np.float32), np.asarray(direction, np.float32)
    vx, vy, px, py = np.ravel(cv2.fitLine(good.astype(np.float32), cv2.DIST_HUBER, 0, 0.01, 0.01))
    return np.array([px, py]), np.array([vx, vy])
