"""What a caller may ask of the container, and what is said to everything else."""

from typing import Any

import pytest

from penstock.providers.models import failed
from penstock_worker import inputs
from penstock_worker.inputs import BadInputError, Wish, fitted, read_wish
from penstock_worker.settings import MAX_FPS, read_settings

EDIT, MAKE, FILM, ANIMATE = "qwen-image-edit", "qwen-image-2.1", "wan-text-to-video", "wan-image-to-video"
PICTURE = {"images": ["aGVsbG8="]}


def read(kind: str = MAKE, **given: Any) -> Wish:
    return read_wish({"prompt": "a door", **given}, read_settings({"MODEL_KIND": kind}))


def refusal(kind: str = MAKE, **given: Any) -> str:
    with pytest.raises(BadInputError) as caught:
        read(kind, **given)
    return str(caught.value)


def test_what_nobody_says_is_as_the_model_likes_it() -> None:
    wish = read(EDIT, **PICTURE)
    assert (wish.prompt, wish.negative_prompt, wish.pictures) == ("a door", None, ("aGVsbG8=",))
    assert (wish.steps, wish.guidance, wish.form, wish.frames, wish.fps) == (40, 4.0, "png", 1, 0)
    assert (wish.size, wish.ratio, wish.pixels) == (None, None, 1_024 * 1_024)
    film = read(FILM)
    assert (film.frames, film.fps, film.form, film.pixels) == (81, 16, "mp4", 832 * 480)


def test_null_is_as_good_as_nothing() -> None:
    assert read(seed=3, size=None, steps=None) == read(seed=3)


def test_the_maker_says_what_is_usual() -> None:
    settings = read_settings({"MODEL_KIND": FILM, "STEPS": "8", "GUIDANCE": "1.5", "FPS": "24"})
    wish = read_wish({"prompt": "a door"}, settings)
    assert (wish.steps, wish.guidance, wish.fps, wish.frames) == (8, 1.5, 24, 121)


@pytest.mark.parametrize("size", ["640x480", "640*480", " 640 x 480 "])
def test_a_size_is_written_in_two_ways(size: str) -> None:
    assert read(size=size).size == read(width=640, height=480).size == (640, 480)


@pytest.mark.parametrize(
    ("asked", "picture", "multiple", "size"),
    [
        ({"size": "650x490"}, None, 16, (640, 480)),
        ({"size": "20x20"}, None, 32, (32, 32)),
        ({}, None, 16, (1_024, 1_024)),
        ({"shape": "wide"}, (100, 100), 32, (1_344, 768)),
        ({}, (3_000, 2_000), 32, (1_248, 832)),
    ],
)
def test_a_result_has_the_size_that_fits(
    asked: dict[str, Any], picture: tuple[int, int] | None, multiple: int, size: tuple[int, int]
) -> None:
    assert fitted(read(**asked), picture, multiple) == size


def test_a_video_may_be_larger_by_name() -> None:
    assert fitted(read(FILM, resolution="720p", shape="wide"), None, 16) == (1_280, 720)
    assert fitted(read(FILM, resolution="480p", shape="tall"), None, 16) == (464, 832)


@pytest.mark.parametrize(
    ("seconds", "fps", "frames"), [(5, 16, 81), (2, 16, 33), (0.1, 16, 1), (0, 16, 1), (5, 24, 121), (3.0, 8, 25)]
)
def test_seconds_become_frames_that_the_model_makes(seconds: float, fps: int, frames: int) -> None:
    assert read(FILM, seconds=seconds, fps=fps).frames == frames


@pytest.mark.parametrize("share", [0, 0.25, 0.5, 0.99, 1])
def test_frames_are_always_four_times_something_and_one(share: float) -> None:
    for fps in range(1, MAX_FPS + 1):
        frames = read(FILM, seconds=share * inputs.MAX_FRAMES / fps, fps=fps).frames
        assert frames % 4 == 1
        assert 1 <= frames <= inputs.MAX_FRAMES


def test_a_seed_is_kept_or_drawn() -> None:
    assert read(seed=0).seed == 0
    drawn = {read(seed=-1).seed for _ in range(20)} | {read().seed for _ in range(20)}
    assert len(drawn) > 30
    assert all(0 <= seed < inputs.RANDOM_SEEDS for seed in drawn)


