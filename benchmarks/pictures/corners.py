"""The photo in the photo: `corners.within_2_percent`, the share of scenes whose four corners are all right.

Right is within 2 % of the picture's diagonal. A print that is not reported counts as wrong. The peer is the usual
recipe, Canny and the largest four-cornered contour, on the same scenes. `corners.false_finds` counts prints reported
where there is none: empty tables and the bundled photographs themselves. Every missed scene is in `OUT/corners/`.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
from training.photographs import NAMES, photograph
from training.scenes import Scene, empty_scene, scene

from benchmarks.figure import Figure
from benchmarks.pictures.sheet import side_by_side
from penstock.imaging.corners import find_corners
from penstock.imaging.picture import Picture
from penstock.imaging.quads import clockwise

GROUP: Final = "corners"

SCENES: Final = 250
EMPTY_SCENES: Final = 30
FIRST_SEED: Final = 40_000
MAX_ERROR: Final = 0.02
THREADS: Final = 2

Points = npt.NDArray[np.floating[Any]]


def figures(out: Path) -> list[Figure]:
    """Looks at every scene once, with ours and with the peer."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(THREADS)
    try:
        ours, theirs, seconds = _look(out / "corners")
        false = _false_finds()
    finally:
        cv2.setNumThreads(threads)
    right, peer_right = _share_right(ours), _share_right(theirs)
    return [
        Figure("corners.within_2_percent", right * 100, "%", {"canny": right / max(peer_right, 1 / SCENES)}),
        Figure("corners.median_error", median(ours) * 100, "% of diagonal", {"canny": median(ours) / median(theirs)}),
        Figure("corners.false_finds", false * 100, "%", {}),
        Figure("corners.time", median(seconds) * 1000, "ms", {}),
    ]


def _share_right(errors: Sequence[float]) -> float:
    return sum(error < MAX_ERROR for error in errors) / len(errors)


def _look(out: Path) -> tuple[list[float], list[float], list[float]]:
    """Errors of ours and of the peer, and the seconds that ours took."""
    ours, theirs, seconds = [], [], []
    for seed in range(FIRST_SEED, FIRST_SEED + SCENES):
        truth = scene(seed)
        started = time.perf_counter()
        found = find_corners(truth.picture)
        seconds.append(time.perf_counter() - started)
        size = truth.picture.shape[1::-1]
        ours.append(error(None if found is None else np.asarray(found) * size, truth))
        theirs.append(error(naive_canny(truth.picture), truth))
        if ours[-1] >= MAX_ERROR:
            _show(truth, None if found is None else np.asarray(found) * size, out / f"{seed}-{truth.backdrop}.png")
    return ours, theirs, seconds


def error(found: Points | None, truth: Scene) -> float:
    """The farthest corner's distance in diagonals, whichever corner is called the first; 1 when none was found."""
    if found is None:
        return 1.0
    turns = [np.roll(found, turn, axis=0) - truth.corners for turn in range(4)]
    farthest = min(float(np.hypot(turn[:, 0], turn[:, 1]).max()) for turn in turns)
    return min(1.0, farthest / float(np.hypot(*truth.picture.shape[:2])))


def naive_canny(picture: Picture) -> Points | None:
    """The largest convex contour of Canny edges that simplifies to four corners."""
    factor = 600 / max(picture.shape[:2])
    small = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), None, fx=factor, fy=factor)
    edges = cv2.dilate(cv2.Canny(cv2.GaussianBlur(small, (5, 5), 0), 50, 150), np.ones((3, 3), np.uint8))
    contours, _ = cv2.findContours(edges, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    bent = [cv2.approxPolyDP(one, 0.02 * cv2.arcLength(one, closed=True), closed=True) for one in contours]
    fitting = [one for one in bent if len(one) == 4 and cv2.isContourConvex(one)]
    large = [one for one in fitting if cv2.contourArea(one) > 0.05 * small.size]
    return clockwise(np.asarray(max(large, key=cv2.contourArea), np.float32)) / factor if large else None


def _show(truth: Scene, found: Points | None, path: Path) -> None:
    shown = truth.picture.copy()
    for corners, colour in ((truth.corners, (0, 255, 0)), (found, (255, 0, 0))):
        if corners is not None:
            cv2.polylines(shown, [np.round(corners).astype(np.int32)], isClosed=True, color=colour, thickness=4)
    side_by_side([shown], path)


def _false_finds() -> float:
    empty = [empty_scene(seed) for seed in range(FIRST_SEED, FIRST_SEED + EMPTY_SCENES)]
    plain = [photograph(name) for name in NAMES]
    found = [find_corners(picture) is not None for picture in (*empty, *plain)]
    return sum(found) / len(found)
