"""The camera glides: softly, evenly, never over an edge, and finer than a pixel."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from penstock.imaging.camera import MOVES, RATE, Move, between, glide, path
from penstock.imaging.picture import BadPicture, Picture


def scene(width: int = 240, height: int = 160) -> Picture:
    noise = np.random.default_rng(7).integers(0, 255, (height, width, 3), np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 4), np.uint8)


@pytest.mark.parametrize("move", MOVES)
def test_a_move_never_looks_over_an_edge_and_changes_softly(move: Move) -> None:
    begin, end = path(move, 5)
    windows = [between(begin, end, number / 149) for number in range(150)]
    assert (windows[0], windows[-1]) == (begin, end)
    for window in windows:
        half = 0.5 / window.zoom - 1e-9
        assert half <= window.x <= 1 - half
        assert half <= window.y <= 1 - half
    steps = [abs(b.x - a.x) + abs(b.y - a.y) + abs(b.zoom - a.zoom) for a, b in pairwise(windows)]
    assert max(steps[0], steps[-1]) < max(steps) / 10  # it begins and ends slowly
    assert all(abs(b - a) < max(steps) / 20 for a, b in pairwise(steps))  # and never jerks


@pytest.mark.parametrize(("asked", "seconds"), [(2, 2), (5, 5), (8, 8), (0.1, 2), (60, 8)])
def test_it_is_as_long_as_asked_within_bounds(asked: float, seconds: int) -> None:
    assert sum(1 for _ in glide(scene(64, 48), "zoom_in", asked)) == seconds * RATE


def test_a_zoom_begins_with_the_whole_picture_and_zooming_out_is_the_same_backwards() -> None:
    picture = scene()
    inward, outward = list(glide(picture, "zoom_in", 2)), list(glide(picture, "zoom_out", 2))
    assert np.abs(inward[0].astype(int) - picture).mean() < 2
    assert np.abs(inward[0].astype(int) - outward[-1]).max() <= 1
    assert np.abs(inward[-1].astype(int) - picture).mean() > 3


def test_a_pan_moves_by_parts_of_a_pixel() -> None:
    first, second = list(glide(scene(), "pan_right", 8))[20:22]
    shift, _ = cv2.phaseCorrelate(
        *(cv2.cvtColor(each, cv2.COLOR_RGB2GRAY).astype(np.float32) for each in (first, second))
    )
    assert 0.01 < abs(shift[0]) < 0.9
    assert abs(shift[1]) < 0.01


def test_sizes_are_even_and_bounded() -> None:
    assert next(glide(scene(241, 161), "rise", 2)).shape == (160, 240, 3)
    assert next(glide(scene(4_000, 400), "rise", 2)).shape == (192, 1_920, 3)


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(BadPicture):
        next(glide(np.zeros((4, 4), np.uint8), "rise", 2))
