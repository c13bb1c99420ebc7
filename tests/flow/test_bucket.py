"""The whole application with its files in a bucket: from a picture sent there to a file fetched from there."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from PIL import Image, ImageOps

from penstock.kit.clock import Clock, ManualClock
from penstock.media import bucket as opened
from penstock.media import service as media
from penstock.media.queries import PENDING_FILE_S
from penstock.product.settings import Settings
from penstock.providers.seam import Attempt, Finished, Output, Request
from tests.support import s3
from tests.support.flows import PATIENCE_S, FakeProvider, make_product
from tests.support.proxy import Proxy, proxy
from tests.support.s3 import ENVIRONMENT, TestBucket
from tests.support.servers import API, BASE, SECRET, Customer, Running, running
from tests.unit.media.pictures import coffee, encoded

PHOTO = encoded(coffee())
PRICE = 2
PRODUCT = make_product(
    operations={
        "negative": {
            "title": "Negative",
            "description": "Turns light into dark",
            "task": "echo",
            "inputs": {"picture": {"kind": "picture", "title": "Picture"}},
            "price": PRICE,
            "route": ["main"],
        }
    },
    plans={
        "free": {
            "title": "Free",
            "description": "To try",
            "credits_month": 10,
            "attempts": 1,
            "limits": {"running": 5},
        }
    },
)

Start = Callable[..., AbstractAsyncContextManager[Running]]


def negative(request: Request, attempt: Attempt) -> Finished:
    made = request.folder / "full.png"
    with Image.open(request.pictures["picture"]) as picture:
        ImageOps.invert(picture.convert("RGB")).save(made)
    return Finished(outputs=(Output("full", made, "image/png"),))


@pytest_asyncio.fixture
async def way(s3_server: s3.Server) -> AsyncIterator[Proxy]:
    async with proxy(s3_server.port) as made:
        yield made


@pytest.fixture
def bucket(s3_server: s3.Server, way: Proxy) -> TestBucket:
    return s3.new_bucket(s3_server, way.url)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened, "RETRIES", 0)
    monkeypatch.setattr(opened, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(media, "STORE_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(media, "STORE_MOST_PAUSE_S", 0.01)


@pytest.fixture
def start(tmp_path: Path, bucket: TestBucket) -> Start:
    """Start the application on the bucket; `act` is what its provider does."""

    @asynccontextmanager
    async def started(act: Any = negative, clock: Clock | None = None) -> AsyncIterator[Running]:
        settings = Settings(data_dir=tmp_path, secret=SECRET, storage=bucket.address)
        async with running(
            tmp_path,
            FakeProvider("main", act),
            product=PRODUCT,
            files=True,
            clock=clock,
            settings=settings,
            environment=ENVIRONMENT,
        ) as run:
            yield run

    return started


async def sent(customer: Customer, content: bytes = PHOTO) -> str:
    """Send a picture to the bucket and hand it in; returns the upload's id."""
    told = (await customer.post("/uploads/presign", {"bytes": len(content), "media_type": "image/jpeg"})).json()
    async with httpx2.AsyncClient() as browser:
        answer = await browser.post(told["url"], data=told["fields"], files={"file": ("a.jpg", content, "image/jpeg")})
    assert answer.status_code == 204, answer.text
    handed_in = await customer.post(f"/uploads/{told['id']}/complete")
    assert handed_in.status_code == 201, handed_in.text
    upload_id: str = handed_in.json()["id"]
    return upload_id


async def succeeded(customer: Customer, upload_id: str) -> dict[str, Any]:
    job = await customer.ended((await customer.submit("negative", picture=upload_id))["id"])
    assert job["status"] == "succeeded", job["error"]
    return job


async def rows(run: Running) -> dict[str, str]:
    found = await run.services.database.read(lambda tx: tx.all("SELECT key, state FROM files"))
    return {row["key"]: row["state"] for row in found}


async def fetched(address: str, **headers: str) -> httpx2.Response:
    """Fetch as a browser does that was sent elsewhere: without credentials."""
    async with httpx2.AsyncClient() as browser:
        return await browser.get(address, headers=headers)


