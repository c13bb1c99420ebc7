"""The watermark shows on every ground, everywhere, and leaves the picture to be judged."""

import numpy as np
import pytest

from penstock.media.watermark import watermark
from tests.unit.media.pictures import astronaut, coffee, distance


@pytest.mark.parametrize("level", [0, 64, 128, 192, 255])
def test_it_shows_on_every_ground(level: int) -> None:
    ground = np.full((480, 720, 3), level, np.uint8)
    marked = watermark(ground, "Rekindle")
    clearly = np.abs(marked.astype(np.int64) - level).max(axis=2) > 20
    assert 0.02 < clearly.mean() < 0.25


@pytest.mark.parametrize("shape", [(480, 720), (720, 480), (200, 2000), (64, 64)])
def test_no_part_is_free_of_it(shape: tuple[int, int]) -> None:
    ground = np.full((*shape, 3), 128, np.uint8)
    changed = (watermark(ground, "Rekindle") != ground).any(axis=2)
    side = max(32, min(shape) // 2)
    for top in range(0, shape[0] - side + 1, side):
        for left in range(0, shape[1] - side + 1, side):
            assert changed[top : top + side, left : left + side].any(), (top, left)


def test_the_picture_can_still_be_judged() -> None:
    for picture in (astronaut(), coffee()):
        assert 1 < distance(watermark(picture, "Rekindle"), picture) < 6


def test_it_grows_with_the_picture() -> None:
    shares = []
    for scale in (1, 3):
        ground = np.full((480 * scale, 720 * scale, 3), 128, np.uint8)
        shares.append(float((watermark(ground, "Rekindle") != ground).any(axis=2).mean()))
    assert shares[1] == pytest.approx(shares[0], rel=0.4)


@pytest.mark.parametrize("name", ["Wärme Überall", "再燃", "Разжечь"])
def test_names_in_other_scripts_are_written(name: str) -> None:
    ground = np.full((200, 300, 3), 128, np.uint8)
    marked = watermark(ground, name)
    assert not np.array_equal(marked, watermark(ground, "?" * len(name)))
    assert (marked != ground).any(axis=2).mean() > 0.01
