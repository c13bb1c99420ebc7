"""Candidates for the outline of a print in a photo of it: four-cornered shapes from contours and from lines.

All coordinates here are pixels of the small working picture; corners go clockwise from the top left.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from penstock.imaging.picture import Mask, Picture, Plane

Floats = npt.NDArray[np.floating[Any]]
Quad = Floats
"""Shape (4, 2): x, y of the corners."""

SIMPLIFY: Final = (0.015, 0.03, 0.05, 0.08)  # shares of the outline by which a contour may be bent to four corners
CONTOURS: Final = 6  # largest contours of each mask
RING: Final = 8  # pixels along the frame that are taken for background
MAX_LINES: Final = 16
SAME_ANGLE: Final = 0.06  # radians
SAME_OFFSET: Final = 4.0  # pixels
MIN_AREA: Final = 0.08  # of the picture
MAX_COSINE: Final = 0.72  # of a corner's angle: no needle points
MIN_SIDE_RATIO: Final = 0.45  # between opposite sides: no camera is held more askew
DUPLICATE: Final = 3.0  # pixels


@dataclass(frozen=True)
class _Line:
    """A long straight edge: a point on it, its direction, and how much of it was seen, in pixels."""

    point: Floats
    direction: Floats
    seen: float


def clockwise(quad: Quad) -> Quad:
    """Order four corners clockwise, the one nearest to the top left first."""
    points = np.asarray(quad, np.float32).reshape(4, 2)
    towards = points - points.mean(axis=0)
    around = points[np.argsort(np.arctan2(towards[:, 1], towards[:, 0]))]
    return np.roll(around, -int(np.argmin(around.sum(axis=1))), axis=0)


def candidates(lab: Picture, gradient: Floats, saturation: Plane) -> list[Quad]:
    """Every plausible quadrilateral, each once."""
    height, width = lab.shape[:2]
    found: list[Quad] = []
    for quad in (*_from_contours(lab, gradient, saturation), *_from_lines(lab)):
        if is_plausible(quad, width, height) and all(np.abs(quad - known).max() >= DUPLICATE for known in found):
            found.append(quad)
    return found


def is_plausible(quad: Quad, width: int, height: int) -> bool:
    """Whether a rectangular print, photographed by a person, can look like this."""
    if cv2.contourArea(quad) < MIN_AREA * width * height or not cv2.isContourConvex(quad):
        return False
    sides = np.roll(quad, -1, axis=0) - quad
    lengths = np.hypot(sides[:, 0], sides[:, 1])
    if lengths.min() < 0.12 * min(width, height):
        return False
    units = sides / lengths[:, None]
    if np.abs((units * np.roll(units, -1, axis=0)).sum(axis=1)).max() > MAX_COSINE:
        return False
    ratios = [min(a, b) / max(a, b) for a, b in ((lengths[0], lengths[2]), (lengths[1], lengths[3]))]
    return bool(min(ratios) >= MIN_SIDE_RATIO)


def _from_contours(lab: Picture, gradient: Floats, saturation: Plane) -> Iterator[Quad]:
    height, width = lab.shape[:2]
    for mask in _masks(lab, gradient, saturation):
        contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        for contour in sorted(contours, key=cv2.contourArea, reverse=True)[:CONTOURS]:
            if cv2.contourArea(contour) < 0.03 * width * height and len(contour) < 40:
                continue
            hull = cv2.convexHull(contour)
            outline = cv2.arcLength(hull, closed=True)
            for share in SIMPLIFY:
                bent = cv2.approxPolyDP(hull, share * outline, closed=True)
                if len(bent) == 4:
                    yield clockwise(np.asarray(bent, np.float32))
                    break


def _masks(lab: Picture, gradient: Floats, saturation: Plane) -> Iterator[Plane]:
    """Many ways to tell a print from a table: edges and thresholds of each channel, and distance from the frame."""
    small, medium = np.ones((3, 3), np.uint8), np.ones((7, 7), np.uint8)
    for channel in (*(np.ascontiguousarray(lab[..., i]) for i in range(3)), saturation):
        middle = float(np.median(channel))
        for low, high in ((20.0, 60.0), (50.0, 140.0), (max(0.0, 0.66 * middle), 1.33 * middle)):
            yield _plane(cv2.dilate(cv2.Canny(channel, low, high), small))
        _, bright = cv2.threshold(channel, 0, 255, cv2.THRESH_OTSU)
        yield _plane(cv2.morphologyEx(bright, cv2.MORPH_CLOSE, medium))
        yield _plane(cv2.morphologyEx(255 - bright, cv2.MORPH_CLOSE, medium))
    strong = (gradient > np.percentile(gradient, 92)).astype(np.uint8) * 255
    yield _plane(cv2.dilate(strong, small))
    yield from _unlike_frame(lab)


def _plane(mask: object) -> Plane:
    return np.asarray(mask, np.uint8)


def _unlike_frame(lab: Picture) -> Iterator[Plane]:
    """What differs from the four main colours along the frame of the picture."""
    edges = (lab[:RING], lab[-RING:], lab[:, :RING], lab[:, -RING:])
    ring = np.concatenate([edge.reshape(-1, 3) for edge in edges]).astype(np.float32)[::3]
    cv2.setRNGSeed(0)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 10, 1.0)
    _, _, centres = cv2.kmeans(ring, min(4, len(ring)), np.empty(0, np.int32), stop, 1, cv2.KMEANS_PP_CENTERS)
    colours = lab.astype(np.float32)
    distance = np.min([np.abs(colours - centre).sum(axis=2) for centre in centres], axis=0)
    threshold, _ = cv2.threshold(distance.clip(0, 255).astype(np.uint8), 0, 255, cv2.THRESH_OTSU)
    for share in (0.9, 1.05):
        mask = (distance > threshold * share).astype(np.uint8) * 255
        opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
        yield _plane(cv2.morphologyEx(opened, cv2.MORPH_CLOSE, np.ones((15, 15), np.uint8)))


def _from_lines(lab: Picture) -> Iterator[Quad]:
    height, width = lab.shape[:2]
    lines = _lines(lab)
    angles = [float(np.arctan2(line.direction[1], line.direction[0]) % np.pi) for line in lines]
    level = [i for i, angle in enumerate(angles) if abs((angle + np.pi / 2) % np.pi - np.pi / 2) < np.pi / 4 + 0.15]
    upright = [i for i, angle in enumerate(angles) if abs(angle - np.pi / 2) < np.pi / 4 + 0.15]
    for top, bottom in combinations(level, 2):
        for left, right in combinations(upright, 2):
            if len({top, bottom, left, right}) < 4:
                continue
            pairs = ((top, left), (top, right), (bottom, right), (bottom, left))
            corners = [_crossing(lines[a], lines[b]) for a, b in pairs]
            known = [corner for corner in corners if corner is not None]
            if len(known) == 4 and _inside(np.asarray(known, np.float32), width, height):
                yield clockwise(np.asarray(known, np.float32))


def _inside(quad: Quad, width: int, height: int) -> bool:
    slack = 0.03 * width
    return bool(quad.min() >= -slack and quad[:, 0].max() <= width + slack and quad[:, 1].max() <= height + slack)


def _crossing(one: _Line, other: _Line) -> Floats | None:
    u, v = one.direction, other.direction
    determinant = float(u[0] * v[1] - u[1] * v[0])
    if abs(determinant) < 1e-3:
        return None
    between = other.point - one.point
    return np.asarray(one.point + (between[0] * v[1] - between[1] * v[0]) / determinant * u, np.float32)


def _lines(lab: Picture) -> list[_Line]:
    """The longest straight edges: segments of each channel, those on one line put together."""
    height, width = lab.shape[:2]
    found = []
    for i in range(3):
        blurred = cv2.GaussianBlur(np.ascontiguousarray(lab[..., i]), (0, 0), 1.0)
        segments = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD).detect(blurred)[0]
        if segments is not None:
            found.append(np.asarray(segments, np.float32).reshape(-1, 4))
    if not found:
        return []
    segments = np.vstack(found)
    lengths = np.hypot(*(segments[:, 2:] - segments[:, :2]).T)
    long = lengths > 0.05 * min(width, height)
    lines = _collinear(segments[long], lengths[long], np.array([width / 2, height / 2], np.float32))
    return sorted(lines, key=lambda line: -line.seen)[:MAX_LINES]


def _collinear(segments: Floats, lengths: Floats, middle: Floats) -> Iterator[_Line]:
    directions = segments[:, 2:] - segments[:, :2]
    angles = np.arctan2(directions[:, 1], directions[:, 0]) % np.pi
    normals = np.stack([-np.sin(angles), np.cos(angles)], axis=1)
    offsets = (((segments[:, :2] + segments[:, 2:]) / 2 - middle) * normals).sum(axis=1)
    used: Mask = np.zeros(len(segments), np.bool_)
    for i in np.argsort(-lengths):
        if used[i]:
            continue
        turned = np.abs((angles - angles[i] + np.pi / 2) % np.pi - np.pi / 2)
        ends = np.stack([(segments[:, :2] - middle) @ normals[i], (segments[:, 2:] - middle) @ normals[i]])
        same = (turned < SAME_ANGLE) & (np.abs(ends - offsets[i]).max(axis=0) < SAME_OFFSET) & ~used
        same[i] = True
        used |= same
        yield _fitted(segments[same], lengths[same])


def _fitted(segments: Floats, lengths: Floats) -> _Line:
    """The line through segments, each weighted by its length (total least squares)."""
    points = np.concatenate([segments[:, :2], segments[:, 2:]])
    weights = np.concatenate([lengths, lengths])
    centre = (points * weights[:, None]).sum(axis=0) / weights.sum()
    _, _, axes = np.linalg.svd((points - centre) * np.sqrt(weights)[:, None], full_matrices=False)
    return _Line(np.asarray(centre, np.float32), np.asarray(axes[0], np.float32), float(lengths.sum()))
