"""The files that visitors bring: real photographs, a print on a table, and what is none at all."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image
from training.ageing import age
from training.photographs import photograph, texture

Pixels = npt.NDArray[np.uint8]

JPEG_QUALITY = 92
TOO_LARGE_BYTES = 51_000_000
SCENE = (1_200, 900)
PRINT_CORNERS = ((0.27, 0.12), (0.75, 0.17), (0.72, 0.83), (0.23, 0.77))
"""Where the print lies in the scene: fractions, clockwise from top left."""
WOOD = (126, 88, 60)


@dataclass(frozen=True)
class Pictures:
    """Files in `folder`, each made when it is first asked for."""

    folder: Path

    @cached_property
    def portrait(self) -> Path:
        """An astronaut, square, aged."""
        return self._written("portrait", age(photograph("astronaut"), seed=7, strength="medium").picture)

    @cached_property
    def cat(self) -> Path:
        """A cat, wider than high, as new."""
        return self._written("cat", photograph("chelsea"))

    @cached_property
    def coffee(self) -> Path:
        """A cup of coffee, aged to sepia."""
        return self._written("coffee", age(photograph("coffee"), seed=11, strength="heavy", tone="sepia").picture)

    @cached_property
    def scene(self) -> Path:
        """A photo of a photo: an aged print that lies on a table."""
        return self._written("scene", _on_a_table(age(photograph("astronaut"), seed=3, strength="medium").picture))

    @cached_property
    def empty(self) -> Path:
        """No bytes at all."""
        return self._bytes("empty.jpg", b"")

    @cached_property
    def text(self) -> Path:
        """A letter that calls itself a JPEG."""
        return self._bytes("letter.jpg", b"Dear customer service, please find my photograph attached.\n" * 40)

    @cached_property
    def too_large(self) -> Path:
        """More bytes than are taken; the disk need not hold them."""
        path = self._bytes("huge.jpg", self.cat.read_bytes())
        with path.open("r+b") as file:
            file.truncate(TOO_LARGE_BYTES)
        return path

    def _written(self, name: str, pixels: npt.NDArray[np.integer]) -> Path:
        path = self.folder / f"{name}.jpg"
        Image.fromarray(np.asarray(pixels, np.uint8)).save(path, "JPEG", quality=JPEG_QUALITY)
        return path

    def _bytes(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path


def _on_a_table(print_: Pixels) -> Pixels:
    """Lay a picture with a white border onto wood, seen a little from the side and with a shadow under it."""
    width, height = SCENE
    grain = cv2.resize(texture("gravel"), SCENE, interpolation=cv2.INTER_AREA)
    grain = cv2.GaussianBlur(grain, (0, 0), sigmaX=14, sigmaY=1)
    table = np.array(WOOD, np.float32) * (0.75 + 0.5 * grain[:, :, None])
    framed = cv2.copyMakeBorder(print_, 22, 22, 22, 22, cv2.BORDER_CONSTANT, value=(238, 230, 214))
    rows, columns = framed.shape[:2]
    source = np.array([(0, 0), (columns, 0), (columns, rows), (0, rows)], np.float32)
    target = np.array(PRINT_CORNERS, np.float32) * np.array(SCENE, np.float32)
    warp = cv2.getPerspectiveTransform(source, target)
    laid = cv2.warpPerspective(framed, warp, SCENE, flags=cv2.INTER_AREA).astype(np.float32)
    cover = cv2.warpPerspective(np.ones((rows, columns), np.float32), warp, SCENE)[:, :, None]
    shadow = cv2.GaussianBlur(np.roll(cover[:, :, 0], (12, 9), (0, 1)), (0, 0), 9)[:, :, None]
    scene = table * (1 - 0.45 * shadow) * (1 - cover) + laid * cover
    noise = np.random.default_rng(1).normal(0, 2.5, scene.shape)
    return np.asarray(np.clip(scene + noise, 0, 255), np.uint8).reshape(height, width, 3)
