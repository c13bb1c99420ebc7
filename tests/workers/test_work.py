"""A job in the container, with a model that does as told: what comes back, how far it is, and how it stops."""

import asyncio
import base64
import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from PIL import Image

from penstock_worker import results
from penstock_worker.inputs import Wish
from penstock_worker.results import Made
from penstock_worker.settings import Bucket, read_settings
from penstock_worker.watch import PAUSE_S, Stopped, Watch
from penstock_worker.work import OutOfMemoryError, Worker

PATIENCE_S = 20.0
BUCKET = Bucket("https://s3.example", "key", "secret", "results")
S3_CONFIG = {"endpointUrl": "https://other.example", "accessId": "i", "accessSecret": "s", "bucketName": "theirs"}
JOB = {"id": "job1", "input": {"prompt": "a door", "seed": 3}}


class FakeModel:
    """Gives `made`, or does what `work` says; waits in `gate` where there is one."""

    def __init__(self, made: Made | None = None, work: Callable[[Watch], None] | None = None) -> None:
        self.made = made or Made(b"picture", "png", {"seed": 3})
        self.work = work
        self.wishes: list[Wish] = []
        self.at_once, self.most_at_once = 0, 0
        self.entered = threading.Event()
        self.gate: threading.Event | None = None

    def make(self, wish: Wish, pictures: list[Image.Image], watch: Watch) -> Made:
        self.wishes.append(wish)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.entered.set()
        try:
            if self.gate is not None:
                assert self.gate.wait(PATIENCE_S)
            if self.work is not None:
                self.work(watch)
        finally:
            self.at_once -= 1
        return self.made


class Stage:
    """A worker, and what it said and stored."""

    def __init__(self, model: FakeModel, bucket: Bucket | None = None) -> None:
        self.reports: list[Mapping[str, Any]] = []
        self.stored: list[tuple[Any, ...]] = []
        settings = read_settings({"MODEL_KIND": "qwen-image-2.1", **({} if bucket is None else _variables(bucket))})
        self.worker = Worker(settings, model, self._progress, self._download, self._upload)

    def _progress(self, job: Mapping[str, Any], said: Mapping[str, Any]) -> None:
        self.reports.append({"id": job["id"], **said})

    def _download(self, url: str, max_bytes: int) -> bytes:
        raise AssertionError("nothing is fetched here")

    def _upload(self, bucket: Bucket, key: str, content: bytes, media_type: str) -> str:
        self.stored.append((bucket, key, content, media_type))
        return "https://s3.example/signed"


def _variables(bucket: Bucket) -> dict[str, str]:
    names = ("BUCKET_ENDPOINT_URL", "BUCKET_ACCESS_KEY_ID", "BUCKET_SECRET_ACCESS_KEY", "BUCKET_NAME")
    return dict(zip(names, (bucket.endpoint, bucket.access_key, bucket.secret_key, bucket.name), strict=True))


async def test_a_result_comes_with_what_it_is() -> None:
    output = await Stage(FakeModel()).worker.handle(JOB)
    assert output == {"image": base64.b64encode(b"picture").decode(), "media_type": "image/png", "bytes": 7, "seed": 3}


async def test_a_video_is_called_a_video() -> None:
    output = await Stage(FakeModel(Made(b"film", "mp4", {"fps": 16}))).worker.handle(JOB)
    assert output == {"video": base64.b64encode(b"film").decode(), "media_type": "video/mp4", "bytes": 4, "fps": 16}


async def test_what_can_not_be_asked_never_reaches_the_model() -> None:
    model = FakeModel()
    worker = Stage(model).worker
    assert await worker.handle({"id": "job1", "input": {}}) == {"error": "prompt is missing: say in words what to make"}
    assert await worker.handle({"id": "job1"}) == {"error": "input must be an object"}
    broken = {"prompt": "a door", "images": ["file:///etc/passwd"]}
    assert await worker.handle({"id": "job1", "input": broken}) == {
        "error": "picture 1 is neither an https address nor base64"
    }
    assert model.wishes == []


