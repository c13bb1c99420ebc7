"""The caller's pictures: what they are, their bytes say."""

import base64
import io

import pytest
from PIL import Image

from penstock_worker import pictures
from penstock_worker.inputs import BadInputError
from penstock_worker.pictures import decode, encode, read_pictures


def written(size: tuple[int, int] = (40, 30), form: str = "PNG", mode: str = "RGB", **options: object) -> bytes:
    content = io.BytesIO()
    Image.new(mode, size, 200 if mode == "L" else (200, 10, 10, 255)[: len(mode)]).save(content, form, **options)
    return content.getvalue()


def base64_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


def nothing(url: str, max_bytes: int) -> bytes:
    raise AssertionError(f"{url} was asked for")


def refusal(reference: str) -> str:
    with pytest.raises(BadInputError) as caught:
        read_pictures([reference], nothing)
    return str(caught.value)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("head", ["", "data:image/anything;base64,"])
def test_pictures_come_as_base64(form: str, head: str) -> None:
    (picture,) = read_pictures([head + base64_of(written(form=form))], nothing)
    assert (picture.size, picture.mode) == ((40, 30), "RGB")


def test_pictures_come_from_addresses_and_keep_their_order() -> None:
    asked = []

    def download(url: str, max_bytes: int) -> bytes:
        asked.append((url, max_bytes))
        return written((50, 20), mode="RGBA")

    found = read_pictures([base64_of(written()), "https://pictures.example/2"], download)
    assert [picture.size for picture in found] == [(40, 30), (50, 20)]
    assert asked == [("https://pictures.example/2", pictures.MAX_BYTES)]
    assert found[1].mode == "RGB"


def test_a_picture_stands_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # taken with the camera on its side
    assert decode(written((40, 30), "JPEG", exif=exif), "it").size == (30, 40)


def test_what_is_no_picture_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal("http://pictures.example/1") == "picture 1: only https addresses are fetched"
    assert refusal("file:///etc/passwd") == "picture 1 is neither an https address nor base64"
    assert refusal("*") == "picture 1 is neither an https address nor base64"
    unreadable = "picture 1 is no PNG, JPEG or WebP picture that can be read"
    assert refusal(base64_of(b"<svg/>")) == unreadable
    assert refusal(base64_of(written()[:60])) == unreadable
    assert refusal(base64_of(written(form="GIF"))) == unreadable
    monkeypatch.setattr(pictures, "MAX_BYTES", 50)
    assert refusal("A" * 4_000) == "picture 1 takes more than 50 bytes"
    assert refusal(base64_of(written())) == "picture 1 takes more than 50 bytes"


def test_the_size_is_read_before_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_PIXELS", 1_000)
    assert refusal(base64_of(written((40, 30)))) == "picture 1 has 40x30 pixels; 1,000 are the most"
    assert refusal(base64_of(written((15, 30)))) == "picture 1 has 15x30 pixels; both sides need 16"
    monkeypatch.undo()
    assert refusal(base64_of(written((16, 129)))) == "picture 1 has 16x129 pixels; one side may be 8 times the other"


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
def test_a_result_is_written_as_what_was_asked_for(form: str) -> None:
    content = encode(Image.new("RGBA", (40, 30), (1, 2, 3, 128)), form)
    assert Image.open(io.BytesIO(content)).format == form.upper()
