"""The `local` provider: real work in children that may die."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image
from training.photographs import photograph as photograph_of

from penstock.imaging import video
from penstock.kit.children import Children
from penstock.product.adapters import ADAPTERS
from penstock.providers import local
from penstock.providers.local import PRELOAD, LocalProvider
from penstock.providers.seam import Attempt, Finished, ProviderError, Request


@pytest.fixture
async def provider() -> AsyncIterator[LocalProvider]:
    children = Children(1, preload=PRELOAD)
    yield LocalProvider("local", children)
    await children.close()


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    Image.fromarray(photograph_of("astronaut", 256)).save(path)
    return path


def _request(task: str, source: Path, **options: object) -> Request:
    return Request("job_1", task, {"picture": source}, {}, options, None, source.parent)


def _attempt(reports: list[tuple[str, float | None]] | None = None, timeout_s: float = 60.0) -> Attempt:
    said: list[tuple[str, float | None]] = [] if reports is None else reports
    return Attempt(1, "key", timeout_s, lambda stage, share: said.append((stage, share)))


def _full(finished: Finished) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    path = next(output.path for output in finished.outputs if output.name == "full")
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_it_can_do_what_the_product_file_may_ask_of_it() -> None:
    assert ADAPTERS["local"].tasks == LocalProvider.tasks
    assert not LocalProvider.billed


async def test_restoring_takes_out_grain_and_tells_its_stages(provider: LocalProvider, tmp_path: Path) -> None:
    clean = photograph_of("astronaut", 256).astype(np.float64)
    grainy = np.clip(clean + np.random.default_rng(1).normal(0, 18, clean.shape), 0, 255).astype(np.uint8)
    source = tmp_path / "picture.png"
    Image.fromarray(grainy).save(source)
    stages: list[tuple[str, float | None]] = []

    restored = _full(await provider.submit(_request("restore", source, scratches="off", tone=0.0), _attempt(stages)))

    assert np.abs(restored - clean).mean() < 0.7 * np.abs(grainy - clean).mean()
    assert stages[0] == ("looking for damage", 0.0)


async def test_grain_stays_where_the_customer_wants_it(provider: LocalProvider, photograph: Path) -> None:
    untouched = _request("restore", photograph, scratches="off", grain=False, tone=0.0)
    assert np.array_equal(_full(await provider.submit(untouched, _attempt())), photograph_of("astronaut", 256))


async def test_straightening_cuts_along_the_corners(provider: LocalProvider, photograph: Path) -> None:
    corners = [[0.25, 0.0], [0.75, 0.0], [0.75, 1.0], [0.25, 1.0]]
    height, width = _full(
        await provider.submit(_request("perspective", photograph, corners=corners), _attempt())
    ).shape[:2]
    assert (width, height) == (128, 256)


async def test_a_picture_without_a_print_is_the_customers_to_change(provider: LocalProvider, tmp_path: Path) -> None:
    source = tmp_path / "picture.png"
    Image.fromarray(np.full((200, 300, 3), 120, np.uint8)).save(source)
    with pytest.raises(ProviderError) as failed:
        await provider.submit(_request("perspective", source), _attempt())
    assert failed.value.kind == "invalid"
    assert "drag the corners" in str(failed.value.message)


async def test_a_colouring_page_comes_as_pixels_as_shapes_and_to_print(
    provider: LocalProvider, photograph: Path
) -> None:
    finished = await provider.submit(_request("colouring_page", photograph, detail="kids"), _attempt())
    made = {output.name: output for output in finished.outputs}
    assert set(made) == {"full", "svg", "pdf_a4", "pdf_letter"}
    assert ET.fromstring(made["svg"].path.read_text()).tag.endswith("svg")
    assert made["pdf_a4"].path.read_bytes().startswith(b"%PDF")
    page = _full(finished)
    assert 0.5 < (page > 200).mean() < 0.99, "a page of lines is mostly paper"


async def test_an_unknown_task_is_our_mistake(provider: LocalProvider, photograph: Path) -> None:
    with pytest.raises(ProviderError) as failed:
        await provider.submit(_request("colourise", photograph), _attempt())
    assert failed.value.kind == "broken"


async def test_no_picture_is_our_mistake(provider: LocalProvider, tmp_path: Path) -> None:
    with pytest.raises(ProviderError) as failed:
        await provider.submit(Request("job_1", "restore", {}, {}, {}, None, tmp_path), _attempt())
    assert failed.value.kind == "broken"


def _die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _hang(*_: object, **__: object) -> None:
    signal.pause()


async def test_a_child_that_dies_is_a_passing_fault(
    provider: LocalProvider, photograph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_WORK", {"restore": _die, "colouring_page": local.draw_file})
    with pytest.raises(ProviderError) as failed:
        await provider.submit(_request("restore", photograph), _attempt())
    assert failed.value.kind == "transient"
    again = await provider.submit(_request("colouring_page", photograph, detail="kids"), _attempt())
    assert again.outputs, "the next job gets a living child"


async def test_a_child_that_hangs_is_stopped(
    provider: LocalProvider, photograph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_WORK", {"restore": _hang})
    with pytest.raises(ProviderError) as failed:
        await provider.submit(_request("restore", photograph), _attempt(timeout_s=0.2))
    assert failed.value.kind == "broken"


async def test_it_is_healthy_until_its_children_are_closed() -> None:
    children = Children(1)
    provider = LocalProvider("local", children)
    assert (await provider.health()).ok
    await children.close()
    assert not (await provider.health()).ok
    await provider.cancel("nothing")
    await provider.close()


async def test_it_hands_out_no_references(provider: LocalProvider, photograph: Path) -> None:
    with pytest.raises(ProviderError):
        await provider.poll("ref", _request("restore", photograph))


async def test_the_event_loop_goes_on_while_a_child_works(provider: LocalProvider, photograph: Path) -> None:
    turns = 0
    work = asyncio.create_task(provider.submit(_request("colouring_page", photograph, detail="kids"), _attempt()))
    while not work.done():
        await asyncio.sleep(0)
        turns += 1
    assert work.result().outputs
    assert turns > 10


async def test_a_camera_glides_over_the_picture_for_as_long_as_asked(provider: LocalProvider, photograph: Path) -> None:
    stages: list[tuple[str, float | None]] = []
    finished = await provider.submit(_request("animate", photograph, move="rise", seconds=2), _attempt(stages))
    (output,) = finished.outputs
    assert (output.name, output.media_type) == ("full", "video/mp4")
    seen = video.look(output.path, blank=1.5)
    assert (seen.seconds, len(seen.small), seen.plays) == (2.0, 60, True)
    assert {stage for stage, _ in stages} == {"filming"}
