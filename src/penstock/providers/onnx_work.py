"""What a child of the provider `onnx` does: a picture file through a model, as its settings say.

    with tiles   picture -> tile by tile: numbers in -> model -> numbers out -> blended in bands -> picture
    without      picture -> perhaps shrunk -> numbers in -> model -> numbers out -> enlarged -> picture

What a model makes is one of three things: a picture; brightness (`y`), which replaces the picture's own; or colours
(`ab` of Lab), which are joined with the lightness of the full-size picture. `onnxruntime` is imported here, when the
first function runs, and nowhere else.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from PIL import Image

from penstock.imaging.picture import Floats, Picture
from penstock.imaging.tiles import bands, spans
from penstock.product.schema_onnx import CHANNELS, OnnxModel
from penstock.providers.seam import Finished, Output

PRELOAD: Final = ("penstock.providers.onnx_work",)
MAX_RESULT_PIXELS: Final = 64_000_000
BAND_ROWS: Final = 256  # put together at one time
MAX_WORDS: Final = 500  # characters of what the runtime says
BRIGHTNESS: Final = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue: ITU-R BT.601
MAX_LIGHTNESS: Final = 100.0  # of Lab
SAMPLE_SIDES: Final = (96, 64)  # width and height of the small picture of a trial

Report = Callable[[str, float], None]
Run = Callable[[Floats], Floats]
"""Takes and gives rows, columns, channels, in the model's own numbers."""


class ModelError(Exception):
    """The model can't be loaded, or does something else than its settings say; the text is for operators."""


class TooLargeError(Exception):
    """The picture would become too large; the text is for the customer."""


@dataclass(frozen=True)
class Work:
    """A model's file and how it is spoken to."""

    path: Path
    model: OnnxModel


def work_on(work: Work, source: Path, folder: Path, progress: Report) -> Finished:
    """Return what the model makes of a picture file, written to `folder`. Errors: ModelError, TooLargeError."""
    with Image.open(source, formats=("PNG", "JPEG")) as image:
        picture = np.asarray(image.convert("RGB"), np.uint8)
    height, width = (side * work.model.scale for side in picture.shape[:2])
    if height * width > MAX_RESULT_PIXELS:
        raise TooLargeError(
            f"This picture would have {width} x {height} pixels. {MAX_RESULT_PIXELS // 1_000_000} million is the most: "
            "please take a smaller one."
        )
    progress("loading the model", 0.05)
    made = apply(picture, work.model, _session(work), progress)
    path = folder / "made.png"
    Image.fromarray(made).save(path, "PNG", compress_level=1)
    return Finished(outputs=(Output("full", path, "image/png"),))


def sample(path: Path) -> Path:
    """Write a small picture with something to see on it."""
    width, height = SAMPLE_SIDES
    across = np.broadcast_to(np.linspace(0, 255, width, dtype=np.uint8), (height, width))
    down = np.broadcast_to(np.linspace(0, 255, height, dtype=np.uint8)[:, None], (height, width))
    Image.fromarray(np.dstack([across, down, 255 - across])).save(path, "PNG")
    return path


def apply(picture: Picture, model: OnnxModel, run: Run, progress: Report) -> Picture:
    """Return what a model makes of a picture (RGB), which keeps its size times `scale`. Errors: ModelError."""
    height, width = picture.shape[:2]
    if model.tile is None and (sides := _shrunk(height, width, model)) != (height, width):
        progress("working", 0.1)
        return _put_together(picture, model, _whole(picture, sides, model, run))
    tile = model.tile or max(height, width)
    rows, columns = (spans(side, tile, model.overlap, model.scale) for side in (height, width))
    count, done = len(rows) * len(columns), 0

    def make(down: slice, across: slice) -> Floats:
        nonlocal done
        progress("working", 0.1 + 0.85 * done / count)
        done += 1
        return _made_of(picture[down, across], model, run)

    return _put_together(picture, model, bands(rows, columns, make, model.scale))


