"""The built web app as it lies in the package: files in memory, each compressed when it is first asked for so.

Each comes with the headers it is sent with.

Files under `assets/` carry a hash of their content in their name and so never change; everything else is asked about
each time and answered with 304 when it is the same.
"""

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

APP_FOLDER = Path(__file__).parent / "static" / "app"
SHELL = "index.html"
FRAME = "diagram.html"
# Diagrams are drawn from strangers' words: whatever became code there would stand in an empty origin, without this
# one's cookies, and could reach nothing. Mermaid writes styles into its drawings, hence 'unsafe-inline' for them alone.
FRAME_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src data:; "
    "frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
)
MAX_APP_BYTES = 64_000_000  # of all files: more is no web app but a mistake
IMMUTABLE = "public, max-age=31536000, immutable"
ASK_EACH_TIME = "no-cache"
MIN_COMPRESSED_BYTES = 1_024
_COMPRESSIBLE = ("text/", "application/javascript", "application/json", "application/manifest+json", "image/svg+xml")
_TYPES = {".js": "text/javascript", ".woff2": "font/woff2", ".webmanifest": "application/manifest+json"}
_PRIVATE = frozenset({"manifest.json", "web-stamp.txt"})  # what the build notes for itself


@dataclass(frozen=True)
class Page:
    """Something to be sent: its bytes as they are and, where that is shorter, compressed."""

    content: bytes
    media_type: str
    cache: str = ASK_EACH_TIME
    extra: Mapping[str, str] = field(default_factory=dict)
    etag: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "etag", f'"{hashlib.sha256(self.content).hexdigest()[:24]}"')

    @property
    def may_be_gzipped(self) -> bool:
        """Whether who takes gzip may be sent other bytes than who does not."""
        return len(self.content) >= MIN_COMPRESSED_BYTES and self.media_type.startswith(_COMPRESSIBLE)

    @cached_property
    def gzipped(self) -> bytes | None:
        """The content compressed; None where that gains nothing. Takes time the first time: most is never asked for."""
        if not self.may_be_gzipped:
            return None
        smaller = gzip.compress(self.content, compresslevel=9, mtime=0)
        return smaller if len(smaller) < len(self.content) else None


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
        cache = IMMUTABLE if name.startswith("assets/") else ASK_EACH_TIME
        pages[name] = Page(content, media_type_of(name), cache, _extra(name))
    return pages


def _extra(name: str) -> Mapping[str, str]:
    """Return headers of a file's own: the frame of diagrams is nobody's origin, and loads what anybody may read."""
    if name == FRAME:
        return {"content-security-policy": FRAME_POLICY}
    return {"access-control-allow-origin": "*"} if name.startswith("assets/") else {}


def media_type_of(name: str) -> str:
    """Return the media type of a file by its name, with the charset of texts."""
    kind = _TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
