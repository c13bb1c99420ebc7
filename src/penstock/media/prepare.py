"""Prepare: the clean picture of an upload, and from it what a provider gets. Both run in a child process.

    upload  -> clean   -> stored JPEG, size, suggested corners
    job     -> prepare -> cropped to four corners, straightened, scaled to the plan

What a provider gets is PNG up to `PNG_PIXELS` (nothing more is lost before the work begins; at 720p some 1.5 MB) and
JPEG at quality 95 above, where PNG would cost seconds. It is never enlarged.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from penstock.imaging.corners import Corners, find_corners, straighten
from penstock.imaging.picture import BadPicture, Picture, scaled, short_side
from penstock.media.decode import MediaType, check_size, decode, write_jpeg
from penstock.media.errors import RefusedPictureError

PNG_PIXELS: Final = 2_500_000
PNG_EFFORT: Final = 1  # of 9: the file lives for one job
SHORT_SIDES: Final[dict[str, int | None]] = {"480p": 480, "720p": 720, "1080p": 1_080, "original": None}
"""Pixels of the short side by the product file's `resolution`."""


@dataclass(frozen=True)
class Cleaned:
    """What an upload was (type, size in upright pixels) and its clean picture (bytes, suggested corners)."""

    media_type: MediaType
    width: int
    height: int
    bytes: int
    corners: Corners | None


@dataclass(frozen=True)
class Prepared:
    """What a provider gets."""

    path: Path
    media_type: MediaType
    width: int
    height: int


def clean(source: Path, target: Path) -> Cleaned:
    """Decode an upload, write its clean picture to `target` (JPEG) and look for a photo in the photo.

    Errors: RefusedPictureError.
    """
    decoded = decode(source)
    size = write_jpeg(decoded.picture, target)
    return Cleaned(decoded.media_type, decoded.width, decoded.height, size, _suggest(decoded.picture))


def prepare(source: Path, folder: Path, name: str, corners: Corners | None, resolution: str) -> Prepared:
    """Write what a provider gets to `folder`.

    Args:
        source: a clean picture.
        name: of the new file, without its extension.
        corners: of the part to be cut out and straightened, in 0..1, clockwise from what is to be top left.
        resolution: one of `SHORT_SIDES`.

    Errors: RefusedPictureError for corners around less than a picture.
    """
    picture = decode(source).picture
    if corners is not None:
        picture = _cut_out(picture, corners)
    picture = fit(picture, SHORT_SIDES[resolution])
    height, width = picture.shape[:2]
    if height * width <= PNG_PIXELS:
        path = folder / f"{name}.png"
        Image.fromarray(picture).save(path, "PNG", compress_level=PNG_EFFORT)
        return Prepared(path, "image/png", width, height)
    path = folder / f"{name}.jpg"
    write_jpeg(picture, path)
    return Prepared(path, "image/jpeg", width, height)


def _cut_out(picture: Picture, corners: Corners) -> Picture:
    try:
        cut = straighten(picture, corners)
        check_size(cut.shape[1], cut.shape[0])
    except (BadPicture, RefusedPictureError) as error:
        raise RefusedPictureError(
            "invalid_input", "The four corners enclose no usable picture. Move them to the corners of the photo."
        ) from error
    return cut


def fit(picture: Picture, max_short_side: int | None) -> Picture:
    """Scale a picture down so that its short side is at most `max_short_side`; never up."""
    if max_short_side is None or short_side(picture) <= max_short_side:
        return picture
    return scaled(picture, max_short_side / short_side(picture))


def _suggest(picture: Picture) -> Corners | None:
    try:
        return find_corners(picture)
    except Exception:  # noqa: BLE001 - a suggestion that fails is no reason to refuse the picture
        return None
