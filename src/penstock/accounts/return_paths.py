"""Where a browser may be sent after signing in: to a page of this site, and nowhere else."""

import re

MAX_PATH_CHARACTERS = 500

# Visible ASCII without the backslash, which browsers read as a slash; tabs and newlines, which they skip, are left out.
_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*")
_NOT_PAGES = ("/api/",)


def within_site(wanted: str | None) -> str:
    """Return `wanted` if it is the path of a page, else the start page."""
    usable = wanted is not None and len(wanted) <= MAX_PATH_CHARACTERS and _PATH.fullmatch(wanted)
    return wanted if wanted and usable and not wanted.startswith(_NOT_PAGES) else "/"
