"""Finish: from a provider's answer to what the customer gets. Runs in a child process.

    check (decodes, right shape, not blank, not the input again) -> scale to the plan -> watermark
    -> full, thumb; compare and original where there was a picture before

A provider's file is trusted no more than a customer's: it goes through the same decoding, which also takes every
trace of metadata out.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import cv2
import numpy as np
from PIL import Image

from penstock.imaging.picture import Picture, Plane, short_side
from penstock.media.decode import EXTENSIONS, decode, write_jpeg
from penstock.media.errors import BadResultError, RefusedPictureError
from penstock.media.prepare import SHORT_SIDES, fit
from penstock.media.watermark import watermark

RESULT_QUALITY: Final = 92  # JPEG; the picture is looked at, not worked on further
THUMB_SHORT_SIDE: Final = 320
THUMB_QUALITY: Final = 80  # WebP
COMPARE_SHORT_SIDE: Final = 720  # of each half
DIVIDER_SHARE: Final = 0.008  # of the short side
MIN_SIZE_SHARE: Final = 0.5  # of the short side that was sent: a provider that gives less did something else
MIN_SHORT_SIDE: Final = 64  # pixels of what was made of words alone
MAX_ASPECT_ERROR: Final = 0.04
BLANK_DEVIATION: Final = 1.5  # standard deviation of brightness, in levels of 255
# Blocks average away what encoding once more changes (JPEG at 60 and up: two levels, three at worst) and keep what
# any repair does (a filled dust grain: five, grain taken out: three in many places, colour: everywhere).
UNCHANGED_LEVELS: Final = 2  # of brightness, in nearly all blocks
UNCHANGED_LEVELS_WORST: Final = 3  # of brightness, in any block
UNCHANGED_COLOUR_LEVELS: Final = 3  # of the most changed channel, in half the blocks
NEARLY_ALL: Final = 0.9995
BLOCKS_SHORT_SIDE: Final = 60  # blocks along the short side

Name = Literal["full", "thumb", "compare", "original"]


@dataclass(frozen=True)
class Dress:
    """What the plan and the operation make of a result.

    Args:
        resolution: one of `prepare.SHORT_SIDES`; a larger result is scaled down to it.
        watermark: the text across the picture; None for none.
        lossless: PNG instead of JPEG; for line art.
        keeps_frame: the result must have the shape of what was sent; False for what crops or turns.
        may_be_unchanged: the same picture again is a good answer.
    """

    resolution: str = "720p"
    watermark: str | None = None
    lossless: bool = False
    keeps_frame: bool = True
    may_be_unchanged: bool = False


@dataclass(frozen=True)
class Made:
    """A file of the result; width and height in pixels, 0 for what has none; `duration_s` of a video."""

    name: str
    path: Path
    media_type: str
    bytes: int
    width: int = 0
    height: int = 0
    duration_s: float | None = None


def finish(before: Path | None, after: Path, folder: Path, dress: Dress) -> tuple[Made, ...]:
    """Check a provider's picture and write the files of the result to `folder`; the first one is the result itself.

    Args:
        before: what the provider got; None if it was words alone.
        after: what it gave.

    Errors: BadResultError.
    """
    sent = None if before is None else decode(before).picture
    try:
        got = decode(after).picture
    except RefusedPictureError as error:
        raise BadResultError("undecodable") from error
    _check(sent, got, dress)
    clean = fit(got, SHORT_SIDES[dress.resolution])
    full = clean if dress.watermark is None else watermark(clean, dress.watermark)
    made = (_write_full(full, folder, lossless=dress.lossless), _write_thumb(full, folder))
    if sent is None:
        return made
    original = _like(fit(sent, SHORT_SIDES[dress.resolution]), clean) if dress.keeps_frame else sent
    compare = _write_jpeg("compare", side_by_side(original, full), folder)
    return (*made, compare, _write_jpeg("original", original, folder))


def side_by_side(before: Picture, after: Picture) -> Picture:
    """Put two pictures next to each other, or one above the other where they are wide, with a line between."""
    after = fit(after, COMPARE_SHORT_SIDE)
    height, width = after.shape[:2]
    beside = height >= width
    scale = height / before.shape[0] if beside else width / before.shape[1]
    before = _resized(before, round(before.shape[1] * scale), round(before.shape[0] * scale))
    thickness = max(2, round(short_side(after) * DIVIDER_SHARE))
    line = np.full((height, thickness, 3) if beside else (thickness, width, 3), 255, np.uint8)
    return np.concatenate([before, line, after], axis=1 if beside else 0)


def _check(sent: Picture | None, got: Picture, dress: Dress) -> None:
    if sent is None:
        if short_side(got) < MIN_SHORT_SIDE:
            raise BadResultError("wrong_size")
        if _deviation(got) < BLANK_DEVIATION:
            raise BadResultError("blank")
        return
    if short_side(got) < MIN_SIZE_SHARE * short_side(sent) and dress.keeps_frame:
        raise BadResultError("wrong_size")
    if dress.keeps_frame and abs(_aspect(got) / _aspect(sent) - 1) > MAX_ASPECT_ERROR:
        raise BadResultError("wrong_size")
    if _deviation(got) < BLANK_DEVIATION <= _deviation(sent):
        raise BadResultError("blank")
    if not dress.may_be_unchanged and _is_unchanged(sent, got):
        raise BadResultError("unchanged")


def _aspect(picture: Picture) -> float:
    height, width = picture.shape[:2]
    return float(width / height)


def _deviation(picture: Picture) -> float:
    brightness: Plane = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
    return float(brightness.std())


def _is_unchanged(sent: Picture, got: Picture) -> bool:
    """Return whether `got` is `sent` encoded once more."""
    if abs(_aspect(got) / _aspect(sent) - 1) > MAX_ASPECT_ERROR:
        return False
    scale = min(1.0, BLOCKS_SHORT_SIDE / short_side(sent))
    width, height = max(1, round(sent.shape[1] * scale)), max(1, round(sent.shape[0] * scale))
    first, second = (_resized(picture, width, height) for picture in (sent, got))
    brightness = cv2.absdiff(cv2.cvtColor(first, cv2.COLOR_RGB2GRAY), cv2.cvtColor(second, cv2.COLOR_RGB2GRAY))
    return (
        float(np.quantile(brightness, NEARLY_ALL)) <= UNCHANGED_LEVELS
        and int(np.max(brightness)) <= UNCHANGED_LEVELS_WORST
        and float(np.median(np.max(cv2.absdiff(first, second), axis=2))) <= UNCHANGED_COLOUR_LEVELS
    )


def _like(picture: Picture, model: Picture) -> Picture:
    """Give `picture` the size of `model`, so that the two lie on each other exactly."""
    if picture.shape == model.shape:
        return picture
    return _resized(picture, model.shape[1], model.shape[0])


def _resized(picture: Picture, width: int, height: int) -> Picture:
    how = cv2.INTER_AREA if width < picture.shape[1] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (width, height), interpolation=how), np.uint8)


def _write_full(picture: Picture, folder: Path, *, lossless: bool) -> Made:
    if not lossless:
        return _write_jpeg("full", picture, folder)
    path = folder / "full.png"
    Image.fromarray(picture).save(path, "PNG")
    return _made("full", path, "image/png", picture)


def _write_thumb(picture: Picture, folder: Path) -> Made:
    thumb = fit(picture, THUMB_SHORT_SIDE)
    path = folder / "thumb.webp"
    Image.fromarray(thumb).save(path, "WEBP", quality=THUMB_QUALITY)
    return _made("thumb", path, "image/webp", thumb)


def _write_jpeg(name: Name, picture: Picture, folder: Path) -> Made:
    path = folder / f"{name}.{EXTENSIONS['image/jpeg']}"
    write_jpeg(picture, path, RESULT_QUALITY)
    return _made(name, path, "image/jpeg", picture)


def _made(name: Name, path: Path, media_type: str, picture: Picture) -> Made:
    return Made(name, path, media_type, path.stat().st_size, picture.shape[1], picture.shape[0])
