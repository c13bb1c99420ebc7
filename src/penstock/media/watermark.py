"""The watermark of free plans: the brand's name in light rows across the picture.

White letters with a thin dark edge, both mostly transparent: one of the two shows on any ground. Rows are offset like
bricks, so that no crop worth having is free of them, and thin enough that the picture can still be judged. OpenCV's
own font is used: it has nearly every script.
"""

from typing import Final

import cv2
import numpy as np

from penstock.imaging.picture import Picture, Plane, disc
from penstock.imaging.video import Sheet

LETTER_SHARE: Final = 0.05  # letter height as a share of the short side
MIN_LETTER_PIXELS: Final = 12
ANGLE_DEGREES: Final = 28
COLUMN_GAP: Final = 3.0  # in letter heights, between two names
ROW_GAP: Final = 4.5  # in letter heights, between two rows
EDGE_SHARE: Final = 0.14  # thickness of the dark edge, both sides together, as a share of the letter height
WEIGHT: Final = 500  # of the font: 400 is regular, 700 bold
FILL_OPACITY: Final = 0.36
EDGE_OPACITY: Final = 0.36


def watermark(picture: Picture, text: str) -> Picture:
    """Return `picture` with `text` across it."""
    return sheet_of(text, picture.shape[1], picture.shape[0]).over(picture)


def sheet_of(text: str, width: int, height: int) -> Sheet:
    """Return the watermark for pictures of one size: drawn once for all frames of a video."""
    letter = max(MIN_LETTER_PIXELS, round(min(width, height) * LETTER_SHARE))
    letters = _rotated(_rows(text, letter, int(np.hypot(width, height)) + 2), width, height)
    edge = cv2.subtract(cv2.dilate(letters, disc(max(3, round(letter * EDGE_SHARE) | 1))), letters)
    white = (letters * np.float32(FILL_OPACITY / 255))[:, :, None]
    black = (edge * np.float32(EDGE_OPACITY / 255))[:, :, None]
    return Sheet(1 - white - black, 255 * white)


def _rows(text: str, letter: int, side: int) -> Plane:
    """Draw a square full of rows."""
    font = cv2.FontFace("sans")
    rows = np.zeros((side, side), np.uint8)
    left, _, right, _ = _extent(text, font, letter)
    step = round(right - left + COLUMN_GAP * letter)
    for number, y in enumerate(range(letter, side + letter, round(ROW_GAP * letter))):
        for x in range(-(step // 2) * (number % 2), side, step):
            cv2.putText(rows, text, (x, y), 255, font, letter, WEIGHT)
    return rows


def _extent(text: str, font: "cv2.FontFace", letter: int) -> tuple[int, int, int, int]:
    x, y, width, height = cv2.getTextSize((0, 0), text, (0, 0), font, letter, WEIGHT)
    return x, y, x + width, y + height


def _rotated(square: Plane, width: int, height: int) -> Plane:
    """Turn a square about its centre and cut the picture's size out of its middle; no corner is left empty."""
    centre = square.shape[0] / 2
    turn = cv2.getRotationMatrix2D((centre, centre), ANGLE_DEGREES, 1.0)
    turn[:, 2] += width / 2 - centre, height / 2 - centre
    return np.asarray(cv2.warpAffine(square, turn, (width, height)), np.uint8)
