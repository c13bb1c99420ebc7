"""The photo in the photo: found on generated scenes, not found where there is none, cut out with its own aspect."""

from functools import cache

import numpy as np
import pytest
from training.photographs import photograph
from training.scenes import Scene, empty_scene, scene

from penstock.imaging.corners import Corners, check_corners, find_corners, straighten
from penstock.imaging.picture import BadPicture, Picture

MAX_ERROR = 0.02  # of the picture's diagonal
SEEDS = range(21, 26)
MIN_FOUND = 4  # of 5; the benchmark counts hundreds
WHOLE: Corners = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


@cache
def generated(seed: int) -> Scene:
    return scene(seed)


def pixels(corners: Corners, picture: Picture) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.asarray(corners) * (picture.shape[1], picture.shape[0])


def worst_error(corners: Corners, truth: Scene) -> float:
    """The farthest corner's distance over the diagonal, whichever corner is called the first."""
    found, diagonal = pixels(corners, truth.picture), np.hypot(*truth.picture.shape[:2])
    turns = [np.roll(found, turn, axis=0) - truth.corners for turn in range(4)]
    return float(min(np.hypot(turn[:, 0], turn[:, 1]).max() for turn in turns) / diagonal)


def test_a_print_is_found_in_most_scenes() -> None:
    scenes = [generated(seed) for seed in SEEDS]
    found = [(find_corners(one.picture), one) for one in scenes]
    right = [corners for corners, one in found if corners and worst_error(corners, one) < MAX_ERROR]
    assert len(right) >= MIN_FOUND


def test_corners_go_clockwise_from_the_top_left() -> None:
    truth = next(one for one in map(generated, SEEDS) if one.backdrop == "plain")
    corners = find_corners(truth.picture)
    assert corners is not None
    check_corners(corners)
    (left, top), (right, _), (_, bottom), _ = corners
    assert left < right
    assert top < bottom


@pytest.mark.parametrize("name", ["astronaut", "coffee", "motorcycle"])
def test_a_plain_photograph_holds_no_print(name: str) -> None:
    assert find_corners(photograph(name)) is None


def test_an_empty_table_holds_no_print() -> None:
    assert [find_corners(empty_scene(seed)) for seed in range(2)] == [None] * 2


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (40, 40), (33, 4000)])
def test_a_blank_or_tiny_picture_holds_no_print(shape: tuple[int, int]) -> None:
    assert find_corners(np.full((*shape, 3), 128, np.uint8)) is None


def test_the_straightened_print_has_its_own_aspect() -> None:
    """Side lengths alone are 9 % wrong on tilted prints; the homography is within a few per cent."""
    errors = []
    for seed in SEEDS:
        truth = generated(seed)
        corners = tuple((float(x) / 1280, float(y) / 960) for x, y in truth.corners)
        flat = straighten(truth.picture, corners)
        errors.append(abs(np.log(flat.shape[1] / flat.shape[0] / truth.aspect)))
    assert np.median(errors) < 0.03


def test_straightening_the_whole_frame_keeps_the_picture() -> None:
    picture = photograph("china", 120)
    flat = straighten(picture, WHOLE)
    assert flat.shape == picture.shape
    assert np.abs(flat.astype(int) - picture).mean() < 3


def test_a_quarter_turn_turns_the_picture() -> None:
    picture = photograph("china", 120)
    flat = straighten(picture, (WHOLE[1], WHOLE[2], WHOLE[3], WHOLE[0]))
    assert flat.shape[:2] == picture.shape[1::-1]


@pytest.mark.parametrize(
    "corners",
    [
        ((0, 0), (1, 0), (1, 1)),
        ((0, 0), (1, 0), (1, 1), (0, 1.2)),
        ((0, 0), (1, 0), (1, 1), (0, float("nan"))),
        ((0, 0), (0, 1), (1, 1), (1, 0)),
        ((0, 0), (1, 1), (1, 0), (0, 1)),
        ((0, 0), (1, 0), (0.3, 0.3), (0, 1)),
        ((0.5, 0.5), (0.51, 0.5), (0.51, 0.51), (0.5, 0.51)),
    ],
    ids=["three", "outside", "not a number", "anticlockwise", "crossed", "bent inwards", "next to nothing"],
)
def test_corners_that_make_no_print_are_refused(corners: Corners) -> None:
    with pytest.raises(BadPicture, match="corners"):
        straighten(photograph("coffee", 60), corners)
