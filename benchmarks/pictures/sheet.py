"""Pictures side by side in a file, so that one can look at what a figure means."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

Bytes = npt.NDArray[np.uint8]

GAP_PX: Final = 8


def side_by_side(pictures: Sequence[Bytes], path: Path) -> None:
    """Writes pictures of one height, left to right, as PNG; one-channel pictures become grey."""
    parts = [part if part.ndim == 3 else np.repeat(part[..., None], 3, axis=2) for part in pictures]
    height = max(part.shape[0] for part in parts)
    gap = np.full((height, GAP_PX, 3), 255, np.uint8)
    row: list[Bytes] = []
    for part in parts:
        below = np.full((height - part.shape[0], part.shape[1], 3), 255, np.uint8)
        row += [np.vstack([part, below]), gap]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.hstack(row[:-1])).save(path)
