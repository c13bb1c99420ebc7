"""A gentle camera move over a still picture: what `local` calls animating, and says to be exactly that.

Nothing in the picture moves; a window glides over it. The glide begins and ends softly, the size of the window changes
by the same factor each moment (so a zoom looks even), and the window lies between pixels (cubic interpolation at 1/32
of a pixel), so that slow moves don't tremble.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np

from penstock.imaging.picture import Picture, check_picture, scaled
from penstock.imaging.video import even

Move = Literal["zoom_in", "zoom_out", "pan_left", "pan_right", "rise"]
MOVES: Final[tuple[Move, ...]] = ("zoom_in", "zoom_out", "pan_left", "pan_right", "rise")
MIN_SECONDS, MAX_SECONDS = 2, 8
RATE: Final = 30  # frames a second
REACH_A_SECOND: Final = 0.035  # by which factor the window differs from the whole picture, per second of the move
MAX_LONG_SIDE: Final = 1_920  # pixels of a frame
HEADROOM: Final = 0.46  # where a zoom looks, from the top: heads are above the middle


@dataclass(frozen=True)
class Window:
    """What the camera sees: its centre in 0..1 of width and height, and how far it is zoomed in (1: everything)."""

    x: float
    y: float
    zoom: float


def glide(picture: Picture, move: Move, seconds: float) -> Iterator[Picture]:
    """Yield the frames of a move, `RATE` a second, in the picture's shape. Errors: BadPicture."""
    check_picture(picture)
    count = round(RATE * min(MAX_SECONDS, max(MIN_SECONDS, seconds)))
    begin, end = path(move, count / RATE)
    height, width = picture.shape[:2]
    size = min(1.0, MAX_LONG_SIDE / max(width, height))
    frame = even(width * size), even(height * size)
    # Between the sizes that the widest and the closest window need: less would be soft, more would shimmer.
    source = scaled(picture, min(1.0, size * math.sqrt(max(begin.zoom, end.zoom))))
    for number in range(count):
        yield _seen(source, between(begin, end, number / (count - 1)), frame)


def path(move: Move, seconds: float) -> tuple[Window, Window]:
    """Return where a move begins and where it ends."""
    zoom = 1 + REACH_A_SECOND * seconds
    whole, close = Window(0.5, 0.5, 1.0), _inside(Window(0.5, HEADROOM, zoom))
    low, high = 0.5 / zoom, 1 - 0.5 / zoom  # the centres at which the window touches an edge
    paths: dict[Move, tuple[Window, Window]] = {
        "zoom_in": (whole, close),
        "zoom_out": (close, whole),
        "pan_left": (Window(high, 0.5, zoom), Window(low, 0.5, zoom)),
        "pan_right": (Window(low, 0.5, zoom), Window(high, 0.5, zoom)),
        "rise": (Window(0.5, high, zoom), Window(0.5, low, zoom)),
    }
    return paths[move]


def between(begin: Window, end: Window, moment: float) -> Window:
    """Return the window at a moment in 0..1 of a move."""
    share = 0.5 - 0.5 * math.cos(math.pi * moment)
    zoom = begin.zoom * (end.zoom / begin.zoom) ** share
    return _inside(Window(begin.x + share * (end.x - begin.x), begin.y + share * (end.y - begin.y), zoom))


def _inside(window: Window) -> Window:
    """Return the window, moved so that it doesn't look over an edge."""
    half = 0.5 / window.zoom
    x, y = (min(1 - half, max(half, centre)) for centre in (window.x, window.y))
    return Window(x, y, window.zoom)


def _seen(source: Picture, window: Window, frame: tuple[int, int]) -> Picture:
    height, width = source.shape[:2]
    across, down = width / (frame[0] * window.zoom), height / (frame[1] * window.zoom)
    # From the middle of a frame's pixel to that of the source: both have their first middle at 0.
    left = width * (window.x - 0.5 / window.zoom) + 0.5 * across - 0.5
    top = height * (window.y - 0.5 / window.zoom) + 0.5 * down - 0.5
    turn = np.array([[across, 0, left], [0, down, top]], np.float64)
    how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    seen = cv2.warpAffine(source, turn, frame, flags=how, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(seen, np.uint8)
