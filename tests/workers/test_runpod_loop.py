"""The container for RunPod from end to end: our adapter, a control plane, and RunPod's own unchanged worker loop.

    adapter (penstock.providers.runpod) -> control plane <- runpod.serverless.start <- handler.py with a tiny model

The container is a process of its own and takes some time to start, so the tests share one, and the next after a kill.
"""

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image

from penstock.media.finish_video import VideoDress, finish_video
from penstock.providers import http
from penstock.providers.seam import Attempt, Finished, Provider, ProviderError, Request, Running, Submitted
from tests.support import s3
from tests.support.runpod_container import Container, need_environment, write_tiny_model
from tests.support.vendors import runpod
from tests.support.vendors.case import Case
from tests.support.vendors.drawn import landscape
from tests.support.vendors.runpod_control import ControlPlane, Order

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

PATIENCE_S = 180.0
MAX_ANSWER_BYTES = 5_000
KIND = "qwen-image-edit"
SMALL, LARGE = "32x32", "64x64"  # pixels; noise of the second is more than goes into an answer
SEED = 11


@dataclass
class Stage:
    """Everything that stands between an adapter and a picture."""

    plane: ControlPlane
    provider: Provider
    folder: Path
    settings: dict[str, str]
    hold: Path
    bucket: s3.TestBucket
    container: Container | None = None
    started: list[Container] = field(default_factory=list)

    async def ready(self) -> Container:
        """Return a container that takes jobs."""
        if self.container is None or not self.container.running:
            name = f"worker{len(self.started)}"
            self.container = Container(self.plane, name, self.folder, self.settings)
            self.started.append(self.container)
            await self._takes_jobs(self.container)
        return self.container

    async def _takes_jobs(self, container: Container) -> None:
        ready = asyncio.ensure_future(self.until(lambda: container.name in self.plane.takers))
        gone = asyncio.ensure_future(asyncio.to_thread(container.ended))
        await asyncio.wait({ready, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            pytest.fail(container.output)
        await ready

    async def until(self, true: Any) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self.plane.until(true)
        except TimeoutError:
            pytest.fail("\n".join(each.output for each in self.started))

    async def submit(self, folder: Path, prompt: str = "a blue door", **options: Any) -> tuple[Order, Request]:
        """Send a job, and return it as the vendor has it."""
        picture = folder / "photo.png"
        picture.write_bytes(landscape())
        wanted = {"size": SMALL, "steps": 4, "seed": SEED, **options}
        request = Request("job_1", "edit", {"photo": picture}, {}, wanted, prompt, folder)
        answer = await self.provider.submit(request, Attempt(1, "key", PATIENCE_S))
        assert isinstance(answer, Submitted)
        return self.plane.orders_by_id[answer.reference], request

    async def ended(self, order: Order, request: Request) -> Finished:
        await self.until(lambda: order.over)
        state = await self.provider.poll(order.id, request)
        assert isinstance(state, Finished)
        return state

    async def failure(self, order: Order, request: Request) -> ProviderError:
        await self.until(lambda: order.over)
        with pytest.raises(ProviderError) as caught:
            await self.provider.poll(order.id, request)
        return caught.value


@pytest.fixture(scope="module")
def bucket(s3_server: s3.Server) -> s3.TestBucket:
    need_environment()
    return s3.new_bucket(s3_server)


@asynccontextmanager
async def staged(kind: str, bucket: s3.TestBucket, folder: Path, case: Case, **changes: Any) -> AsyncIterator[Stage]:
    """Yield a stage for a tiny model of a kind; `changes` are of the adapter's settings."""
    model = folder / "model"
    await asyncio.to_thread(write_tiny_model, kind, model)
    hold = folder / "hold"
    hold.touch()
    settings = {
        "MODEL_KIND": kind,
        "MODEL": str(model),
        "HOLD": str(hold),
        "MAX_ANSWER_BYTES": str(MAX_ANSWER_BYTES),
        "BUCKET_ENDPOINT_URL": bucket.server.url,
        "BUCKET_ACCESS_KEY_ID": s3.ACCESS_KEY,
        "BUCKET_SECRET_ACCESS_KEY": s3.SECRET_KEY,
        "BUCKET_NAME": bucket.name,
    }
    async with ControlPlane() as plane:
        provider = case.provider(plane.url, **changes)
        made = Stage(plane, provider, folder, settings, hold, bucket)
        try:
            yield made
        finally:
            for container in made.started:
                container.kill()
            await provider.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def stage(bucket: s3.TestBucket, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder = tmp_path_factory.mktemp("containers")
    async with staged(KIND, bucket, folder, runpod.CASE, names={"photo": "images[]"}) as made:
        yield made


@pytest.fixture(autouse=True)
def bucket_may_be_near(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the adapter fetch from the tests' bucket, which is on loopback and not on the internet."""
    monkeypatch.setattr(http, "_is_public", lambda url: url.startswith("http://127.0.0.1:"))
    return iter(())


async def test_a_picture_is_made_and_the_seed_makes_it_again(stage: Stage, tmp_path: Path) -> None:
    container = await stage.ready()
    before, contents = len(container.steps), []
    for seed in (SEED, SEED, SEED + 1):
        order, request = await stage.submit(tmp_path, seed=seed)
        output = (await stage.ended(order, request)).outputs[0]
        contents.append(output.path.read_bytes())
        said = order.said["output"]
        assert (said["seed"], said["steps"], said["width"], said["height"]) == (seed, 4, 32, 32)
    assert Image.open(io.BytesIO(contents[0])).size == (32, 32)
    assert contents[0] == contents[1] != contents[2]
    assert container.steps[before:] == [f"a blue door {done}/4" for done in (1, 2, 3, 4)] * 3


async def test_a_container_says_that_it_lives(stage: Stage) -> None:
    container = await stage.ready()
    await stage.until(lambda: any(ping.path.endswith(f"/ping/{container.name}") for ping in stage.plane.pings))


async def test_a_cancel_stops_the_steps_and_the_next_job_is_done(stage: Stage, tmp_path: Path) -> None:
    container = await stage.ready()
    order, request = await stage.submit(tmp_path, "hold on", steps=50)
    await stage.until(lambda: order.reports)
    state = await stage.provider.poll(order.id, request)
    assert isinstance(state, Running)
    assert state.stage == "drawing"
    assert state.progress is not None
    assert state.progress <= 2 / 50, "it waits before the third step"

    await stage.provider.cancel(order.id)
    after, asked = await stage.submit(tmp_path)
    await stage.ended(after, asked)

    assert {step for step in container.steps if "hold on" in step} <= {"hold on 1/50", "hold on 2/50"}
    assert order.status == "CANCELLED"
    assert order.results == [], "a job that was stopped has no result"
    assert (await stage.failure(order, request)).detail == "the vendor stopped it: CANCELLED"


async def test_the_callers_mistakes_come_back_in_words(stage: Stage, tmp_path: Path) -> None:
    await stage.ready()
    order, request = await stage.submit(tmp_path, steps=1_000)
    error = await stage.failure(order, request)
    assert (error.kind, error.detail) == ("broken", "steps must be a number from 1 to 100, not 1000")


async def test_our_mistakes_come_back_with_a_traceback(stage: Stage, tmp_path: Path) -> None:
    await stage.ready()
    order, request = await stage.submit(tmp_path, "boom")
    error = await stage.failure(order, request)
    assert (error.kind, error.detail) == ("broken", "<class 'KeyError'>: 'a bug'")
    assert "error_traceback" in order.said["error"]


async def test_a_large_result_goes_by_the_bucket(stage: Stage, tmp_path: Path) -> None:
    await stage.ready()
    order, request = await stage.submit(tmp_path, size=LARGE)
    content = (await stage.ended(order, request)).outputs[0].path.read_bytes()
    assert len(content) > MAX_ANSWER_BYTES
    assert Image.open(io.BytesIO(content)).size == (64, 64)
    said = order.said["output"]
    assert "image" not in said
    assert said["image_url"].startswith(f"{stage.bucket.server.url}/{stage.bucket.name}/{order.id}/image.png?")
    assert said["bytes"] == len(content)


async def test_a_card_that_is_full_is_replaced_and_the_job_may_be_tried_again(stage: Stage, tmp_path: Path) -> None:
    await stage.ready()
    order, request = await stage.submit(tmp_path, "huge")
    error = await stage.failure(order, request)
    assert (error.kind, error.detail) == ("transient", "out of memory: 32x32 pixels, 1 frames")
    assert order.results[0]["stopPod"] is True


async def test_the_job_of_a_container_that_is_killed_is_done_by_the_next(stage: Stage, tmp_path: Path) -> None:
    container = await stage.ready()
    order, request = await stage.submit(tmp_path, "hold the line")
    await stage.until(lambda: order.reports)
    container.kill()
    assert isinstance(await stage.provider.poll(order.id, request), Running), "nobody knows yet"

    stage.hold.unlink()
    await stage.plane.lose(container.name, again=True)
    await stage.ready()
    content = (await stage.ended(order, request)).outputs[0].path.read_bytes()
    same, again = await stage.submit(tmp_path, "hold the line")
    assert content == (await stage.ended(same, again)).outputs[0].path.read_bytes()
    stage.hold.touch()


async def test_a_container_that_is_killed_may_cost_its_job(stage: Stage, tmp_path: Path) -> None:
    container = await stage.ready()
    order, request = await stage.submit(tmp_path, "hold out")
    await stage.until(lambda: order.reports)
    container.kill()
    await stage.plane.lose(container.name, again=False)
    error = await stage.failure(order, request)
    assert (error.kind, error.final) == ("transient", True)


async def test_a_film_is_made_and_stands_up_to_our_own_checks(bucket: s3.TestBucket, tmp_path: Path) -> None:
    wanted = {"seconds": 1, "size": "128x128", "steps": 2, "seed": SEED}
    request = Request("job_1", "text_to_video", {}, {"what": "a kite"}, wanted, "a kite", tmp_path)
    async with staged("wan-text-to-video", bucket, tmp_path, runpod.VIDEO) as stage:
        container = await stage.ready()
        answer = await stage.provider.submit(request, Attempt(1, "key", PATIENCE_S))
        assert isinstance(answer, Submitted)
        order = stage.plane.orders_by_id[answer.reference]
        (output,) = (await stage.ended(order, request)).outputs
    assert container.steps == ["a kite 1/2", "a kite 2/2"]
    said = order.said["output"]
    assert (said["num_frames"], said["fps"], said["media_type"]) == (17, 16, "video/mp4")
    assert said["video_url"].startswith(f"{bucket.server.url}/{bucket.name}/{order.id}/video.mp4?")

    kept = tmp_path / "kept"
    kept.mkdir()
    full, poster, _ = finish_video(output.path, kept, VideoDress(asked_s=1.0))
    assert (full.media_type, full.width, full.height) == ("video/mp4", 128, 128)
    assert full.duration_s == pytest.approx(17 / 16, abs=0.01)
    assert (poster.width, poster.height) == (128, 128)