def _shrunk(height: int, width: int, model: OnnxModel) -> tuple[int, int]:
    """Return height and width at which a model without tiles sees a picture."""
    if model.size is not None:
        return model.size, model.size
    if model.longest is None or max(height, width) <= model.longest:
        return height, width
    factor = model.longest / max(height, width)
    return max(1, round(height * factor)), max(1, round(width * factor))


def _whole(picture: Picture, sides: tuple[int, int], model: OnnxModel, run: Run) -> Iterator[tuple[int, Floats]]:
    """Yield what a model makes of a shrunk picture, at full size, in bands."""
    height, width = picture.shape[:2]
    smaller = sides[0] * sides[1] < height * width
    small: Picture = _resized(picture, sides, cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    made = _made_of(small, model, run)
    change = model.keep_detail and model.made != "ab"
    if change:
        made = made - _natural(small, model)
    full: Floats = _resized(made, (height, width), cv2.INTER_LINEAR)
    for top in range(0, height, BAND_ROWS):
        band = full[top : top + BAND_ROWS]
        yield top, band + _natural(picture[top : top + BAND_ROWS], model) if change else band


def _natural(picture: Picture, model: OnnxModel) -> Floats:
    """Return a picture as what a model makes: RGB or brightness, 0 to 255."""
    return _brightness(picture) if model.made == "y" else picture.astype(np.float32)


def _put_together(picture: Picture, model: OnnxModel, made: Iterator[tuple[int, Floats]]) -> Picture:
    """Return the picture that bands of RGB, brightness or colours come to."""
    height, width = picture.shape[:2]
    sides = height * model.scale, width * model.scale
    base: Picture = _resized(picture, sides, cv2.INTER_CUBIC) if model.made in {"y", "ab"} else picture
    result = np.empty((*sides, 3), np.uint8)
    for top, band in made:
        rows = slice(top, top + len(band))
        if model.made == "ab":
            result[rows] = _coloured(base[rows], band)
        elif model.made == "y":
            result[rows] = _rounded(base[rows] + (band - _brightness(base[rows])))
        else:
            result[rows] = _rounded(band)
    return result


def _coloured(picture: Picture, colours: Floats) -> Picture:
    return _rounded(_rgb(np.dstack([_lab(picture)[:, :, :1], colours])) * np.float32(255))


def _lab(picture: Picture) -> Floats:
    converted: Any = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return np.asarray(converted, np.float32)


def _rgb(lab: Floats) -> Floats:
    """Return red, green and blue, 0 to 1, of Lab."""
    converted: Any = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
    return np.asarray(converted, np.float32)


def _brightness(picture: Picture) -> Floats:
    weighted: Floats = picture.astype(np.float32) @ BRIGHTNESS
    return weighted[:, :, None]


def _resized(pixels: Any, sides: tuple[int, int], how: int) -> Any:
    """Return pixels of any kind at this height and width."""
    height, width = sides
    if pixels.shape[:2] == sides:
        return pixels
    return cv2.resize(pixels, (width, height), interpolation=how).reshape(height, width, -1)


def _rounded(values: Floats) -> Picture:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


# ---- numbers ------------------------------------------------------------------------------------------------------


def _made_of(patch: Picture, model: OnnxModel, run: Run) -> Floats:
    """Return what a model makes of a piece: RGB or brightness, 0 to 255, or a and b of Lab. Errors: ModelError."""
    height, width = patch.shape[:2]
    numbers = _padded(_numbers(patch, model), model)
    made = run(numbers)
    expected = (numbers.shape[0] * model.scale, numbers.shape[1] * model.scale, CHANNELS[model.made])
    if made.shape != expected:
        raise ModelError(
            f"the model gives {_times(made.shape)} (rows, columns, channels) where {_times(expected)} belong"
        )
    if not np.isfinite(made).all():
        raise ModelError("the model gives what are no numbers (NaN or infinite)")
    if model.residual:
        made = made + _resized(numbers, expected[:2], cv2.INTER_CUBIC)
    made = made[: height * model.scale, : width * model.scale]
    if model.made == "ab":
        return made * np.float32(model.ab_unit)
    low, high = _ends(model.range_out or model.range)
    natural = (made - low) * np.float32(255 / (high - low))
    return natural[:, :, ::-1] if model.made == "bgr" else natural


def _numbers(patch: Picture, model: OnnxModel) -> Floats:
    low, high = _ends(model.range)
    if model.takes == "y":
        share = _brightness(patch) / np.float32(255)
    elif model.made == "ab":
        lab = _lab(patch)
        share = lab[:, :, :1] / np.float32(MAX_LIGHTNESS) if model.takes == "l" else _grey(lab)
    else:
        share = patch.astype(np.float32) / np.float32(255)
    if model.takes == "bgr":
        share = share[:, :, ::-1]
    return share * np.float32(high - low) + np.float32(low)


def _grey(lab: Floats) -> Floats:
    """Return the picture without its colours, as models get it that take three channels and give two."""
    return _rgb(np.dstack([lab[:, :, 0], np.zeros_like(lab[:, :, 1:])]))


def _padded(numbers: Floats, model: OnnxModel) -> Floats:
    """Return numbers of a size that the model takes: what is added below and on the right repeats the edge."""
    rows, columns = ((model.size or -(-side // model.multiple_of) * model.multiple_of) for side in numbers.shape[:2])
    return np.pad(numbers, ((0, rows - numbers.shape[0]), (0, columns - numbers.shape[1]), (0, 0)), mode="edge")


def _ends(written: str) -> tuple[float, float]:
    low, _, high = written.partition("..")
    return float(low), float(high)


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


# ---- the runtime --------------------------------------------------------------------------------------------------


def _session(work: Work) -> Run:
    """Load the model. Errors: ModelError."""
    try:
        import onnxruntime  # noqa: PLC0415 - it starts threads, so never in a process that forks; and it is an extra
    except ImportError as error:
        raise ModelError(
            f'the package onnxruntime can\'t be used ({error}). Install it: pip install "penstock[onnx]"'
        ) from error
    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = work.model.threads
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.enable_cpu_mem_arena = False  # it would keep the most that a tile ever took
    try:
        session = onnxruntime.InferenceSession(str(work.path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelError(f"the model can't be loaded: {_said(error)}") from error
    if len(session.get_inputs()) != 1:
        raise ModelError(f"the model takes {len(session.get_inputs())} inputs, and must take one")
    return lambda numbers: _run(session, numbers, work.model)


def _run(session: Any, numbers: Floats, model: OnnxModel) -> Floats:
    wanted = session.get_inputs()[0]
    kind = np.float16 if wanted.type == "tensor(float16)" else np.float32
    ordered = numbers.transpose(2, 0, 1) if model.layout == "nchw" else numbers
    try:
        (made, *_) = session.run(None, {wanted.name: np.ascontiguousarray(ordered[None], kind)})
    except Exception as error:
        raise ModelError(f"the model fails on {_times((1, *ordered.shape))}: {_said(error)}") from error
    if not isinstance(made, np.ndarray) or made.ndim != 4 or made.dtype.kind != "f" or len(made) != 1:
        what = f"{made.dtype} {_times(made.shape)}" if isinstance(made, np.ndarray) else type(made).__name__
        raise ModelError(f"the model gives {what}, and not one picture in floating-point numbers")
    single: Floats = made[0].astype(np.float32)
    return single.transpose(1, 2, 0) if model.layout == "nchw" else single


def _said(error: Exception) -> str:
    if isinstance(error, MemoryError):
        raise error
    return " ".join(str(error).split())[:MAX_WORDS]
