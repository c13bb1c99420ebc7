"""What a caller may ask, read from a job's `input` before anything is fetched or drawn.

Whatever is wrong comes back as one sentence that names the field; README.md has the fields. Unknown fields are
mistakes, too: an option that is ignored looks like a model that doesn't obey.
"""

import math
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from penstock_worker.kinds import Kind
from penstock_worker.settings import MAX_FPS, MAX_GUIDANCE, MAX_STEPS, Settings

T = TypeVar("T")

MAX_PROMPT: Final = 5_000  # characters
MIN_SIDE, MAX_SIDE = 16, 4_096  # pixels of the result
MAX_FRAMES: Final = 121  # of a video: 7.6 s at 16 frames a second
FRAME_STEP: Final = 4  # Wan makes this many frames at a time, after the first one
USUAL_SECONDS: Final = 5.0
MAX_SEED: Final = 2**53 - 1  # what JSON carries exactly everywhere
RANDOM_SEEDS: Final = 2**31

SHAPES: Final[Mapping[str, float]] = {
    "square": 1.0,
    "portrait": 3 / 4,
    "landscape": 4 / 3,
    "tall": 9 / 16,
    "wide": 16 / 9,
}
"""`shape` as width to height."""
RESOLUTIONS: Final[Mapping[str, int]] = {"480p": 832 * 480, "720p": 1_280 * 720}
"""`resolution` of a video as pixels of a frame."""
_FORMATS: Final = ("png", "jpeg", "webp")
_ALWAYS: Final = frozenset(
    {"prompt", "negative_prompt", "width", "height", "size", "shape", "steps", "guidance", "seed"}
)
_OF_PICTURES: Final = frozenset({"output_format"})
_OF_VIDEOS: Final = frozenset({"seconds", "num_frames", "fps", "resolution"})
_TAKEN_IN: Final = frozenset({"image", "images"})
_SIZE: Final = re.compile(r"(\d{1,5})\s*[x*]\s*(\d{1,5})")


class BadInputError(Exception):
    """The caller asks for something that can't be; the text says what, to the caller."""


@dataclass(frozen=True)
class Wish:
    """What a caller asks, checked.

    Args:
        pictures: each as base64, data URL or https address; not looked at yet.
        size: width and height in pixels as the caller wants them; None to follow `ratio`, or the picture.
        ratio: width to height; None to follow the picture.
        pixels: of a result whose size is not given.
        frames, fps: of a video; 1 and 0 of a picture.
        form: `png`, `jpeg` or `webp`; `mp4` for a video.
    """

    prompt: str
    negative_prompt: str | None
    pictures: tuple[str, ...]
    size: tuple[int, int] | None
    ratio: float | None
    pixels: int
    frames: int
    fps: int
    steps: int
    guidance: float
    seed: int
    form: str


def read_wish(given: object, settings: Settings) -> Wish:
    """Return what a job's `input` asks for. Errors: BadInputError."""
    if not isinstance(given, dict):
        raise BadInputError("input must be an object")
    kind = settings.kind
    fields = {name: value for name, value in given.items() if value is not None}
    _refuse_unknown(fields, kind)
    fps = _whole(fields, "fps", settings.fps, 1, MAX_FPS)
    video = kind.makes == "video"
    return Wish(
        prompt=_words(fields, "prompt") or _missing_prompt(),
        negative_prompt=_words(fields, "negative_prompt"),
        pictures=_pictures(fields, kind),
        size=_size(fields, kind),
        ratio=_ratio(fields),
        pixels=_choice(fields, "resolution", RESOLUTIONS, kind.pixels),
        frames=_frames(fields, fps) if video else 1,
        fps=fps if video else 0,
        steps=_whole(fields, "steps", settings.steps, 1, MAX_STEPS),
        guidance=_number(fields, "guidance", settings.guidance, 0, MAX_GUIDANCE),
        seed=_seed(fields),
        form="mp4" if video else _choice(fields, "output_format", {form: form for form in _FORMATS}, "png"),
    )


