"""Cutting a picture into overlapping tiles, and putting what was made of them together without seams.

Each tile's outer quarter of an overlap counts for nothing (a network knows too little there of what lies beyond), the
inner quarter wholly, and between them the weight rises evenly. Along a side the weights of all tiles add up to 1 at
every pixel, so whatever leaves a picture as it is does so tile by tile too.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from penstock.imaging.picture import Floats

SILENT_SHARE: Final = 0.25  # of the overlap, at its outer end; as much at its inner end counts wholly


@dataclass(frozen=True)
class Span:
    """Where a tile lies along one side; `weights` has one number for each pixel from `start` to `stop`."""

    start: int
    stop: int
    weights: Floats


def spans(length: int, tile: int, overlap: int, scale: int = 1) -> list[Span]:
    """Return the tiles along a side of `length` pixels, all of one size; the last one lies closer to its neighbour.

    Args:
        tile: pixels of a tile, `overlap` of them shared with each neighbour, half a tile at most.
        scale: how many times larger what comes out is; places are of what goes in, weights of what comes out.
    """
    tile = min(tile, length)
    starts = list(range(0, length - tile, tile - overlap)) if length > tile else []
    starts.append(length - tile)
    raw = [_ramp(tile * scale, overlap * scale, first=at == 0, last=at == length - tile) for at in starts]
    total = np.zeros(length * scale, np.float64)
    for at, weights in zip(starts, raw, strict=True):
        total[at * scale : (at + tile) * scale] += weights
    return [
        Span(at, at + tile, (weights / total[at * scale : (at + tile) * scale]).astype(np.float32))
        for at, weights in zip(starts, raw, strict=True)
    ]


def bands(
    rows: list[Span], columns: list[Span], make: Callable[[slice, slice], Floats], scale: int = 1
) -> Iterator[tuple[int, Floats]]:
    """Yield the whole picture from the top in bands that no later tile touches: the first row of each, and its pixels.

    Only one row of tiles is in memory at a time.

    Args:
        make: returns what comes of the tile at these rows and columns: shape (rows * scale, columns * scale, channels).
    """
    width = columns[-1].stop * scale
    pending: Floats | None = None  # what is not finished of the rows from `top`
    top = 0
    for at, row in enumerate(rows):
        band = _row_of(row, columns, make, width, scale)
        start = row.start * scale
        if pending is not None:
            finished, pending = pending[: start - top], pending[start - top :]
            if len(finished):
                yield top, finished
            band[: len(pending)] += pending
        pending, top = band, start
        if at == len(rows) - 1:
            yield top, band


def _row_of(row: Span, columns: list[Span], make: Callable[[slice, slice], Floats], width: int, scale: int) -> Floats:
    band: Floats | None = None
    for column in columns:
        made = make(slice(row.start, row.stop), slice(column.start, column.stop))
        if band is None:
            band = np.zeros((len(row.weights), width, made.shape[2]), np.float32)
        weighted = made * row.weights[:, None, None] * column.weights[None, :, None]
        band[:, column.start * scale : column.stop * scale] += weighted
    assert band is not None, "a side has a tile at least"
    return band


def _ramp(tile: int, overlap: int, *, first: bool, last: bool) -> npt.NDArray[np.float64]:
    if overlap == 0:
        return np.ones(tile)
    inside = np.arange(tile) + 0.5  # distance from the tile's edge
    rising = np.clip((inside / overlap - SILENT_SHARE) / (1 - 2 * SILENT_SHARE), 0.0, 1.0)
    weights = np.ones(tile)
    if not first:
        weights *= rising
    if not last:
        weights *= rising[::-1]
    return weights
