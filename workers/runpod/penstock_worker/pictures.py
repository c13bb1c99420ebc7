"""The caller's pictures: from base64, a data URL or an https address; what they are, their bytes say."""

import base64
import binascii
import io
from collections.abc import Callable, Iterable
from typing import Final

from PIL import Image, ImageOps

from penstock_worker.inputs import BadInputError

MAX_BYTES: Final = 20_000_000  # of one picture
MAX_PIXELS: Final = 64_000_000  # of one picture, width times height
MIN_SIDE: Final = 16  # pixels
MAX_RATIO: Final = 8.0  # of the long side to the short one
_FORMATS: Final = ("PNG", "JPEG", "WEBP")

Download = Callable[[str, int], bytes]
"""Return what lies at an https address, at most so many bytes. Errors: BadInputError."""


def read_pictures(references: Iterable[str], download: Download) -> list[Image.Image]:
    """Return pictures as RGB, upright. Errors: BadInputError."""
    return [_read(number, reference, download) for number, reference in enumerate(references, start=1)]


def _read(number: int, reference: str, download: Download) -> Image.Image:
    name = f"picture {number}"
    if reference.startswith("http://"):
        raise BadInputError(f"{name}: only https addresses are fetched")
    if reference.startswith("https://"):
        return decode(download(reference, MAX_BYTES), name)
    if len(reference) * 3 // 4 > MAX_BYTES + 2_000:  # before it takes memory: the head of a data URL is shorter
        raise BadInputError(f"{name} takes more than {MAX_BYTES:,} bytes")
    try:
        content = base64.b64decode(
            reference.partition(",")[2] if reference.startswith("data:") else reference, validate=True
        )
    except (binascii.Error, ValueError):
        raise BadInputError(f"{name} is neither an https address nor base64") from None
    return decode(content, name)


def decode(content: bytes, name: str) -> Image.Image:
    """Return a picture as RGB, turned as its EXIF data say. Errors: BadInputError."""
    if len(content) > MAX_BYTES:
        raise BadInputError(f"{name} takes more than {MAX_BYTES:,} bytes")
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as opened:
            _check_size(*opened.size, name)
            return ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise BadInputError(f"{name} is no PNG, JPEG or WebP picture that can be read") from None


def encode(picture: Image.Image, form: str) -> bytes:
    """Return a picture as a file; `form` is `png`, `jpeg` or `webp`."""
    written = io.BytesIO()
    picture.convert("RGB").save(written, form.upper(), quality=95)
    return written.getvalue()


def _check_size(width: int, height: int, name: str) -> None:
    if width * height > MAX_PIXELS:
        raise BadInputError(f"{name} has {width}x{height} pixels; {MAX_PIXELS:,} are the most")
    if min(width, height) < MIN_SIDE:
        raise BadInputError(f"{name} has {width}x{height} pixels; both sides need {MIN_SIDE}")
    if max(width, height) > MAX_RATIO * min(width, height):
        raise BadInputError(f"{name} has {width}x{height} pixels; one side may be {MAX_RATIO:g} times the other")
