"""Pictures that the stand-ins deliver: made from what they got, so that the product's own checks take them."""

import io
from functools import cache

import numpy as np
from PIL import Image

from tests.support.videos import ball
from tests.support.videos import encoded as video


def tinted(content: bytes, media_type: str = "image/png") -> bytes:
    """Return a picture in warmer colours, in its own size."""
    with Image.open(io.BytesIO(content)) as image:
        pixels = np.asarray(image.convert("RGB"), np.float64)
    return encoded(np.clip(pixels * (1.0, 0.8, 0.6) + (12, 4, 0), 0, 255), media_type)


@cache
def film() -> bytes:
    """Return a second of video."""
    return video(ball(), "libx264", "mp4")


def landscape(width: int = 96, height: int = 64, media_type: str = "image/png") -> bytes:
    """Return a picture made of nothing but words: a sky over a field."""
    down, across = np.mgrid[0:height, 0:width]
    pixels = np.stack([down * 255 / height, across * 255 / width, np.full_like(down, 128)], axis=2)
    return encoded(pixels, media_type)


def encoded(pixels: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]", media_type: str) -> bytes:
    """Return pixels as a file."""
    out = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(out, media_type.removeprefix("image/").upper())
    return out.getvalue()