def fitted(wish: Wish, picture: tuple[int, int] | None, multiple: int) -> tuple[int, int]:
    """Return width and height of the result, multiples of what the model needs, never larger than asked.

    Args:
        picture: width and height of the picture whose shape the result takes, if the wish names none.
        multiple: of pixels, on both sides.
    """
    if wish.size is not None:
        width, height = wish.size
    else:
        ratio = wish.ratio or (picture[0] / picture[1] if picture else 1.0)
        width, height = round(math.sqrt(wish.pixels * ratio)), round(math.sqrt(wish.pixels / ratio))
    return max(multiple, width // multiple * multiple), max(multiple, height // multiple * multiple)


def _refuse_unknown(fields: Mapping[str, Any], kind: Kind) -> None:
    known = _ALWAYS | (_OF_VIDEOS if kind.makes == "video" else _OF_PICTURES)
    known |= _TAKEN_IN if kind.pictures[1] else frozenset()
    unknown = sorted(str(name) for name in fields.keys() - known)
    if unknown:
        raise BadInputError(f"{kind.name} knows no {_shown(unknown[0])}; it takes {', '.join(sorted(known))}")


def _missing_prompt() -> str:
    raise BadInputError("prompt is missing: say in words what to make")


def _words(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name, "")
    if not isinstance(value, str):
        raise BadInputError(f"{name} must be text, not {_shown(value)}")
    if len(value) > MAX_PROMPT:
        raise BadInputError(f"{name} has {len(value):,} characters; {MAX_PROMPT:,} are the most")
    return value.strip() or None


def _pictures(fields: Mapping[str, Any], kind: Kind) -> tuple[str, ...]:
    given = fields.get("images", [])
    if not isinstance(given, list):
        raise BadInputError("images must be a list")
    found = [*([fields["image"]] if "image" in fields else []), *given]
    if not all(isinstance(each, str) and each for each in found):
        raise BadInputError("every picture must be base64, a data URL or an https address")
    low, high = kind.pictures
    if not low <= len(found) <= high:
        wanted = "one picture" if (low, high) == (1, 1) else f"{low} to {high} pictures"
        raise BadInputError(f"{kind.name} takes {wanted}, not {len(found)}: put them into images")
    return tuple(found)


def _size(fields: Mapping[str, Any], kind: Kind) -> tuple[int, int] | None:
    if "size" in fields:
        match = _SIZE.fullmatch(fields["size"].strip()) if isinstance(fields["size"], str) else None
        if match is None:
            raise BadInputError(f'size must look like "1024x768", not {_shown(fields["size"])}')
        fields = {"width": int(match[1]), "height": int(match[2])}
    if not fields.keys() & {"width", "height"}:
        return None
    if not fields.keys() >= {"width", "height"}:
        raise BadInputError("width and height go together")
    width, height = (_whole(fields, name, 0, MIN_SIDE, MAX_SIDE) for name in ("width", "height"))
    if width * height > kind.max_pixels:
        raise BadInputError(f"{width}x{height} are {width * height:,} pixels; {kind.max_pixels:,} are the most")
    return width, height


def _ratio(fields: Mapping[str, Any]) -> float | None:
    return _choice(fields, "shape", SHAPES, 0.0) or None


def _frames(fields: Mapping[str, Any], fps: int) -> int:
    """Return how many frames: 4k+1, as many as come nearest to the seconds."""
    if "num_frames" in fields:
        frames = _whole(fields, "num_frames", 1, 1, MAX_FRAMES)
        if frames % FRAME_STEP != 1:
            near = max(1, frames // FRAME_STEP * FRAME_STEP + 1)
            raise BadInputError(
                f"num_frames must be a multiple of {FRAME_STEP} and one more, such as {near}, not {frames}"
            )
        return frames
    longest = MAX_FRAMES / fps
    seconds = _number(fields, "seconds", min(USUAL_SECONDS, longest), 0, longest)
    return min(MAX_FRAMES, round(max(0.0, seconds * fps - 1) / FRAME_STEP) * FRAME_STEP + 1)


def _seed(fields: Mapping[str, Any]) -> int:
    seed = _whole(fields, "seed", -1, -1, MAX_SEED)
    return secrets.randbelow(RANDOM_SEEDS) if seed < 0 else seed


def _whole(fields: Mapping[str, Any], name: str, usual: int, low: int, high: int) -> int:
    number = _number(fields, name, usual, low, high)
    if number != int(number):
        raise BadInputError(f"{name} must be a whole number, not {number:g}")
    return int(number)


def _number(fields: Mapping[str, Any], name: str, usual: float, low: float, high: float) -> float:
    value = fields.get(name, usual)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise BadInputError(f"{name} must be a number from {low:g} to {high:g}, not {_shown(value)}")
    return value


def _choice(fields: Mapping[str, Any], name: str, choices: Mapping[str, T], usual: T) -> T:
    if name not in fields:
        return usual
    value = fields[name]
    if not isinstance(value, str) or value not in choices:
        raise BadInputError(f"{name} must be one of {', '.join(choices)}, not {_shown(value)}")
    return choices[value]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
