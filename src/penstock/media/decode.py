"""Decode: from a stranger's file to a clean picture. Runs in a child process that may die.

The type is told by content, never by name or by what the client says. The size is read from the header and judged
before a single pixel is decoded. What comes out is 8-bit sRGB, upright, at most 12 megapixels, first frame only,
transparent parts white, and carries nothing but pixels: they are copied into a new picture, so no EXIF, XMP, ICC
profile, thumbnail or comment can follow.

The clean picture is stored as JPEG at quality 95 without chroma subsampling: a sixth of the size of PNG and its
error (about 45 dB) far below the grain of any photograph.
"""

import io
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast

import numpy as np
from PIL import ExifTags, Image, ImageCms

from penstock.imaging.picture import MAX_PIXELS, Picture
from penstock.media.errors import RefusedPictureError, unreadable

try:
    from pillow_heif import register_heif_opener
except ImportError:  # an extra, because its wheels are GPLv2
    HEIC_READABLE = False
else:
    register_heif_opener(thumbnails=False)
    HEIC_READABLE = True

MAX_INPUT_PIXELS: Final = 100_000_000
MAX_WEBP_PIXELS: Final = 50_000_000  # its decoder needs 16 bytes a pixel, the others 4 or less
MIN_SIDE_PIXELS: Final = 32
MAX_ASPECT: Final = 20  # long side to short side: a panorama has 10
HEAD_BYTES: Final = 64  # enough to tell the type
STRIP_PIXELS: Final = 1 << 20  # converted at one time: keeps 16-bit, CMYK and alpha from needing a second whole copy
CLEAN_QUALITY: Final = 95

MediaType = Literal["image/jpeg", "image/png", "image/webp", "image/heic"]
EXTENSIONS: Final[dict[str, str]] = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "image/heic": "heic",
}
# MPO is what Pillow calls a JPEG with a second picture behind the first, as phones write them.
_PILLOW_FORMATS: Final[dict[MediaType, tuple[str, ...]]] = {
    "image/jpeg": ("JPEG", "MPO"),
    "image/png": ("PNG",),
    "image/webp": ("WEBP",),
    "image/heic": ("HEIF",),
}
_HEIC_BRANDS: Final = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}
_OTHER_PICTURES: Final = (
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"%PDF", "PDF"),
    (b"<svg", "SVG"),
    (b"<?xml", "SVG"),
)
_ORIENT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SWAPS_SIDES: Final = {5, 6, 7, 8}

# Pillow's own check only warns up to twice its limit and can't say the size: `check_size` judges every header instead.
Image.MAX_IMAGE_PIXELS = None


@dataclass(frozen=True)
class Decoded:
    """What a file was, and its clean picture.

    Args:
        media_type: of the file.
        width, height: of the file's picture, upright, in pixels.
        picture: RGB, at most `MAX_PIXELS` pixels.
    """

    media_type: MediaType
    width: int
    height: int
    picture: Picture