MISTAKES: list[tuple[str, dict[str, Any], str]] = [
    (MAKE, {"prompt": ""}, "prompt is missing: say in words what to make"),
    (MAKE, {"prompt": "  "}, "prompt is missing: say in words what to make"),
    (MAKE, {"prompt": ["a"]}, "prompt must be text, not ['a']"),
    (MAKE, {"prompt": "x" * 5_001}, "prompt has 5,001 characters; 5,000 are the most"),
    (MAKE, {"steps": 0}, "steps must be a number from 1 to 100, not 0"),
    (MAKE, {"steps": 2.5}, "steps must be a whole number, not 2.5"),
    (MAKE, {"steps": True}, "steps must be a number from 1 to 100, not True"),
    (MAKE, {"steps": "many"}, "steps must be a number from 1 to 100, not 'many'"),
    (MAKE, {"steps": float("nan")}, "steps must be a number from 1 to 100, not nan"),
    (MAKE, {"guidance": 21}, "guidance must be a number from 0 to 20, not 21"),
    (MAKE, {"seed": 2**53}, "seed must be a number from -1 to 9.0072e+15, not 9007199254740992"),
    (MAKE, {"size": "large"}, "size must look like \"1024x768\", not 'large'"),
    (MAKE, {"size": 1_024}, 'size must look like "1024x768", not 1024'),
    (MAKE, {"width": 640}, "width and height go together"),
    (MAKE, {"size": "8x640"}, "width must be a number from 16 to 4096, not 8"),
    (MAKE, {"size": "4096x4096"}, "4096x4096 are 16,777,216 pixels; 2,359,296 are the most"),
    (FILM, {"size": "1920x1080"}, "1920x1080 are 2,073,600 pixels; 921,600 are the most"),
    (MAKE, {"shape": "round"}, "shape must be one of square, portrait, landscape, tall, wide, not 'round'"),
    (MAKE, {"output_format": "gif"}, "output_format must be one of png, jpeg, webp, not 'gif'"),
    (FILM, {"resolution": "4K"}, "resolution must be one of 480p, 720p, not '4K'"),
    (FILM, {"num_frames": 80}, "num_frames must be a multiple of 4 and one more, such as 81, not 80"),
    (FILM, {"num_frames": 125}, "num_frames must be a number from 1 to 121, not 125"),
    (FILM, {"seconds": 30}, "seconds must be a number from 0 to 7.5625, not 30"),
    (FILM, {"fps": 0}, "fps must be a number from 1 to 60, not 0"),
    (EDIT, {}, "qwen-image-edit takes 1 to 3 pictures, not 0: put them into images"),
    (EDIT, {"images": ["a"] * 4}, "qwen-image-edit takes 1 to 3 pictures, not 4: put them into images"),
    (ANIMATE, {"images": ["a"], "image": "b"}, "wan-image-to-video takes one picture, not 2: put them into images"),
    (EDIT, {"images": "a"}, "images must be a list"),
    (EDIT, {"images": [7]}, "every picture must be base64, a data URL or an https address"),
    (EDIT, {"image": ""}, "every picture must be base64, a data URL or an https address"),
]


@pytest.mark.parametrize(("kind", "given", "said"), MISTAKES)
def test_a_mistake_is_said_in_words(kind: str, given: dict[str, Any], said: str) -> None:
    assert refusal(kind, **given) == said


def test_an_unknown_field_is_a_mistake() -> None:
    assert refusal(MAKE, seconds=5).startswith("qwen-image-2.1 knows no 'seconds'; it takes guidance, height, image,")
    assert refusal(FILM, images=["a"]).startswith("wan-text-to-video knows no 'images'; it takes fps,")
    with pytest.raises(BadInputError, match="input must be an object"):
        read_wish(["a door"], read_settings({"MODEL_KIND": MAKE}))


@pytest.mark.parametrize("said", sorted({said for _, _, said in MISTAKES}))
def test_no_mistake_is_taken_for_a_fault_that_passes(said: str) -> None:
    """Our own adapter looks for words; a mistake that is tried again is made again."""
    assert failed(said).kind == "broken"
