"""Pictures on the wire: from files to base64 and back, believing the bytes and not what is said about them."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from penstock.product.adapters import FILMS
from penstock.providers.seam import Output, ProviderError

_STANDARD = str.maketrans("-_", "+/")  # of the two alphabets of base64
_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png", "png"),
    (b"\xff\xd8\xff", "image/jpeg", "jpg"),
)


@dataclass(frozen=True)
class Picture:
    """A picture that goes to a vendor."""

    name: str
    content: bytes
    media_type: str
    extension: str

    @property
    def filename(self) -> str:
        """A name for forms."""
        return f"{self.name}.{self.extension}"

    def base64(self) -> str:
        """Return the picture as text."""
        return base64.b64encode(self.content).decode()

    def data_url(self) -> str:
        """Return the picture as an address that holds it."""
        return f"data:{self.media_type};base64,{self.base64()}"


def read_pictures(paths: Mapping[str, Path], max_bytes: int) -> list[Picture]:
    """Return the pictures of a request in the order of the operation's inputs.

    Args:
        max_bytes: of all of them together.

    Errors: ProviderError; `invalid` if they are too large for the vendor.
    """
    found = []
    for name, path in paths.items():
        content = path.read_bytes()
        media_type, extension = kind_of(content)
        found.append(Picture(name, content, media_type, extension))
    if sum(len(picture.content) for picture in found) > max_bytes:
        raise ProviderError(
            "invalid",
            f"the pictures take more than {max_bytes:,} bytes",
            message="This picture is too large for our picture service. Please choose a smaller one.",
        )
    return found


def video_kind_of(content: bytes) -> tuple[str, str]:
    """Return media type and extension of a video by what it begins with. Errors: ProviderError, `broken`."""
    if content[4:8] == b"ftyp":
        return "video/mp4", "mp4"
    if content.startswith(b"\x1aE\xdf\xa3"):
        return "video/webm", "webm"
    raise ProviderError("broken", f"what came is no MP4 or WebM video: it begins with {content[:12]!r}")


def kind_of(content: bytes) -> tuple[str, str]:
    """Return media type and extension by what the bytes begin with. Errors: ProviderError, `broken`."""
    for signature, media_type, extension in _SIGNATURES:
        if content.startswith(signature):
            return media_type, extension
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp", "webp"
    raise ProviderError("broken", f"what came is no PNG, JPEG or WebP picture: it begins with {content[:12]!r}")


def decoded(text: object) -> bytes:
    """Return the bytes that stand in base64. Errors: ProviderError, `broken`."""
    if not isinstance(text, str) or not text:
        raise ProviderError("broken", "there is no picture where one should be")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text.translate(_STANDARD), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProviderError("broken", f"the picture's base64 is damaged: {error}") from error


def written(content: bytes, folder: Path, name: str = "full", *, task: str = "edit") -> Output:
    """Write a picture, or the video that a task comes to, to the request's folder. Errors: ProviderError, `broken`."""
    media_type, extension = video_kind_of(content) if task in FILMS else kind_of(content)
    path = folder / f"made-{name}.{extension}"
    path.write_bytes(content)
    return Output(name, path, media_type)