def decode(path: Path) -> Decoded:
    """Read a picture from a file that nothing is known about.

    Errors:
        RefusedPictureError: `unsupported_media`, `too_large` (in pixels) or `invalid_input` (damaged, tiny).
    """
    media_type = _told_type(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd metadata, which goes anyway
            width, height, orientation, clean = _read(path, media_type)
    except (RefusedPictureError, MemoryError):
        raise
    except Exception as error:  # decoders raise whatever a crafted file makes them stumble over
        raise unreadable() from error
    if orientation in _ORIENT:
        clean = clean.transpose(_ORIENT[orientation])
    if orientation in _SWAPS_SIDES:
        width, height = height, width
    return Decoded(media_type, width, height, np.asarray(clean, np.uint8))


def sniff(head: bytes) -> MediaType | None:
    """Tell the type of a file by its first `HEAD_BYTES` bytes; None if it is none that is taken."""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS and b"avif" not in head[8:HEAD_BYTES]:
        return "image/heic"
    return None


def check_size(width: int, height: int, max_pixels: int = MAX_INPUT_PIXELS) -> None:
    """Judge a size told by a header. Errors: RefusedPictureError."""
    if width * height > max_pixels:
        raise RefusedPictureError(
            "too_large",
            f"This picture has {width:,} x {height:,} pixels. More than {max_pixels // 1_000_000} megapixels are not "
            "taken in this format: make it smaller and upload that.",
        )
    short, long = sorted((width, height))
    if short < MIN_SIDE_PIXELS:
        raise RefusedPictureError(
            "invalid_input",
            f"This picture has {width} x {height} pixels. It needs at least {MIN_SIDE_PIXELS} on each side.",
        )
    if long > MAX_ASPECT * short:
        raise RefusedPictureError(
            "invalid_input",
            f"This picture has {width} x {height} pixels: one side is more than {MAX_ASPECT} times the other. Crop it.",
        )


def write_jpeg(picture: Picture, path: Path, quality: int = CLEAN_QUALITY) -> int:
    """Write a picture as JPEG without chroma subsampling and without metadata; returns the bytes."""
    Image.fromarray(picture).save(path, "JPEG", quality=quality, subsampling=0)
    return path.stat().st_size


def _read(path: Path, media_type: MediaType) -> tuple[int, int, int, Image.Image]:
    """Return width and height as stored, orientation, and the clean picture, not yet turned."""
    with Image.open(path, formats=_PILLOW_FORMATS[media_type]) as image:
        width, height = image.size
        check_size(width, height, MAX_WEBP_PIXELS if media_type == "image/webp" else MAX_INPUT_PIXELS)
        orientation = _orientation(image)
        return width, height, orientation, _clean(image)


def _told_type(path: Path) -> MediaType:
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        raise RefusedPictureError("invalid_input", "This file is empty. Choose another one.")
    media_type = sniff(head)
    if media_type is None or (media_type == "image/heic" and not HEIC_READABLE):
        raise RefusedPictureError("unsupported_media", _why_unsupported(head, media_type))
    return media_type


def _why_unsupported(head: bytes, media_type: MediaType | None) -> str:
    if media_type == "image/heic":
        return "HEIC pictures can't be read here. Save or share it as JPEG and upload that."
    taken = "JPEG, PNG, WebP or HEIC" if HEIC_READABLE else "JPEG, PNG or WebP"
    for start, name in (*_OTHER_PICTURES, (b"", "")):
        if head.startswith(start) and name:
            return f"{name} files are not taken. Save the picture as {taken} and upload that."
    return f"This file is not a picture that can be read. Choose a {taken} file."


def _orientation(image: Image.Image) -> int:
    """Read which way up the camera was held, 1 to 8; 1 where nothing (sensible) is said."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001 - broken EXIF is no reason to refuse a good picture
        return 1
    return value if value in _ORIENT else 1


def _clean(image: Image.Image) -> Image.Image:
    """Return the first frame as 8-bit sRGB of at most MAX_PIXELS, in a picture that has nothing else."""
    factor = math.sqrt(image.width * image.height / MAX_PIXELS)
    if image.format in _PILLOW_FORMATS["image/jpeg"] and factor > 1:
        # The JPEG decoder itself halves: less memory, less time.
        image.draft(image.mode, (math.ceil(image.width / factor), math.ceil(image.height / factor)))
    image.load()
    factor = math.sqrt(image.width * image.height / MAX_PIXELS)
    clean = _reduced(image, max(1, int(factor)), _to_srgb(image))
    image.close()
    pixels = clean.width * clean.height
    if pixels > MAX_PIXELS:
        scale = math.sqrt(MAX_PIXELS / pixels)
        size = max(1, int(clean.width * scale)), max(1, int(clean.height * scale))
        clean = clean.resize(size, Image.Resampling.LANCZOS)
    return clean


def _reduced(image: Image.Image, factor: int, to_srgb: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Convert strip by strip and average blocks of `factor` x `factor` pixels."""
    width, height = image.width // factor, image.height // factor
    reduced = Image.new("RGB", (width, height))
    rows = max(1, STRIP_PIXELS // (image.width * factor))  # of the reduced picture in one strip
    for top in range(0, height, rows):
        bottom = min(height, top + rows)
        strip = to_srgb(image.crop((0, top * factor, width * factor, bottom * factor)))
        reduced.paste(strip.reduce(factor) if factor > 1 else strip, (0, top))
    return reduced


def _to_srgb(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """Return the conversion that strips of `image` need."""
    profiled = _profile_transform(image)
    if profiled is None:
        return _to_rgb
    mode, transform = profiled

    def convert(strip: Image.Image) -> Image.Image:
        flat = strip if strip.mode == mode == "CMYK" else _to_rgb(strip).convert(mode)
        return cast(Image.Image, ImageCms.applyTransform(flat, transform))

    return convert


def _profile_transform(image: Image.Image) -> tuple[str, ImageCms.ImageCmsTransform] | None:
    """Return the mode that the embedded colour profile speaks of and its transform to sRGB; None if there is none."""
    embedded = image.info.get("icc_profile")
    if not embedded:
        return None
    try:
        profile = ImageCms.getOpenProfile(io.BytesIO(embedded))
        mode = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}[profile.profile.xcolor_space.strip()]
        if (mode == "CMYK") != (image.mode == "CMYK"):
            return None
        transform = ImageCms.buildTransform(
            profile,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, KeyError, OSError, TypeError, ValueError):
        return None  # a broken profile: take the numbers for sRGB, as browsers do
    return mode, transform


def _to_rgb(strip: Image.Image) -> Image.Image:
    if strip.mode.startswith("I"):  # 16 bits of grey
        return Image.fromarray((np.asarray(strip).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if strip.has_transparency_data:
        white = Image.new("RGBA", strip.size, "white")
        return Image.alpha_composite(white, strip.convert("RGBA")).convert("RGB")
    return strip.convert("RGB")
