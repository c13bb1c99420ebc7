"""Finish a video: from a provider's answer to what the customer gets. Runs in a child process.

    look (decodes from end to end, within limits) -> check (size, blank, still, duration)
    -> copied as it is, or encoded anew where it must be smaller, marked, or playable everywhere
    -> full (MP4, H.264), poster (a still of the same size), thumb

What is written carries picture and sound and no metadata, like pictures: models like to write prompts into it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from PIL import Image

from penstock.imaging import video
from penstock.imaging.picture import Picture
from penstock.imaging.video import BadVideo, Look, Sheet, even
from penstock.media.decode import write_jpeg
from penstock.media.errors import BadResultError
from penstock.media.finish import BLANK_DEVIATION, RESULT_QUALITY, THUMB_QUALITY, THUMB_SHORT_SIDE, Made
from penstock.media.prepare import SHORT_SIDES, fit
from penstock.media.watermark import sheet_of

MIN_SHORT_SIDE: Final = 128  # pixels
MIN_SECONDS: Final = 0.5
MAX_SECONDS_OFF: Final = 1.0  # from what was asked for; models count in frames of their own
MAX_SHARE_OFF: Final = 0.25  # of what was asked for, where that is more
STILL_LEVELS: Final = 3  # of brightness: what encoding changes between two frames of the same picture
MOVED_SHARE: Final = 0.001  # of a frame, at the least, changes more than that in a video


@dataclass(frozen=True)
class VideoDress:
    """What the plan and the job make of a video.

    Args:
        resolution: one of `prepare.SHORT_SIDES`; a larger video is scaled down to it.
        watermark: the text across it; None for none.
        asked_s: how long it was to be, in seconds; None where nobody said.
    """

    resolution: str = "720p"
    watermark: str | None = None
    asked_s: float | None = None


def finish_video(after: Path, folder: Path, dress: VideoDress) -> tuple[Made, ...]:
    """Check a provider's video and write the files of the result to `folder`; the first one is the result itself.

    Errors: BadResultError.
    """
    try:
        seen = video.look(after, BLANK_DEVIATION)
    except BadVideo as error:
        raise BadResultError("undecodable", str(error)) from error
    _check(seen, dress)
    still = fit(seen.still, SHORT_SIDES[dress.resolution])
    width, height = even(still.shape[1]), even(still.shape[0])
    sheet = None if dress.watermark is None else sheet_of(dress.watermark, width, height)
    full = folder / "full.mp4"
    if sheet is None and seen.plays and (width, height) == (seen.width, seen.height):
        video.copy(after, full)
    else:
        video.convert(after, full, width, height, sheet)
    made = Made("full", full, "video/mp4", full.stat().st_size, width, height, round(seen.seconds, 3))
    return (made, *_stills(_marked(still, width, height, sheet), folder))


def _check(seen: Look, dress: VideoDress) -> None:
    if min(seen.width, seen.height) < MIN_SHORT_SIDE:
        raise BadResultError("wrong_size", f"{seen.width} x {seen.height}")
    if not _long_enough(seen.seconds, dress.asked_s):
        raise BadResultError("wrong_duration", f"{seen.seconds:.2f} s, asked for {dress.asked_s or MIN_SECONDS:g} s")
    ends = (seen.small[0], seen.small[len(seen.small) // 2], seen.small[-1])
    if sum(float(frame.std()) < BLANK_DEVIATION for frame in ends) > 1:  # one may be: many videos fade in or out
        raise BadResultError("blank")
    if not _moves(seen):
        raise BadResultError("still")


def _long_enough(seconds: float, asked_s: float | None) -> bool:
    if asked_s is None:
        return seconds >= MIN_SECONDS
    return abs(seconds - asked_s) <= max(MAX_SECONDS_OFF, MAX_SHARE_OFF * asked_s)


def _moves(seen: Look) -> bool:
    """Return whether some frame differs from the first one by more than encoding does."""
    first = seen.small[0]
    changed = (cv2.absdiff(first, frame) > STILL_LEVELS for frame in seen.small[1:])
    return any(float(np.mean(each)) >= MOVED_SHARE for each in changed)


def _marked(still: Picture, width: int, height: int, sheet: Sheet | None) -> Picture:
    if (still.shape[1], still.shape[0]) != (width, height):
        still = np.asarray(cv2.resize(still, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return still if sheet is None else sheet.over(still)


def _stills(still: Picture, folder: Path) -> tuple[Made, Made]:
    poster, small = folder / "poster.jpg", folder / "thumb.webp"
    write_jpeg(still, poster, RESULT_QUALITY)
    thumb = fit(still, THUMB_SHORT_SIDE)
    Image.fromarray(thumb).save(small, "WEBP", quality=THUMB_QUALITY)
    return (
        Made("poster", poster, "image/jpeg", poster.stat().st_size, still.shape[1], still.shape[0]),
        Made("thumb", small, "image/webp", small.stat().st_size, thumb.shape[1], thumb.shape[0]),
    )
