"""Finish: bad answers are told apart, good ones are dressed for the plan."""

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from penstock.media.errors import BadResultError
from penstock.media.finish import Dress, Made, finish, side_by_side
from tests.unit.media.pictures import Pixels, astronaut, coffee, distance, encoded, written


def restored(pixels: Pixels) -> Pixels:
    """A picture as a provider might give it back: brighter and with more contrast."""
    return np.asarray(np.clip(pixels.astype(np.float32) * 1.15 + 6, 0, 255), np.uint8)


def run(folder: Path, before: Pixels, after: bytes, **dress: Any) -> dict[str, Made]:
    out = folder / "out"
    out.mkdir(exist_ok=True)
    sent = written(folder, encoded(before, "PNG"), "before.png")
    made = finish(sent, written(folder, after, "after"), out, Dress(**dress))
    assert made[0].name == "full"
    return {file.name: file for file in made}


def fault(folder: Path, before: Pixels, after: bytes, **dress: Any) -> str:
    with pytest.raises(BadResultError) as caught:
        run(folder, before, after, **dress)
    return caught.value.fault


def read(file: Made) -> Pixels:
    with Image.open(file.path) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert (file.height, file.width) == pixels.shape[:2]
    assert file.bytes == file.path.stat().st_size
    return pixels


# ---- good answers ----


def test_the_four_files_of_a_result(tmp_path: Path) -> None:
    made = run(tmp_path, coffee(), encoded(restored(coffee()), "PNG"))
    assert [file.media_type for file in made.values()] == ["image/jpeg", "image/webp", "image/jpeg", "image/jpeg"]
    assert distance(read(made["full"]), restored(coffee())) < 3
    assert distance(read(made["original"]), coffee()) < 3
    assert read(made["thumb"]).shape == (320, 480, 3)
    assert read(made["compare"]).shape == (400 * 2 + 3, 600, 3)


def test_what_was_made_of_words_alone_has_nothing_to_be_compared_with(tmp_path: Path) -> None:
    made = finish(None, written(tmp_path, encoded(coffee()), "after"), tmp_path, Dress(watermark="Rekindle"))
    assert [file.name for file in made] == ["full", "thumb"]
    blank = np.full((64, 64, 3), 90, np.uint8)
    with pytest.raises(BadResultError) as caught:
        finish(None, written(tmp_path, encoded(blank), "blank"), tmp_path, Dress())
    assert caught.value.fault == "blank"


def test_a_larger_answer_is_brought_to_the_plan(tmp_path: Path) -> None:
    large = np.asarray(Image.fromarray(restored(coffee())).resize((2400, 1600)))
    made = run(tmp_path, np.asarray(Image.fromarray(coffee()).resize((720, 480))), encoded(large), resolution="480p")
    assert read(made["full"]).shape == read(made["original"]).shape == (480, 720, 3)


def test_a_smaller_answer_gets_an_original_of_its_size(tmp_path: Path) -> None:
    small = np.asarray(Image.fromarray(restored(coffee())).resize((450, 300)))
    made = run(tmp_path, coffee(), encoded(small))
    assert read(made["full"]).shape == read(made["original"]).shape == (300, 450, 3)


def test_the_watermark_is_on_everything_but_the_original(tmp_path: Path) -> None:
    after = encoded(restored(coffee()), "PNG")
    plain = {name: read(file) for name, file in run(tmp_path, coffee(), after).items()}
    marked = {name: read(file) for name, file in run(tmp_path, coffee(), after, watermark="Rekindle").items()}
    changes = {name: distance(plain[name], marked[name]) for name in plain}
    assert changes["original"] == 0
    assert all(changes[name] > 0.5 for name in ("full", "thumb", "compare"))
    half = plain["compare"].shape[0] // 2 - 5
    assert distance(plain["compare"][:half], marked["compare"][:half]) == 0, "before is before"


def test_line_art_is_kept_lossless(tmp_path: Path) -> None:
    lines = np.where(coffee()[:, :, :1] > 90, 255, 0).astype(np.uint8).repeat(3, axis=2)
    made = run(tmp_path, coffee(), encoded(lines, "PNG"), lossless=True)
    assert made["full"].media_type == "image/png"
    assert np.array_equal(read(made["full"]), lines)


