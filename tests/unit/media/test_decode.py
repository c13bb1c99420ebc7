"""Decode: every kind of good picture comes out upright, in sRGB and bare; every kind of bad file is told apart."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from penstock.imaging.picture import MAX_PIXELS
from penstock.media import decode as decoding
from penstock.media.decode import MAX_INPUT_PIXELS, decode, sniff, write_jpeg
from penstock.media.errors import RefusedPictureError
from tests.unit.media.pictures import Pixels, astronaut, coffee, distance, encoded, png_bomb, saved, written

JPEG_LEVELS = 2.0  # mean difference that encoding at high quality may make
GPS_MARK = b"Penstock-was-here"


def decoded(folder: Path, content: bytes) -> Pixels:
    return decode(written(folder, content)).picture


def refused(folder: Path, content: bytes) -> RefusedPictureError:
    with pytest.raises(RefusedPictureError) as caught:
        decode(written(folder, content))
    return caught.value


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp"), ("HEIF", "image/heic")],
)
def test_the_four_formats(tmp_path: Path, kind: str, media_type: str) -> None:
    if kind == "HEIF":
        pytest.importorskip("pillow_heif")
    found = decode(written(tmp_path, encoded(coffee(), kind), "no-name"))
    assert (found.media_type, found.width, found.height) == (media_type, 600, 400)
    assert found.picture.shape == (400, 600, 3)
    assert distance(found.picture, coffee()) < 4


def test_lossless_pixels_are_untouched(tmp_path: Path) -> None:
    assert np.array_equal(decoded(tmp_path, encoded(coffee(), "PNG")), coffee())


# ---- kinds of pixels ----


def test_grey(tmp_path: Path) -> None:
    grey = coffee()[:, :, 1]
    assert np.array_equal(decoded(tmp_path, encoded(grey, "PNG")), np.dstack([grey] * 3))


def test_one_bit(tmp_path: Path) -> None:
    image = Image.fromarray(coffee()).convert("1")
    assert np.array_equal(decoded(tmp_path, saved(image, "PNG")), np.asarray(image.convert("RGB")))


def test_sixteen_bit_grey_keeps_its_tones(tmp_path: Path) -> None:
    grey = coffee()[:, :, 1]
    deep = grey.astype(np.uint16) * 257
    assert np.array_equal(decoded(tmp_path, encoded(deep, "PNG"))[:, :, 0], grey)


def test_palette(tmp_path: Path) -> None:
    image = Image.fromarray(coffee()).quantize(64)
    assert np.array_equal(decoded(tmp_path, saved(image, "PNG")), np.asarray(image.convert("RGB")))


def test_palette_with_a_transparent_colour(tmp_path: Path) -> None:
    image = Image.fromarray(np.zeros((64, 64), np.uint8), "L").convert("P")
    found = decoded(tmp_path, saved(image, "PNG", transparency=0))
    assert (found == 255).all()


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_transparency_becomes_white(tmp_path: Path, kind: str) -> None:
    pixels = np.dstack([np.zeros((64, 64, 3), np.uint8), np.full((64, 64), 255, np.uint8)])
    pixels[:, 32:, 3] = 0
    pixels[:32, :32, 3] = 127
    found = decoded(tmp_path, encoded(pixels, kind, **({"lossless": True} if kind == "WEBP" else {})))
    assert (found[:, 32:] == 255).all()
    assert (found[40:, :32] == 0).all()
    assert abs(int(found[10, 10, 0]) - 128) <= 1


def test_cmyk(tmp_path: Path) -> None:
    found = decoded(tmp_path, saved(Image.fromarray(coffee()).convert("CMYK")))
    assert distance(found, coffee()) < JPEG_LEVELS


def test_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((64, 64, 3), level, np.uint8)) for level in (10, 200)]
    for kind in ("PNG", "WEBP"):
        content = saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)
        assert distance(decoded(tmp_path, content), np.asarray(frames[0])) < JPEG_LEVELS


def test_a_colour_profile_is_applied(tmp_path: Path) -> None:
    # A profile whose red and blue are swapped: taken for sRGB, the picture would have them the wrong way round.
    pixels = astronaut()
    swapped = _swapped_profile()
    found = decoded(tmp_path, encoded(np.ascontiguousarray(pixels[:, :, ::-1]), "PNG", icc_profile=swapped))
    assert distance(found, pixels) < JPEG_LEVELS


def test_a_broken_colour_profile_is_ignored(tmp_path: Path) -> None:
    found = decoded(tmp_path, encoded(coffee(), "PNG", icc_profile=b"not a profile" * 20))
    assert np.array_equal(found, coffee())


def _swapped_profile() -> bytes:
    """sRGB with the columns of red and blue exchanged, by exchanging the names of the two tags."""
    content = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", content[128:132])[0]
    for at in range(132, 132 + 12 * count, 12):
        other = {b"rXYZ": b"bXYZ", b"bXYZ": b"rXYZ"}.get(bytes(content[at : at + 4]))
        if other:
            content[at : at + 4] = other
    return bytes(content)


# ---- orientation and metadata ----


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_every_orientation_comes_out_upright(tmp_path: Path, orientation: int, kind: str) -> None:
    upright = Image.fromarray(coffee())
    undo: dict[int, Any] = {**decoding._ORIENT, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    held = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    found = decode(written(tmp_path, saved(held, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))))
    assert (found.width, found.height) == (600, 400)
    assert distance(found.picture, coffee()) < JPEG_LEVELS


def test_heic_comes_out_upright(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif")
    held = Image.fromarray(coffee()).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    found = decode(written(tmp_path, saved(held, "HEIF", exif=exif.tobytes(), quality=90)))
    assert (found.width, found.height) == (600, 400)
    assert distance(found.picture, coffee()) < 5


def test_an_orientation_that_makes_no_sense_is_ignored(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 77
    assert decode(written(tmp_path, encoded(coffee(), exif=exif))).width == 600
    broken = encoded(coffee(), exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert decode(written(tmp_path, broken)).width == 600


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF"])
def test_nothing_but_pixels_is_left(tmp_path: Path, kind: str) -> None:
    if kind == "HEIF":
        pytest.importorskip("pillow_heif")
    content = encoded(coffee(), kind, **_everything_personal(kind))
    assert GPS_MARK in content, "the test's own file carries what should be taken out"
    clean = tmp_path / "clean.jpg"
    write_jpeg(decoded(tmp_path, content), clean)
    assert GPS_MARK not in clean.read_bytes()
    with Image.open(clean) as image:
        assert not image.getexif()
        assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def _everything_personal(kind: str) -> dict[str, Any]:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = GPS_MARK.decode()
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSProcessingMethod] = GPS_MARK
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">' + GPS_MARK + b"</x:xmpmeta>"
    options: dict[str, Any] = {"exif": exif}
    if kind == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_text("Comment", GPS_MARK.decode())
        return {**options, "pnginfo": text}
    if kind == "JPEG":
        options["comment"] = GPS_MARK
    return {**options, "xmp": xmp}


# ---- size ----


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_large_pictures_come_down_to_the_working_size(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = MAX_PIXELS // 25
    monkeypatch.setattr(decoding, "MAX_PIXELS", most)
    large = np.asarray(Image.fromarray(coffee()).resize((1500, 1000), Image.Resampling.BICUBIC))
    found = decode(written(tmp_path, encoded(large, kind, **({"quality": 95} if kind == "WEBP" else {}))))
    assert (found.width, found.height) == (1500, 1000)
    height, width = found.picture.shape[:2]
    assert most * 0.98 < width * height <= most
    assert abs(width / height - 1.5) < 0.005
    small = np.asarray(Image.fromarray(found.picture).resize((600, 400), Image.Resampling.BOX))
    assert distance(small, coffee()) < 4


def test_strips_leave_no_seams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "STRIP_PIXELS", 7 * 600)
    assert np.array_equal(decoded(tmp_path, encoded(coffee(), "PNG")), coffee())
    monkeypatch.setattr(decoding, "MAX_PIXELS", 200 * 300)
    halves = coffee().reshape(200, 2, 300, 2, 3).mean(axis=(1, 3))
    found = decoded(tmp_path, encoded(coffee(), "PNG"))
    assert np.abs(found - halves).max() <= 1


def test_a_bomb_is_refused_by_its_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = png_bomb(40_000, 40_000)
    assert len(bomb) < 1_000_000

    def explode(*_: object) -> None:
        raise AssertionError("a pixel was decoded")

    monkeypatch.setattr(Image.Image, "load", explode)
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", explode)
    error = refused(tmp_path, bomb)
    assert error.reason == "too_large"
    assert "40,000 x 40,000" in error.detail


def test_pixels_are_limited_at_the_limit(tmp_path: Path) -> None:
    width = 10_000
    assert refused(tmp_path, png_bomb(width, MAX_INPUT_PIXELS // width + 1)).reason == "too_large"
    found = decode(written(tmp_path, png_bomb(width, MAX_INPUT_PIXELS // width)))
    assert found.width * found.height == MAX_INPUT_PIXELS


def test_webp_has_a_limit_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "MAX_WEBP_PIXELS", 600 * 400 - 1)
    assert refused(tmp_path, encoded(coffee(), "WEBP")).reason == "too_large"
    assert decode(written(tmp_path, encoded(coffee(), "PNG"))).width == 600


@pytest.mark.parametrize(("width", "height"), [(31, 100), (100, 31), (1, 1)])
def test_tiny_pictures_are_refused(tmp_path: Path, width: int, height: int) -> None:
    error = refused(tmp_path, encoded(np.zeros((height, width, 3), np.uint8), "PNG"))
    assert error.reason == "invalid_input"
    assert f"{width} x {height}" in error.detail


def test_ribbons_are_refused(tmp_path: Path) -> None:
    assert "Crop it" in refused(tmp_path, encoded(np.zeros((100, 2_001, 3), np.uint8), "PNG")).detail


# ---- what is no good picture ----


def test_an_empty_file(tmp_path: Path) -> None:
    error = refused(tmp_path, b"")
    assert error.reason == "invalid_input"
    assert "empty" in error.detail


def test_a_text_that_is_called_a_picture(tmp_path: Path) -> None:
    path = written(tmp_path, b"Dear customer, this is not a picture.", "photo.jpg")
    with pytest.raises(RefusedPictureError) as caught:
        decode(path)
    assert caught.value.reason == "unsupported_media"
    assert "JPEG, PNG" in caught.value.detail


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (encoded(np.zeros((64, 64), np.uint8), "GIF"), "GIF"),
        (encoded(np.zeros((64, 64, 3), np.uint8), "BMP"), "BMP"),
        (encoded(np.zeros((64, 64, 3), np.uint8), "TIFF"), "TIFF"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"%PDF-1.7\n", "PDF"),
    ],
)
def test_other_kinds_are_named(tmp_path: Path, content: bytes, name: str) -> None:
    error = refused(tmp_path, content)
    assert error.reason == "unsupported_media"
    assert error.detail.startswith(f"{name} files")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
def test_truncated_files(tmp_path: Path, kind: str, share: float) -> None:
    content = encoded(astronaut(), kind)
    error = refused(tmp_path, content[: int(len(content) * share)])
    assert error.reason == "invalid_input"
    assert "damaged" in error.detail


def test_a_truncated_heic(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif")
    content = encoded(astronaut(), "HEIF")
    assert refused(tmp_path, content[: len(content) // 2]).reason == "invalid_input"


def test_heic_without_its_extra_is_told_clearly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pillow_heif")
    content = encoded(astronaut(), "HEIF")
    monkeypatch.setattr(decoding, "HEIC_READABLE", False)
    error = refused(tmp_path, content)
    assert error.reason == "unsupported_media"
    assert "JPEG" in error.detail


def test_random_damage_never_does_worse_than_being_refused(tmp_path: Path) -> None:
    chance = np.random.default_rng(7)
    for kind in ("JPEG", "PNG", "WEBP"):
        content = np.frombuffer(encoded(coffee()[:128, :128], kind), np.uint8)
        for _ in range(25):
            damaged = content.copy()
            places = chance.integers(12, len(damaged), 8)
            damaged[places] = chance.integers(0, 256, 8)
            try:
                found = decode(written(tmp_path, damaged.tobytes()))
            except RefusedPictureError:
                continue
            assert found.picture.shape[2] == 3


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "image/heic"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "image/heic"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", None),
        (b"\0\0\0\x18ftypavif\0\0\0\0", None),
        (b"RIFF\x10\0\0\0WAVEfmt ", None),
        (b"", None),
    ],
)
def test_types_are_told_by_content(head: bytes, media_type: str | None) -> None:
    assert sniff(head) == media_type