async def test_from_a_picture_sent_there_to_a_file_fetched_from_there(start: Start, bucket: TestBucket) -> None:
    async with start() as run:
        ann, bob = await run.customer(), await run.customer()
        assert (await run.client.get(f"{API}/product")).json()["uploads"]["direct"] is True
        job = await succeeded(ann, await sent(ann))
        path = f"/results/{job['result']['id']}/file"
        told = await ann.get(path)
        thumb = await ann.get(path, params={"variant": "thumb"})
        saved = await ann.get(path, params={"download": "1"})
        upload = await ann.get(f"/uploads/{job['inputs']['picture']}/file")
        stolen = await bob.get(path)
        whole, small = await fetched(told.headers["location"]), await fetched(thumb.headers["location"])
        part = await fetched(told.headers["location"], range="bytes=10-19")
        to_save, clean = await fetched(saved.headers["location"]), await fetched(upload.headers["location"])
        result = (await ann.get(f"/results/{job['result']['id']}")).json()
        deleted = await ann.delete(f"/results/{job['result']['id']}")
        gone = await fetched(told.headers["location"])
        credits_left = await ann.credits()
        known = await rows(run)

    assert (told.status_code, told.headers["cache-control"]) == (302, "private, max-age=300")
    assert (stolen.status_code, stolen.headers.get("location")) == (404, None)
    assert (whole.status_code, len(whole.content)) == (200, result["bytes"])
    assert whole.headers["content-type"] == result["media_type"] == "image/jpeg"
    assert whole.headers["content-disposition"] == 'inline; filename="negative.jpg"'
    assert whole.headers["cache-control"] == "private, max-age=300"
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert (small.headers["content-type"], clean.headers["content-type"]) == ("image/webp", "image/jpeg")
    assert to_save.headers["content-disposition"] == 'attachment; filename="negative.jpg"'
    assert (deleted.status_code, gone.status_code) == (204, 404), "when it is deleted, no address gives it any more"
    assert credits_left == (10 - PRICE, 0)
    assert bucket.stored() == {key for key, state in known.items() if state == "kept"}


async def test_an_address_stays_the_same_for_a_while(start: Start) -> None:
    now = time.time() // opened.SIGNED_STEP_S * opened.SIGNED_STEP_S
    clock = ManualClock(now)
    async with start(clock=clock) as run:
        ann = await run.customer()
        upload_id = await sent(ann)
        addresses = []
        for _ in range(3):
            addresses.append((await ann.get(f"/uploads/{upload_id}/file")).headers["location"])
            clock.advance(opened.SIGNED_STEP_S - 1)
    assert addresses[0] == addresses[1] != addresses[2], "so that browsers keep what they have"


async def test_only_the_bucket_is_allowed_beside_ourselves(start: Start, way: Proxy, bucket: TestBucket) -> None:
    async with start() as run:
        policy = (await run.client.get("/")).headers["content-security-policy"].split("; ")
    place = f"{way.url}/{bucket.name}"
    assert f"img-src 'self' blob: data: {place} {place}/" in policy
    assert f"connect-src 'self' {place} {place}/" in policy
    assert f"media-src 'self' {place} {place}/" in policy
    assert f"form-action 'self' {place} {place}/" in policy
    assert sum(way.url in directive for directive in policy) == 4


async def test_what_cannot_be_deleted_now_is_told_and_goes_later(start: Start, way: Proxy, bucket: TestBucket) -> None:
    async with start() as run:
        ann = await run.customer()
        job = await succeeded(ann, await sent(ann))
        way.away = True
        way.drop()
        away = await ann.delete(f"/results/{job['result']['id']}")
        hidden = await ann.get(f"/results/{job['result']['id']}")
        way.away = False
        again = await ann.delete(f"/results/{job['result']['id']}")
    assert (away.status_code, away.json()["code"]) == (503, "unavailable")
    assert hidden.status_code == 404, "nobody gets it any more, whatever the storage does"
    assert again.status_code == 204
    assert not any(key.startswith("results/") for key in bucket.stored())


# ---- the storage goes away while jobs run ----


def away_once_done(way: Proxy, request: Request, attempt: Attempt) -> Finished:
    """Do the work, and find that the storage has gone in the meantime."""
    done = negative(request, attempt)
    way.away = True
    way.drop()
    return done


