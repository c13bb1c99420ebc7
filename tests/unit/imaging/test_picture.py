"""What is accepted as a picture, and what it is scaled to."""

import numpy as np
import pytest

from penstock.imaging import picture as limits
from penstock.imaging.picture import MAX_PIXELS, BadPicture, at_most, check_picture, odd, scaled


def blank(height: int, width: int) -> limits.Picture:
    return np.zeros((height, width, 3), np.uint8)


def test_an_rgb_picture_is_accepted() -> None:
    check_picture(blank(1, 1))
    check_picture(blank(30, 40))


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        (np.zeros((4, 4, 3), np.float32), "8-bit"),
        (np.zeros((4, 4), np.uint8), "RGB"),
        (np.zeros((4, 4, 4), np.uint8), "RGB"),
        (np.zeros((0, 4, 3), np.uint8), "empty"),
        ([[1, 2], [3, 4]], "numpy array"),
    ],
)
def test_anything_else_is_refused_with_advice(wrong: limits.Picture, advice: str) -> None:
    with pytest.raises(BadPicture, match=advice):
        check_picture(wrong)


def test_more_pixels_than_anybody_may_send_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_INPUT_PIXELS", 11)
    with pytest.raises(BadPicture, match="scale it down"):
        check_picture(blank(3, 4))


def test_a_large_picture_comes_down_to_the_limit_and_keeps_its_shape() -> None:
    small = at_most(blank(300, 400), 30_000)
    assert small.shape[0] * small.shape[1] <= 30_000
    assert small.shape == (150, 200, 3)


def test_a_picture_within_the_limit_is_not_copied() -> None:
    whole = blank(30, 40)
    assert at_most(whole, MAX_PIXELS) is whole


def test_scaling_never_loses_a_side() -> None:
    assert scaled(blank(1, 1000), 0.1).shape == (1, 100, 3)


def test_kernel_sizes_are_odd_and_at_least_three() -> None:
    assert [odd(size) for size in (0, 3, 4, 5, 6.4)] == [3, 3, 5, 5, 7]
