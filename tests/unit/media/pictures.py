"""Real photographs and bad files for the tests of media."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from skimage import data

Pixels = npt.NDArray[np.uint8]


def astronaut() -> Pixels:
    """A portrait in colour, 512 x 512."""
    return np.asarray(data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]


def coffee() -> Pixels:
    """A still life in colour, 600 wide and 400 high."""
    return np.asarray(data.coffee(), np.uint8)  # type: ignore[no-untyped-call]


def encoded(pixels: npt.NDArray[Any], kind: str = "JPEG", **options: Any) -> bytes:
    """Encode an array as Pillow does by default, at high quality."""
    return saved(Image.fromarray(pixels), kind, **options)


def saved(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    """Encode a Pillow image."""
    if kind == "JPEG":
        options = {"quality": 95, "subsampling": 0, **options}
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def written(folder: Path, content: bytes, name: str = "picture") -> Path:
    """Write bytes to a file."""
    path = folder / name
    path.write_bytes(content)
    return path


def png_bomb(width: int, height: int) -> bytes:
    """A PNG whose header tells a huge size and whose rows are all zeros: tiny, until somebody decodes it."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    packer = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def distance(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> float:
    """Mean difference in levels."""
    return float(np.abs(first.astype(np.int64) - second.astype(np.int64)).mean())
