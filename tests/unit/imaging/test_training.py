"""The training: seeded ageing, weights that match their recipe, the same recipe the same weights."""

from pathlib import Path

import numpy as np
import pytest
from training.ageing import STRENGTHS, age
from training.measures import psnr
from training.perceptron import Schedule, fit
from training.photographs import NAMES, photograph
from training.samples import sample_photograph
from training.scratches import FOLDS, MAX_FILE_BYTES, fingerprint, save, shipped_path, train, unseen_detector

from penstock.imaging.features import POLARITIES
from penstock.imaging.perceptron import pack

SMALL = 96  # pixels of the short side: enough to see that training is repeatable


def test_ageing_is_decided_by_its_seed() -> None:
    clean = photograph("coffee", SMALL)
    one, again, other = age(clean, 1, "medium"), age(clean, 1, "medium"), age(clean, 2, "medium")
    assert np.array_equal(one.picture, again.picture)
    assert np.array_equal(one.damage, again.damage)
    assert not np.array_equal(one.picture, other.picture)


def test_stronger_ageing_leaves_less() -> None:
    clean = photograph("astronaut", 240)
    left = [psnr(age(clean, 5, strength).picture, clean) for strength in STRENGTHS]
    assert left == sorted(left, reverse=True)


def test_damage_is_where_the_surface_changed() -> None:
    aged = age(photograph("flower", 240), 9, "heavy")
    change = np.abs(aged.picture.astype(int) - aged.unscratched).mean(axis=2)
    assert change[aged.damage].mean() > 3 * change[~aged.damage].mean()


def test_sepia_ageing_aims_at_a_picture_without_colour() -> None:
    assert np.ptp(age(photograph("coffee", SMALL), 1, "light", "sepia").clean, axis=2).max() == 0


def test_the_same_recipe_gives_the_same_weights() -> None:
    def trained() -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
        samples = [sample_photograph(name, SMALL) for name in ("coffee", "rocket")]
        return pack(train(samples, Schedule(hidden=(4,), epochs=1, batch=256)))

    one, again = trained(), trained()
    assert all(np.array_equal(one[name], again[name]) for name in one)


def test_a_perceptron_learns_what_is_not_linear() -> None:
    rng = np.random.default_rng(3)
    rows = rng.uniform(-1, 1, (8_000, 2)).astype(np.float32)
    either = (rows[:, 0] > 0) ^ (rows[:, 1] > 0)
    perceptron = fit(rows, either, Schedule(hidden=(16, 8), epochs=30, batch=256))
    guessed = perceptron.probability(rows[:, None])[:, 0] > 0.5
    assert (guessed == either).mean() > 0.95


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="fewer than one batch"):
        fit(np.zeros((3, 2), np.float32), np.zeros(3, np.bool_), Schedule())


@pytest.mark.parametrize(
    "path", [shipped_path(), *(FOLDS / f"{name}.npz" for name in NAMES)], ids=lambda path: path.stem
)
def test_weights_are_those_of_the_recipe(path: Path) -> None:
    with np.load(path) as arrays:
        assert str(arrays["fingerprint"]) == fingerprint(), "the recipe changed: run python -m training.scratches"


def test_weights_are_small_and_one_file_for_each_photograph() -> None:
    assert shipped_path().stat().st_size < MAX_FILE_BYTES
    assert {path.stem for path in FOLDS.glob("*.npz")} == set(NAMES)


def test_each_photograph_has_a_detector_of_its_own() -> None:
    one, other = pack(unseen_detector(NAMES[0])), pack(unseen_detector(NAMES[1]))
    assert any(not np.array_equal(one[name], other[name]) for name in one)


def test_a_file_that_grew_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.scratches.MAX_FILE_BYTES", 100)
    with pytest.raises(ValueError, match="make the network smaller"):
        save(unseen_detector(NAMES[0]), tmp_path / "large.npz")


def test_there_is_a_perceptron_for_each_polarity() -> None:
    assert set(unseen_detector(NAMES[0])) == set(POLARITIES)
