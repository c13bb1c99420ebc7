"""The built web app as it lies in the package: files in memory, compressed once, with the headers they are sent with.

Files under `assets/` carry a hash of their content in their name and so never change; everything else is asked about
each time and answered with 304 when it is the same.
"""

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

APP_FOLDER = Path(__file__).parent / "static" / "app"
SHELL = "index.html"
MAX_APP_BYTES = 64_000_000  # of all files: more is no web app but a mistake
IMMUTABLE = "public, max-age=31536000, immutable"
ASK_EACH_TIME = "no-cache"
MIN_COMPRESSED_BYTES = 1_024
_COMPRESSIBLE = ("text/", "application/javascript", "application/json", "application/manifest+json", "image/svg+xml")
_TYPES = {".js": "text/javascript", ".woff2": "font/woff2", ".webmanifest": "application/manifest+json"}
_PRIVATE = frozenset({"manifest.json"})  # the build's own list of files


@dataclass(frozen=True)
class Page:
    """Something to be sent: its bytes as they are and, where that is shorter, compressed."""

    content: bytes
    media_type: str
    cache: str = ASK_EACH_TIME
    etag: str = field(init=False)
    gzipped: bytes | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "etag", f'"{hashlib.sha256(self.content).hexdigest()[:24]}"')
        object.__setattr__(self, "gzipped", _compressed(self.content, self.media_type))


def built_app(folder: Path = APP_FOLDER) -> Mapping[str, Page]:
    """Return every file of the built app by its path; empty where it has not been built."""
    if not (folder / SHELL).is_file():
        return {}
    pages: dict[str, Page] = {}
    total = 0
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or name in _PRIVATE:
            continue
        content = path.read_bytes()
        total += len(content)
        if total > MAX_APP_BYTES:
            raise RuntimeError(f"the built web app in {folder} is larger than {MAX_APP_BYTES:,} bytes")
        pages[name] = Page(content, media_type_of(name), IMMUTABLE if name.startswith("assets/") else ASK_EACH_TIME)
    return pages


def media_type_of(name: str) -> str:
    """Return the media type of a file by its name, with the charset of texts."""
    kind = _TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


def _compressed(content: bytes, media_type: str) -> bytes | None:
    if len(content) < MIN_COMPRESSED_BYTES or not media_type.startswith(_COMPRESSIBLE):
        return None
    smaller = gzip.compress(content, compresslevel=9, mtime=0)
    return smaller if len(smaller) < len(content) else None