async def test_a_large_result_goes_to_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "MAX_ANSWER_BYTES", 6)
    with_bucket = Stage(FakeModel(), BUCKET)
    facts = {"media_type": "image/png", "bytes": 7, "seed": 3}
    assert await with_bucket.worker.handle(JOB) == {"image_url": "https://s3.example/signed", **facts}
    assert with_bucket.stored == [(BUCKET, "job1/image.png", b"picture", "image/png")]

    await with_bucket.worker.handle({**JOB, "s3Config": S3_CONFIG})
    assert with_bucket.stored[1][0] == Bucket("https://other.example", "i", "s", "theirs")

    without = await Stage(FakeModel()).worker.handle(JOB)
    assert without["error"].startswith("the result takes 7 bytes, and an answer 6: set BUCKET_ENDPOINT_URL")


async def test_a_result_that_just_fits_goes_without_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "MAX_ANSWER_BYTES", 7)
    stage = Stage(FakeModel(), BUCKET)
    assert "image" in await stage.worker.handle(JOB)
    assert stage.stored == []


async def test_a_full_card_asks_for_a_fresh_container() -> None:
    def full(_: Watch) -> None:
        raise OutOfMemoryError("64x64 pixels, 1 frames")

    output = await Stage(FakeModel(work=full)).worker.handle(JOB)
    assert output == {"error": "out of memory: 64x64 pixels, 1 frames", "refresh_worker": True}


async def test_our_own_faults_are_not_hidden() -> None:
    def broken(_: Watch) -> None:
        raise KeyError("a bug")

    with pytest.raises(KeyError, match="a bug"):
        await Stage(FakeModel(work=broken)).worker.handle(JOB)


async def test_jobs_take_turns_on_the_card() -> None:
    model = FakeModel()
    model.gate = threading.Event()
    worker = Stage(model).worker
    both = asyncio.gather(worker.handle(JOB), worker.handle(JOB))
    await asyncio.to_thread(model.entered.wait, PATIENCE_S)
    model.gate.set()
    await both
    assert (len(model.wishes), model.most_at_once) == (2, 1)


async def test_a_cancel_reaches_the_model_and_waits_for_it() -> None:
    model = FakeModel()
    seen: list[bool] = []
    entered, left = threading.Event(), threading.Event()

    def steps(watch: Watch) -> None:
        entered.set()
        seen.append(watch._stop.wait(PATIENCE_S))
        left.set()
        raise Stopped

    model.work = steps
    job = asyncio.ensure_future(Stage(model).worker.handle(JOB))
    await asyncio.to_thread(entered.wait, PATIENCE_S)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert left.is_set(), "the card is free when the job is over"
    assert seen == [True]


async def test_a_job_that_is_cancelled_while_it_waits_for_the_card_never_begins() -> None:
    model = FakeModel()
    model.gate = threading.Event()
    worker = Stage(model).worker
    first = asyncio.ensure_future(worker.handle(JOB))
    await asyncio.to_thread(model.entered.wait, PATIENCE_S)
    second = asyncio.ensure_future(worker.handle(JOB))
    await asyncio.sleep(0)  # it is on its way
    second.cancel()
    await asyncio.sleep(0)  # it has heard
    model.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await second
    await first
    assert len(model.wishes) == 1


async def test_the_model_says_how_far_it_is() -> None:
    stage = Stage(FakeModel(work=lambda watch: watch.begin("drawing")))
    await stage.worker.handle(JOB)
    assert stage.reports == [{"id": "job1", "stage": "drawing", "progress": 0.0}]


def test_reports_keep_their_distance_and_none_comes_after_the_last_step() -> None:
    now = [0.0]
    said: list[tuple[str, float]] = []
    watch = Watch(lambda stage, share: said.append((stage, share)), clock=lambda: now[0])
    watch.begin("drawing")
    for done in range(1, 5):
        now[0] += PAUSE_S / 2
        watch.step("drawing", done, 4)
    now[0] += PAUSE_S
    watch.step("drawing", 4, 4)
    assert said == [("drawing", 0.0), ("drawing", 0.5)]
    assert watch.steps == 4


def test_nothing_is_reported_of_what_nobody_wants() -> None:
    said: list[str] = []
    watch = Watch(lambda stage, _: said.append(stage))
    watch.stop()
    watch.begin("drawing")
    assert said == []
    with pytest.raises(Stopped):
        watch.check()
