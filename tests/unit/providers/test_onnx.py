"""The provider `onnx`: models of one's own, in children that may die. All models are made here."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from penstock.imaging.picture import Floats, Picture
from penstock.kit.children import Children
from penstock.kit.clock import SystemClock
from penstock.product.adapters import ADAPTERS
from penstock.product.schema_onnx import OnnxModel
from penstock.product.schema_providers import Provider as Settings
from penstock.providers.onnx import OnnxProvider
from penstock.providers.onnx_work import apply
from penstock.providers.seam import Attempt, ProviderError, Request
from penstock.providers.surroundings import Surroundings
from tests.support import onnx_models as models


def _picture(height: int, width: int, seed: int = 1) -> Picture:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def _smooth(height: int, width: int) -> Picture:
    return cv2.GaussianBlur(_picture(height, width), (0, 0), 4).reshape(height, width, 3).astype(np.uint8)


def _quiet(_stage: str, _share: float) -> None:
    """Take no notice."""


@asynccontextmanager
async def _provider(path: Path, *, concurrency: int = 1, **settings: Any) -> AsyncIterator[OnnxProvider]:
    model = OnnxModel(file=path.name, **settings)
    shared = Children(1)
    around = Surroundings(shared, SystemClock(), {}, path.parent)
    provider = OnnxProvider("mine", Settings(adapter="onnx", onnx=model, concurrency=concurrency), around)
    yield provider
    await provider.close()


async def _made(provider: OnnxProvider, picture: Picture, folder: Path, timeout_s: float = 60.0) -> Picture:
    source = folder / "picture.png"
    Image.fromarray(picture).save(source)
    request = Request("job_1", "restore", {"picture": source}, {}, {}, None, folder)
    finished = await provider.submit(request, Attempt(1, "key", timeout_s))
    assert finished.cost_microdollars is None
    with Image.open(finished.outputs[0].path) as image:
        return np.asarray(image)


def test_it_can_do_what_the_product_file_may_ask_of_it() -> None:
    assert ADAPTERS["onnx"].tasks == OnnxProvider.tasks
    assert not OnnxProvider.billed


# ---- no seams -----------------------------------------------------------------------------------------------------


@given(
    sides=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    tile=st.none() | st.integers(16, 40),
    share=st.floats(0, 0.5),
    multiple=st.sampled_from((1, 4, 8)),
    takes=st.sampled_from(("rgb", "bgr", "y")),
    into=st.sampled_from(("0..1", "-1..1", "0..255")),
    longest=st.none() | st.integers(16, 50),
)
def test_a_model_that_changes_nothing_returns_the_very_same_picture(
    sides: tuple[int, int], tile: int | None, share: float, multiple: int, takes: Any, into: Any, longest: int | None
) -> None:
    overlap = 0 if tile is None else int(tile * share)
    model = OnnxModel(
        file="x",
        takes=takes,
        range=into,
        tile=tile,
        overlap=overlap,
        multiple_of=multiple,
        longest=None if tile else longest,
    )

    def same(numbers: Floats) -> Floats:
        assert not any(side % multiple for side in numbers.shape[:2])
        return numbers

    picture = _picture(*sides)
    assert (apply(picture, model, same, _quiet) == picture).all()


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.FLOAT16])
async def test_the_same_holds_of_a_real_model_in_each_layout(tmp_path: Path, layout: str, kind: int) -> None:
    shape = (1, 3, "h", "w") if layout == "nchw" else ("n", "h", "w", 3)
    path = models.identity(tmp_path / "m.onnx", shape, kind=kind)
    picture = _picture(75, 110)
    async with _provider(path, layout=layout, tile=32, overlap=8, range="-1..1") as provider:
        assert (await _made(provider, picture, tmp_path) == picture).all()


@pytest.mark.parametrize("keeps", [True, False])
async def test_a_fixed_size_keeps_the_detail_of_the_full_size_picture_unless_told_otherwise(
    tmp_path: Path, keeps: bool
) -> None:
    path = models.identity(tmp_path / "m.onnx", (1, 3, 32, 32))
    picture = _picture(90, 61)
    async with _provider(path, size=32, keep_detail=keeps) as provider:
        made = await _made(provider, picture, tmp_path)
    assert made.shape == picture.shape
    assert bool((made == picture).all()) is keeps


async def test_tiles_of_a_network_that_looks_around_come_to_what_the_whole_picture_would(tmp_path: Path) -> None:
    path = models.blur(tmp_path / "m.onnx", radius=2)
    picture = _picture(100, 130)
    async with _provider(path) as whole, _provider(path, tile=48, overlap=16) as tiled:
        expected = await _made(whole, picture, tmp_path)
        assert (np.abs(await _made(tiled, picture, tmp_path) - expected.astype(int)) <= 1).all()
        again = [await _made(tiled, picture, tmp_path) for _ in range(2)]
        assert (again[0] == again[1]).all(), "the same picture comes to the same, to the last bit"
    async with _provider(path, tile=48) as careless:
        difference = np.abs(await _made(careless, picture, tmp_path) - expected.astype(int))
        assert difference.max() > 20, "without an overlap the seams would show: so the test above can tell"


# ---- kinds of models ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("takes", ["rgb", "y"])
async def test_a_model_that_enlarges_does_so_tile_by_tile(tmp_path: Path, takes: str) -> None:
    path = models.twice(tmp_path / "m.onnx", (1, 3 if takes == "rgb" else 1, "h", "w"))
    picture = _smooth(50, 70)
    async with _provider(path, takes=takes, scale=2, tile=32, overlap=8) as provider:
        made = await _made(provider, picture, tmp_path)
    assert made.shape == (100, 140, 3)
    large = picture.repeat(2, 0).repeat(2, 1)
    if takes == "rgb":
        assert (made == large).all()
    else:
        assert np.abs(made.astype(int) - large).mean() < 2, "colours come from the picture itself"


@pytest.mark.parametrize(("takes", "channels"), [("l", 1), ("rgb", 3)])
async def test_a_colouriser_gives_colours_and_the_picture_keeps_its_own_lightness(
    tmp_path: Path, takes: str, channels: int
) -> None:
    path = models.colours(tmp_path / "m.onnx", (1, channels, 32, 32), 0.2, -0.1)
    grey = np.repeat(_smooth(80, 60)[:, :, :1], 3, axis=2)
    async with _provider(path, takes=takes, gives="ab", size=32, ab_unit=100.0, range="0..100") as provider:
        made = await _made(provider, grey, tmp_path)
    before, after = (
        np.asarray(cv2.cvtColor(each.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)) for each in (grey, made)
    )
    assert np.abs(after[:, :, 0] - before[:, :, 0]).max() < 1
    assert np.allclose(after[:, :, 1:].mean((0, 1)), (20, -10), atol=0.5)


@pytest.mark.parametrize(
    ("takes", "into", "expected"), [("l", "0..100", 100.0), ("l", "-1..1", 1.0), ("rgb", "0..1", 1.0)]
)
def test_a_colouriser_sees_lightness_alone(takes: Any, into: Any, expected: float) -> None:
    seen: list[Floats] = []

    def look(numbers: Floats) -> Floats:
        seen.append(numbers)
        return np.zeros((*numbers.shape[:2], 2), np.float32)

    picture = np.zeros((20, 20, 3), np.uint8)
    picture[:, :10] = 255
    picture[:, 15:] = (200, 40, 90)
    apply(picture, OnnxModel(file="x", takes=takes, gives="ab", range=into), look, _quiet)
    (numbers,) = seen
    assert np.allclose(numbers[:, :10], expected, atol=0.01 * expected)
    assert np.ptp(numbers[0, 19]) < 0.01, "the three channels of a colour are the same grey"


def test_a_residual_is_added_to_what_went_in() -> None:
    picture = _smooth(30, 30)
    model = OnnxModel(file="x", residual=True, range="-1..1")
    made = apply(picture, model, lambda numbers: np.full_like(numbers, 20 / 127.5), _quiet)
    assert (made == np.clip(picture.astype(int) + 20, 0, 255)).all()


def test_ranges_and_orders_of_colours_may_differ_on_the_way_out() -> None:
    picture = _picture(20, 20)
    model = OnnxModel(file="x", takes="rgb", gives="bgr", range="0..1", range_out="0..255")
    made = apply(picture, model, lambda numbers: numbers[:, :, ::-1] * 255, _quiet)
    assert (made == picture).all()


# ---- what goes wrong ----------------------------------------------------------------------------------------------


def _nan(path: Path) -> Path:
    zero = numpy_helper.from_array(np.zeros(1, np.float32), "z")
    nodes = [helper.make_node("Mul", ["in", "z"], ["none"]), helper.make_node("Div", ["none", "none"], ["out"])]
    return models.write(path, nodes, weights=[zero])


def _two(path: Path) -> Path:
    return models.write(path, [helper.make_node("Add", ["in", "in2"], ["out"])], inputs=2)


def _text(path: Path) -> Path:
    path.write_text("<html>no such model</html>")
    return path


Build = Callable[[Path], Path]
BAD: dict[str, tuple[Build, dict[str, Any], str]] = {
    "gone": (lambda path: path, {}, "the model can't be loaded"),
    "no model": (_text, {}, "the model can't be loaded"),
    "two inputs": (_two, {}, "takes 2 inputs"),
    "another layout": (models.identity, {"layout": "nhwc"}, "the model fails on 1x64x96x3"),
    "no larger": (models.identity, {"scale": 2}, "gives 64x96x3 (rows, columns, channels) where 128x192x3 belong"),
    "no numbers": (_nan, {}, "no numbers"),
}


@pytest.mark.parametrize("build", BAD)
async def test_a_trial_says_what_is_wrong_with_a_model(tmp_path: Path, build: str) -> None:
    make, settings, said = BAD[build]
    async with _provider(make(tmp_path / "m.onnx"), **settings) as provider:
        health = await provider.health()
    assert not health.ok
    assert said in health.detail
    assert health.remedy == "See providers.mine.onnx."


async def test_a_trial_runs_the_model_once(tmp_path: Path) -> None:
    async with _provider(models.blur(tmp_path / "m.onnx")) as provider:
        health = await provider.health()
    assert health.ok
    assert "the model ran in" in health.detail


async def test_a_model_without_an_end_is_stopped(tmp_path: Path) -> None:
    async with _provider(models.endless(tmp_path / "m.onnx")) as provider:
        with pytest.raises(ProviderError) as failed:
            await _made(provider, _picture(40, 40), tmp_path, timeout_s=3.0)
        assert failed.value.kind == "broken"
        assert "no answer within 3 s" in failed.value.detail


async def test_a_model_that_wants_all_memory_fails_alone(tmp_path: Path) -> None:
    async with _provider(models.greedy(tmp_path / "m.onnx"), memory_mb=512) as provider:
        with pytest.raises(ProviderError) as failed:
            await _made(provider, _picture(40, 40), tmp_path)
    assert failed.value.kind in {"transient", "broken"}
    assert "memory" in failed.value.detail or "alloc" in failed.value.detail


async def test_a_picture_that_would_become_too_large_is_refused_before_the_model_is_loaded(tmp_path: Path) -> None:
    async with _provider(tmp_path / "none.onnx", scale=8, tile=256) as provider:
        with pytest.raises(ProviderError) as failed:
            await _made(provider, np.zeros((1_100, 1_100, 3), np.uint8), tmp_path)
    assert failed.value.kind == "invalid"
    assert failed.value.message is not None
    assert "8800 x 8800 pixels" in failed.value.message


async def test_the_server_never_loads_the_runtime(tmp_path: Path) -> None:
    async with _provider(models.identity(tmp_path / "m.onnx"), concurrency=2) as provider:
        folders = [tmp_path / "a", tmp_path / "b"]
        for folder in folders:
            folder.mkdir()
        await asyncio.gather(*(_made(provider, _picture(30, 30), folder) for folder in folders))
    assert "onnxruntime" not in sys.modules