def test_a_provider_s_metadata_goes(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x013B] = "a provider was here"
    after = encoded(restored(coffee()), exif=exif, comment=b"a provider was here")
    for file in run(tmp_path, coffee(), after).values():
        assert b"a provider was here" not in file.path.read_bytes()


def test_an_answer_of_another_shape_where_that_is_right(tmp_path: Path) -> None:
    cut = restored(coffee())[50:350, 200:400]
    made = run(tmp_path, coffee(), encoded(cut), keeps_frame=False)
    assert read(made["full"]).shape == (300, 200, 3)
    assert read(made["original"]).shape == (400, 600, 3)


# ---- bad answers ----


@pytest.mark.parametrize("content", [b"", b"<html>503</html>", encoded(coffee())[:2_000]])
def test_what_is_no_picture(tmp_path: Path, content: bytes) -> None:
    assert fault(tmp_path, coffee(), content) == "undecodable"


def test_another_shape(tmp_path: Path) -> None:
    assert fault(tmp_path, coffee(), encoded(restored(astronaut()))) == "wrong_size"


def test_a_thumbnail(tmp_path: Path) -> None:
    small = np.asarray(Image.fromarray(restored(coffee())).resize((150, 100)))
    assert fault(tmp_path, coffee(), encoded(small)) == "wrong_size"


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_blank_picture(tmp_path: Path, level: int) -> None:
    assert fault(tmp_path, coffee(), encoded(np.full((400, 600, 3), level, np.uint8))) == "blank"


def test_a_few_lines_are_not_blank(tmp_path: Path) -> None:
    lines = np.full((400, 600, 3), 255, np.uint8)
    lines[100:102, 100:500] = 0
    run(tmp_path, coffee(), encoded(lines, "PNG"), lossless=True)


PHOTOS = {"coffee": coffee(), "astronaut": astronaut()}


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize(("kind", "quality"), [("PNG", None), ("JPEG", 95), ("JPEG", 75), ("WEBP", 85)])
def test_the_input_again(tmp_path: Path, name: str, kind: str, quality: int | None) -> None:
    large = np.asarray(Image.fromarray(PHOTOS[name]).resize((720, 480), Image.Resampling.BICUBIC))
    file = io.BytesIO()
    Image.fromarray(large).save(file, kind, **({} if quality is None else {"quality": quality}))
    assert fault(tmp_path, large, file.getvalue()) == "unchanged"
    run(tmp_path, large, file.getvalue(), may_be_unchanged=True)


def _scratched(pixels: Pixels) -> Pixels:
    damaged = pixels.copy()
    damaged[60:340, 301] = 255
    return damaged


def _dusty(pixels: Pixels) -> Pixels:
    damaged = pixels.copy()
    damaged[200:206, 300:306] = 255
    return damaged


def _grainy(pixels: Pixels) -> Pixels:
    noise = np.random.default_rng(3).normal(0, 8, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def _grey(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)


def _faded(pixels: Pixels) -> Pixels:
    return np.asarray(pixels * 0.97, np.uint8)


@pytest.mark.parametrize("damage", [_scratched, _dusty, _grainy, _grey, _faded])
@pytest.mark.parametrize("name", PHOTOS)
def test_every_real_repair_counts_as_a_change(tmp_path: Path, name: str, damage: Any) -> None:
    run(tmp_path, damage(PHOTOS[name]), encoded(PHOTOS[name]))


# ---- before and after ----


@pytest.mark.parametrize("shape", [(400, 600), (600, 400), (400, 400)])
def test_before_and_after_lie_side_by_side(shape: tuple[int, int]) -> None:
    before, after = np.full((*shape, 3), 10, np.uint8), np.full((*shape, 3), 200, np.uint8)
    both = side_by_side(before, after)
    assert (both[0, 0] == 10).all()
    assert (both[-1, -1] == 200).all()
    assert (both == 255).any(), "a line between them"
    assert max(both.shape[:2]) < 2.1 * max(shape)
    assert max(both.shape[:2]) / min(both.shape[:2]) < 2.1


def test_pictures_of_different_shape_are_brought_to_one_height() -> None:
    both = side_by_side(coffee(), astronaut())
    assert both.shape[0] == 512
    assert both.shape[1] > 512 + 700
