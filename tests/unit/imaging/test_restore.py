"""Restoration from end to end: gains on aged photographs, and no harm to anything else."""

import numpy as np
import pytest
from training.ageing import Aged, Strength, Tone, age
from training.measures import psnr, ssim
from training.photographs import photograph
from training.scratches import unseen_detector

from penstock.imaging import restore as restoring
from penstock.imaging.picture import BadPicture, Picture
from penstock.imaging.restore import Restored, RestoreSettings, restore

NOTHING = RestoreSettings(scratches="off", grain="off", tone=0)


def restored(aged: Aged, name: str) -> Restored:
    return restore(aged.picture, detector=unseen_detector(name))


@pytest.mark.parametrize("name", ["chelsea", "china", "motorcycle"])
def test_light_damage_never_loses(name: str) -> None:
    """Chelsea has little contrast by nature: stretching her tone to the full would lose 8 dB."""
    aged = age(photograph(name), 3, "light")
    result = restored(aged, name).picture
    assert psnr(result, aged.clean) > psnr(aged.picture, aged.clean)
    assert ssim(result, aged.clean) > ssim(aged.picture, aged.clean)


@pytest.mark.parametrize(
    ("name", "strength", "tone", "decibels", "similarity"),
    [("astronaut", "medium", "color", 3.5, 0.12), ("rocket", "heavy", "sepia", 5, 0.25)],
)
def test_damage_gains_much(name: str, strength: Strength, tone: Tone, decibels: float, similarity: float) -> None:
    aged = age(photograph(name), 11, strength, tone)
    result = restored(aged, name).picture
    assert psnr(result, aged.clean) > psnr(aged.picture, aged.clean) + decibels
    assert ssim(result, aged.clean) > ssim(aged.picture, aged.clean) + similarity


@pytest.mark.parametrize("name", ["chelsea", "coffee", "camera"])
def test_a_sound_photograph_is_nearly_untouched(name: str) -> None:
    clean = photograph(name)
    result = restore(clean, detector=unseen_detector(name))
    assert psnr(result.picture, clean) > 31
    assert result.report.damage == 0


def test_sepia_comes_back_neutral_and_is_reported() -> None:
    aged = age(photograph("china", 240), 4, "medium", "sepia")
    result = restore(aged.picture)
    assert result.report.sepia
    assert np.ptp(result.picture, axis=2).max() == 0


def test_sepia_can_be_kept_and_asked_for() -> None:
    aged = age(photograph("china", 240), 4, "medium", "sepia")
    kept = restore(aged.picture, RestoreSettings(sepia="off")).picture
    assert np.ptp(kept, axis=2).max() > 0
    greyed = restore(photograph("coffee", 240), RestoreSettings(sepia="on")).picture
    assert np.ptp(greyed, axis=2).max() == 0


def test_everything_off_changes_nothing() -> None:
    picture = photograph("motorcycle", 240)
    assert np.array_equal(restore(picture, NOTHING).picture, picture)


def test_the_report_says_what_was_found() -> None:
    worse = restore(age(photograph("flower", 240), 8, "heavy").picture).report
    better = restore(age(photograph("flower", 240), 8, "light").picture).report
    assert worse.damage > better.damage
    assert worse.grain > better.grain
    assert worse.fading > better.fading


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (1, 200), (7, 7), (9, 1500), (2000, 12)])
def test_tiny_and_narrow_pictures_come_back_in_their_own_size(shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(2).integers(0, 256, (*shape, 3), np.uint8)
    for settings in (RestoreSettings(), RestoreSettings(scratches="on", grain="on", tone=1)):
        result = restore(picture, settings).picture
        assert result.shape == picture.shape
        assert result.dtype == np.uint8


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_picture_of_one_colour_stays_what_it_is(level: int) -> None:
    plain = np.full((64, 96, 3), level, np.uint8)
    assert np.abs(restore(plain).picture.astype(int) - level).max() <= 4


def test_a_picture_above_the_limit_comes_back_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restoring, "MAX_PIXELS", 20_000)
    result = restore(photograph("coffee", 200))
    assert result.picture.shape[0] * result.picture.shape[1] <= 20_000


def test_the_picture_passed_in_is_not_written_to() -> None:
    picture = age(photograph("rocket", 200), 1, "heavy").picture
    before = picture.copy()
    restore(picture)
    assert np.array_equal(picture, before)


def test_progress_goes_up_from_nothing_to_all() -> None:
    told: list[float] = []
    restore(photograph("coffee", 120), progress=lambda _stage, share: told.append(share))
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0.0, 1.0)


@pytest.mark.parametrize("tone", [-0.1, 1.5, float("nan")])
def test_a_tone_out_of_range_is_refused(tone: float) -> None:
    with pytest.raises(BadPicture, match="from 0 to 1"):
        restore(photograph("coffee", 60), RestoreSettings(tone=tone))


def test_what_is_not_a_picture_is_refused() -> None:
    grey: Picture = np.zeros((10, 10), np.uint8)
    with pytest.raises(BadPicture, match="RGB"):
        restore(grey)
