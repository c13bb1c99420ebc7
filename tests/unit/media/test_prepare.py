"""Prepare: cut to the corners, scaled to the plan, never enlarged; and the suggestion of corners at upload."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from penstock.imaging.corners import Corners
from penstock.media import prepare as preparing
from penstock.media.decode import write_jpeg
from penstock.media.errors import RefusedPictureError
from penstock.media.prepare import clean, prepare
from tests.unit.media.pictures import Pixels, astronaut, coffee, distance, encoded, written


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "clean.jpg"
    write_jpeg(coffee(), path)
    return path


def read(path: Path) -> Pixels:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_an_upload_is_measured_and_cleaned(tmp_path: Path) -> None:
    target = tmp_path / "clean.jpg"
    found = clean(written(tmp_path, encoded(coffee(), "PNG")), target)
    assert (found.media_type, found.width, found.height) == ("image/png", 600, 400)
    assert found.bytes == target.stat().st_size
    assert distance(read(target), coffee()) < 2


def test_corners_are_suggested_for_a_print_on_a_table(tmp_path: Path) -> None:
    scene = np.full((900, 1200, 3), (96, 72, 52), np.uint8)
    scene[180:680, 300:920] = 235  # a white border, and the photo in it
    print_ = np.asarray(Image.fromarray(astronaut()).resize((580, 460)))
    scene[200:660, 320:900] = print_
    found = clean(written(tmp_path, encoded(scene)), tmp_path / "clean.jpg")
    assert found.corners is not None
    expected = [(300 / 1200, 180 / 900), (920 / 1200, 180 / 900), (920 / 1200, 680 / 900), (300 / 1200, 680 / 900)]
    assert np.abs(np.subtract(found.corners, expected)).max() < 0.03


def test_a_suggestion_that_fails_does_not_cost_the_upload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(preparing, "find_corners", fail)
    assert clean(written(tmp_path, encoded(coffee())), tmp_path / "clean.jpg").corners is None


@pytest.mark.parametrize(("resolution", "size"), [("480p", (600, 400)), ("720p", (600, 400)), ("original", (600, 400))])
def test_nothing_is_enlarged(source: Path, tmp_path: Path, resolution: str, size: tuple[int, int]) -> None:
    prepared = prepare(source, tmp_path, "picture", None, resolution)
    assert (prepared.width, prepared.height) == size


@pytest.mark.parametrize(("resolution", "size"), [("480p", (720, 480)), ("720p", (1080, 720)), ("1080p", (1620, 1080))])
def test_the_short_side_is_brought_down_to_the_plan(tmp_path: Path, resolution: str, size: tuple[int, int]) -> None:
    large = tmp_path / "large.jpg"
    write_jpeg(np.asarray(Image.fromarray(coffee()).resize((2400, 1600))), large)
    prepared = prepare(large, tmp_path, "picture", None, resolution)
    assert (prepared.width, prepared.height) == size
    assert read(prepared.path).shape == (size[1], size[0], 3)


def test_tall_pictures_are_measured_by_their_width(tmp_path: Path) -> None:
    tall = tmp_path / "tall.jpg"
    write_jpeg(np.asarray(Image.fromarray(coffee()).rotate(90, expand=True).resize((1600, 2400))), tall)
    prepared = prepare(tall, tmp_path, "picture", None, "480p")
    assert (prepared.width, prepared.height) == (480, 720)


def test_small_ones_are_lossless_and_large_ones_are_not(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = prepare(source, tmp_path, "small", None, "original")
    assert (small.media_type, small.path.suffix) == ("image/png", ".png")
    assert np.array_equal(read(small.path), read(source))
    monkeypatch.setattr(preparing, "PNG_PIXELS", 600 * 400 - 1)
    large = prepare(source, tmp_path, "large", None, "original")
    assert (large.media_type, large.path.suffix) == ("image/jpeg", ".jpg")


def test_four_corners_are_cut_out(source: Path, tmp_path: Path) -> None:
    half = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
    prepared = prepare(source, tmp_path, "picture", half, "original")
    assert abs(prepared.width - 300) <= 2
    assert abs(prepared.height - 400) <= 2
    found = np.asarray(Image.fromarray(read(prepared.path)).resize((300, 400)))
    assert distance(found, read(source)[:, :300]) < 6


def test_starting_at_another_corner_turns_the_picture(source: Path, tmp_path: Path) -> None:
    turned = ((0.0, 1.0), (0.0, 0.0), (1.0, 0.0), (1.0, 1.0))  # top left is what was bottom left: a quarter clockwise
    prepared = prepare(source, tmp_path, "picture", turned, "original")
    found = np.asarray(Image.fromarray(read(prepared.path)).resize((400, 600)))
    # A pixel's shift is allowed; turned another way it would differ by 60 and more.
    assert distance(found, np.rot90(read(source), -1)) < 10


@pytest.mark.parametrize(
    "corners",
    [
        ((0.1, 0.1), (0.9, 0.9), (0.9, 0.1), (0.1, 0.9)),  # crossed
        ((0.1, 0.1), (0.1, 0.9), (0.9, 0.9), (0.9, 0.1)),  # anticlockwise: would mirror
        ((0.1, 0.1), (0.11, 0.1), (0.11, 0.11), (0.1, 0.11)),  # a few pixels
        ((0.0, 0.5), (1.0, 0.5), (1.0, 0.52), (0.0, 0.52)),  # a ribbon
    ],
)
def test_corners_around_no_picture_are_refused(source: Path, tmp_path: Path, corners: Corners) -> None:
    with pytest.raises(RefusedPictureError) as caught:
        prepare(source, tmp_path, "picture", corners, "original")
    assert caught.value.reason == "invalid_input"
    assert "corners" in caught.value.detail
