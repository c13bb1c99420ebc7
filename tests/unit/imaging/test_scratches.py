"""The scratch detector, judged on photographs that it never saw."""

import cv2
import numpy as np
import pytest
from training.ageing import Strength, age
from training.measures import psnr
from training.photographs import photograph
from training.scratches import unseen_detector

from penstock.imaging.features import COUNT, POLARITIES, FeatureMaker
from penstock.imaging.perceptron import pack, shipped_detector, unpack
from penstock.imaging.picture import Mask
from penstock.imaging.scratches import (
    LENIENT_THRESHOLD,
    MAX_WORKING_PIXELS,
    STRICT_THRESHOLD,
    fill_damage,
    find_damage,
    threshold_for,
    working_scale,
)

MIN_RECALL = 0.60
MIN_PRECISION = 0.60
SLACK_PX = 5  # finds are grown by a pixel, and soft edges of damage count for neither side


def wider(mask: Mask) -> Mask:
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((SLACK_PX, SLACK_PX), np.uint8)) > 0)


@pytest.mark.parametrize(("name", "strength"), [("astronaut", "heavy"), ("coffee", "medium")])
def test_planted_damage_is_found_on_an_unseen_photograph(name: str, strength: Strength) -> None:
    aged = age(photograph(name), 77, strength)
    found = find_damage(aged.picture, unseen_detector(name)).mask
    recall = (found & aged.damage).sum() / aged.damage.sum()
    precision = (found & wider(aged.damage)).sum() / found.sum()
    assert recall > MIN_RECALL
    assert precision > MIN_PRECISION


@pytest.mark.parametrize("name", ["china", "chelsea"])
def test_a_sound_photograph_has_next_to_no_damage(name: str) -> None:
    damage = find_damage(photograph(name), unseen_detector(name))
    assert damage.mask.mean() < 0.01


def test_one_dark_hair_on_a_plain_wall_is_found() -> None:
    wall = np.full((240, 320, 3), 170, np.uint8)
    wall += np.random.default_rng(0).integers(0, 6, wall.shape, np.uint8)
    cv2.line(wall, (60, 20), (90, 220), (40, 38, 35), 2)
    found = find_damage(wall, shipped_detector()).mask
    assert found[120, 75]
    assert not found[:, 150:].any()


def test_a_damaged_picture_is_searched_more_leniently() -> None:
    thresholds = [threshold_for(estimate) for estimate in (0.0, 0.005, 0.01, 0.5)]
    assert thresholds == sorted(thresholds, reverse=True)
    assert thresholds[0] == pytest.approx(STRICT_THRESHOLD)
    assert thresholds[-1] == pytest.approx(LENIENT_THRESHOLD)


def test_filling_brings_the_picture_nearer_to_what_was_there() -> None:
    aged = age(photograph("flower"), 5, "medium")
    filled = fill_damage(aged.picture, wider(aged.damage))
    assert psnr(filled, aged.unscratched) > psnr(aged.picture, aged.unscratched) + 2
    assert np.array_equal(filled[~wider(aged.damage)], aged.picture[~wider(aged.damage)])


def test_no_damage_no_filling() -> None:
    picture = photograph("china")
    assert fill_damage(picture, np.zeros(picture.shape[:2], np.bool_)) is picture


def test_a_long_strip_is_searched_in_bounded_memory() -> None:
    strip = np.zeros((600, 20_000, 3), np.uint8)
    assert working_scale(strip) ** 2 * 600 * 20_000 <= MAX_WORKING_PIXELS * 1.001


def test_features_have_one_plane_each_and_are_finite() -> None:
    maker = FeatureMaker(np.ascontiguousarray(photograph("coffee")[:64, :80]))
    for polarity in POLARITIES:
        features = maker.of(polarity)
        assert features.shape == (64, 80, COUNT)
        assert np.isfinite(features).all()


def test_a_detector_survives_being_packed() -> None:
    detector = shipped_detector()
    again = unpack(pack(detector))
    features = np.random.default_rng(1).standard_normal((5, 7, COUNT), np.float32)
    for polarity in POLARITIES:
        assert np.array_equal(again[polarity].probability(features), detector[polarity].probability(features))


def test_weights_for_other_features_are_refused() -> None:
    arrays = pack(shipped_detector())
    arrays["bright_mean"] = arrays["bright_mean"][:-1]
    with pytest.raises(ValueError, match="train it again"):
        unpack(arrays)