async def test_jobs_that_finish_while_it_is_away_wait_for_it_and_end(
    start: Start, way: Proxy, bucket: TestBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media, "STORE_TRIES", 1_000_000)  # the pauses between them are short here
    async with start(partial(away_once_done, way)) as run:
        ann = await run.customer()
        upload_id = await sent(ann)
        jobs = [(await ann.submit("negative", picture=upload_id))["id"] for _ in range(3)]
        async with asyncio.timeout(PATIENCE_S):
            await way.connections(way.seen + 12)
        assert {(await ann.job(job))["status"] for job in jobs} <= {"running", "queued"}
        run.provider.act = negative
        way.away = False
        ended = [await ann.ended(job) for job in jobs]
        credits_left = await ann.credits()
        known = await rows(run)
    assert [job["status"] for job in ended] == ["succeeded"] * 3
    assert [job["attempts"] for job in ended] == [1] * 3, "the work was not done anew"
    assert sorted(run.provider.sent) == sorted(jobs)
    assert credits_left == (10 - 3 * PRICE, 0)
    kept = {key for key, state in known.items() if state == "kept"}
    assert bucket.stored() == kept
    assert bucket.unfinished() == []


@pytest.mark.parametrize("fault", ["cut", "not now"])
async def test_a_fault_while_storing_is_tried_again(start: Start, way: Proxy, bucket: TestBucket, fault: str) -> None:
    def fail_once(request: Request, attempt: Attempt) -> Finished:
        done = negative(request, attempt)
        way.drop()
        way.cut_up, way.not_now = (20_000, 0) if fault == "cut" else (None, 5)
        return done

    async with start(fail_once) as run:
        ann = await run.customer()
        upload_id = await sent(ann)
        broken = way.broken
        job_id = (await ann.submit("negative", picture=upload_id))["id"]
        async with asyncio.timeout(PATIENCE_S):
            while way.not_now or (fault == "cut" and way.broken == broken):
                await way.connections(way.seen + 1)
        way.cut_up = None
        job = await ann.ended(job_id)
        credits_left = await ann.credits()
    assert (job["status"], job["attempts"]) == ("succeeded", 1)
    assert credits_left == (10 - PRICE, 0)


async def test_one_that_stays_away_fails_the_job_and_costs_nothing(
    start: Start, way: Proxy, bucket: TestBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media, "STORE_TRIES", 3)
    clock = ManualClock(time.time())
    async with start(partial(away_once_done, way), clock) as run:
        ann = await run.customer()
        upload_id = await sent(ann)
        job = await ann.ended((await ann.submit("negative", picture=upload_id))["id"])
        credits_left = await ann.credits()
        way.away = False
        assert any(state == "pending" for state in (await rows(run)).values())
        clock.advance(PENDING_FILE_S)
        await run.services.media.sweep()
        known = await rows(run)
    assert job["status"] == "failed"
    assert job["error"]["code"] == "transient"
    assert credits_left == (10, 0), "held, and given back"
    assert set(known.values()) == {"kept"}
    assert bucket.stored() == set(known), "nothing lies there that nobody knows"


async def test_a_picture_that_can_not_be_fetched_at_first_is_waited_for(start: Start, way: Proxy) -> None:
    async with start() as run:
        ann = await run.customer()
        upload_id = await sent(ann)
        way.away = True
        way.drop()
        job_id = (await ann.submit("negative", picture=upload_id))["id"]
        async with asyncio.timeout(PATIENCE_S):
            await way.connections(way.seen + 3)
        way.away = False
        job = await ann.ended(job_id)
    assert (job["status"], job["attempts"]) == ("succeeded", 1)


async def test_uploads_are_told_while_it_is_away(start: Start, way: Proxy) -> None:
    async with start() as run:
        ann = await run.customer()
        way.away = True
        way.drop()
        straight = await ann.client.post(
            f"{API}/uploads", headers=ann.headers, files={"file": ("a.jpg", PHOTO, "image/jpeg")}
        )
        told = (await ann.post("/uploads/presign", {"bytes": 10, "media_type": "image/jpeg"})).json()
        handed_in = await ann.post(f"/uploads/{told['id']}/complete")
    for answer in (straight, handed_in):
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert "storage" not in answer.text.lower(), "nothing technical reaches a customer"


async def test_without_a_bucket_nothing_is_offered(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run:
        ann = await run.customer()
        direct = (await run.client.get(f"{API}/product")).json()["uploads"]["direct"]
        told = (await ann.post("/uploads/presign", {"bytes": len(PHOTO), "media_type": "image/jpeg"})).json()
        taken = await run.client.post(told["url"], files={"file": ("a.jpg", PHOTO, "image/jpeg")})
        handed_in = await ann.post(f"/uploads/{told['id']}/complete")
    assert direct is False
    assert told["url"].startswith(f"{BASE}{API}/uploads/")
    assert taken.status_code == 204, taken.text
    assert handed_in.status_code == 201
