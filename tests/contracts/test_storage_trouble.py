"""What a bucket promises when the storage, or the way to it, goes wrong. The server is real, the faults are ours."""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from tests.support import s3
from tests.support.proxy import Proxy, proxy
from tests.support.s3 import ACCESS_KEY, KEYS, SECRET_KEY, TestBucket

from penstock.media import bucket as opened
from penstock.media import storage as storing
from penstock.media.bucket import UnusableBucketError, access_keys, told
from penstock.media.signing import AccessKeys
from penstock.media.storage import Storage, StorageError
from penstock.product.storage_url import read_storage_url

CONTENT = os.urandom(3_000_000)
KEY = "results/ab/res_1/full.jpg"


@pytest_asyncio.fixture
async def way(s3_server: s3.Server) -> AsyncIterator[Proxy]:
    async with proxy(s3_server.port) as made:
        yield made


@pytest.fixture
def bucket(s3_server: s3.Server, way: Proxy) -> TestBucket:
    """A bucket behind the proxy."""
    return s3.new_bucket(s3_server, way.url)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(opened, "MOST_PAUSE_S", 0.001)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(CONTENT)
    return path


async def content_of(storage: Storage, key: str) -> bytes:
    return b"".join([chunk async for chunk in (await storage.get(key)).chunks])


async def test_a_put_that_is_cut_leaves_nothing(bucket: TestBucket, way: Proxy, source: Path) -> None:
    source.write_bytes(CONTENT * 4)  # large enough for parts, if anybody sent it in parts
    way.cut_up = 7_000_000
    with pytest.raises(StorageError, match=KEY):
        await bucket.storage().put(KEY, source)
    assert way.broken == 1 + opened.RETRIES, "it was tried again, not often"
    assert bucket.stored() == set()
    assert bucket.unfinished() == []
    way.cut_up = None
    await bucket.storage().put(KEY, source)
    assert bucket.stored() == {KEY}


async def test_a_put_that_is_given_up_leaves_nothing(bucket: TestBucket, way: Proxy, source: Path) -> None:
    source.write_bytes(CONTENT * 4)
    way.flowing.clear()
    putting = asyncio.create_task(bucket.storage().put(KEY, source))
    await way.connections(1)
    way.drop()
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    assert bucket.stored() <= {KEY}, "whole, or not at all"
    assert bucket.unfinished() == []


async def test_a_file_that_is_cut_on_its_way_is_never_taken_for_whole(
    bucket: TestBucket, way: Proxy, source: Path, tmp_path: Path
) -> None:
    storage = bucket.storage()
    await storage.put(KEY, source)
    way.drop()  # the connection that is kept
    way.cut_down = 1_000_000
    with pytest.raises(StorageError, match=KEY):
        await bucket.storage().fetch(KEY, tmp_path / "target")
    way.cut_down = None
    await bucket.storage().fetch(KEY, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == CONTENT


async def test_not_now_is_tried_again(bucket: TestBucket, way: Proxy, source: Path) -> None:
    way.not_now = opened.RETRIES
    await bucket.storage().put(KEY, source)
    assert way.not_now == 0
    assert await content_of(bucket.storage(), KEY) == CONTENT
    way.not_now = 100
    with pytest.raises(StorageError, match="SlowDown"):
        await bucket.storage().put("other", source)


async def test_one_that_is_away_is_told_as_such(bucket: TestBucket, way: Proxy, source: Path) -> None:
    storage = bucket.storage()
    way.away = True
    for failing in (
        storage.put(KEY, source),
        storage.get(KEY),
        storage.size(KEY),
        storage.delete([KEY]),
        storage.fetch(KEY, source.with_name("target")),
        storage.check(),
    ):
        with pytest.raises(StorageError) as caught:
            await failing
        assert SECRET_KEY not in str(caught.value)
        assert ACCESS_KEY not in str(caught.value)
    with pytest.raises(StorageError):
        assert [found async for found in storage.list()]
    way.away = False
    await storage.put(KEY, source)
    await storage.check()


async def test_deleting_goes_on_with_the_others(
    bucket: TestBucket, way: Proxy, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opened, "RETRIES", 0)
    storage = bucket.storage()
    keys = [f"results/{number}" for number in range(5)]
    for key in keys:
        await bucket.storage().put(key, source)
    way.not_now = 1
    with pytest.raises(StorageError, match="SlowDown"):
        await storage.delete(keys)
    assert len(bucket.stored()) == 1
    await storage.delete(keys)
    assert bucket.stored() == set()


async def test_a_storage_that_says_nothing_is_not_waited_for(
    bucket: TestBucket, way: Proxy, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bucket.storage().put(KEY, source)
    monkeypatch.setattr(opened, "READ_S", 0.05)
    monkeypatch.setattr(opened, "PROBE_S", 0.1)
    monkeypatch.setattr(storing, "FETCH_S", 0.1)
    way.drop()
    way.silent = True
    with pytest.raises(StorageError, match=KEY):
        await bucket.storage().put(KEY, source)
    with pytest.raises(StorageError, match=KEY):
        await bucket.storage().fetch(KEY, tmp_path / "target")
    with pytest.raises(UnusableBucketError, match=r"can't be reached: .*See whether the storage runs"):
        await bucket.bucket().look()


async def test_one_that_is_slow_is_waited_for(bucket: TestBucket, way: Proxy, source: Path, tmp_path: Path) -> None:
    way.flowing.clear()
    putting = asyncio.create_task(bucket.storage().put(KEY, source))
    await way.connections(1)
    assert not putting.done()
    way.flowing.set()
    await putting
    way.flowing.clear()
    fetching = asyncio.create_task(bucket.storage().fetch(KEY, tmp_path / "target"))
    await way.connections(2)
    way.flowing.set()
    await fetching
    assert (tmp_path / "target").read_bytes() == CONTENT


async def test_a_file_that_never_ends_is_given_up(
    bucket: TestBucket, way: Proxy, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bucket.storage().put(KEY, source)
    monkeypatch.setattr(storing, "FETCH_S", 0.05)
    way.drop()
    way.flowing.clear()
    with pytest.raises(StorageError, match="not here after"):
        await bucket.storage().fetch(KEY, tmp_path / "target")


async def test_what_is_too_large_to_be_stored_at_once(
    bucket: TestBucket, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "MAX_PUT_BYTES", len(CONTENT) - 1)
    with pytest.raises(StorageError, match="3,000,000 bytes are more"):
        await bucket.storage().put(KEY, source)


async def test_browsers_may_reach_it_elsewhere(bucket: TestBucket, way: Proxy, s3_server: s3.Server) -> None:
    """What is signed holds for the address that browsers use; the server itself uses its own."""
    address = replace(bucket.address, endpoint=s3_server.url, public_endpoint=way.url)
    shop = replace(bucket.bucket(), address=address)
    await Storage.in_bucket(shop).check()
    assert way.seen == 0
    form = shop.form("incoming/ab/upl_1", 4, 60)
    async with httpx2.AsyncClient() as browser:
        sent = await browser.post(form.url, data=dict(form.fields), files={"file": ("a", b"four")})
        fetched = await browser.get(shop.download("incoming/ab/upl_1", "text/plain", "inline"))
    assert (sent.status_code, fetched.content) == (204, b"four")
    assert way.seen > 0
    assert shop.browser_sources == f"{way.url}/{bucket.name} {way.url}/{bucket.name}/"


# ---- at start ----


async def trouble(bucket: TestBucket, keys: AccessKeys = KEYS) -> str:
    with pytest.raises(StorageError) as caught:
        await Storage.in_bucket(bucket.bucket(keys)).check()
    said = str(caught.value)
    assert keys.secret_key not in said
    assert keys.access_key not in said
    assert bucket.name in said
    return said


async def test_a_bucket_that_works(bucket: TestBucket) -> None:
    await bucket.storage().check()
    assert bucket.stored() == set(), "what was tried is gone again"


async def test_many_processes_that_start_at_one_time(bucket: TestBucket) -> None:
    await asyncio.gather(*(bucket.storage().check() for _ in range(20)))
    assert bucket.stored() == set()


async def test_a_bucket_that_is_not_there(bucket: TestBucket, source: Path) -> None:
    bucket.name = "no-such-bucket"
    assert "There is no such bucket. Make it first" in await trouble(bucket)
    with pytest.raises(StorageError, match="NoSuchBucket"):
        await bucket.storage().put(KEY, source)


@pytest.mark.parametrize("changed", [{"access_key": "NOBODY"}, {"secret_key": "another secret"}])
async def test_keys_that_are_refused(bucket: TestBucket, changed: dict[str, str]) -> None:
    assert "refused the keys in AWS_ACCESS_KEY_ID" in await trouble(bucket, replace(KEYS, **changed))


async def test_an_endpoint_that_can_not_be_reached(bucket: TestBucket, way: Proxy) -> None:
    way.away = True
    assert "can't be reached" in await trouble(bucket)


async def test_keys_that_may_only_read(bucket: TestBucket, s3_server: s3.Server) -> None:
    keys = AccessKeys("READERKEY", "a secret of the reader")
    places = [f"arn:aws:s3:::{bucket.name}", f"arn:aws:s3:::{bucket.name}/*"]
    reads = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": places}
    s3_server.add_user("reader", keys, bucket.name, [reads])
    said = await trouble(bucket, keys)
    assert "can't be written to" in said
    assert "AccessDenied" in said
    assert "docs/storage.md" in said


def documented(bucket: TestBucket) -> Iterator[Any]:
    """The policy, the CORS rule and the lifecycle rule of the documentation, for this bucket and prefix."""
    text = (Path(__file__).parents[2] / "docs" / "storage.md").read_text(encoding="utf-8")
    for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL):
        yield json.loads(block.replace("my-bucket", bucket.name).replace("shop/", f"{bucket.prefix}/"))


async def test_what_the_documentation_asks_for_is_enough(
    bucket: TestBucket, s3_server: s3.Server, source: Path
) -> None:
    policy, cors, lifecycle = documented(bucket)
    bucket.client.put_bucket_cors(Bucket=bucket.name, CORSConfiguration=cors)
    bucket.client.put_bucket_lifecycle_configuration(Bucket=bucket.name, LifecycleConfiguration=lifecycle)
    keys = AccessKeys("SHOPKEY", "a secret of the shop")
    s3_server.add_user("shop", keys, bucket.name, policy["Statement"])
    shop = bucket.bucket(keys)
    storage = Storage.in_bucket(shop)
    await storage.check()
    await storage.put(KEY, source)
    assert await content_of(storage, KEY) == CONTENT
    assert [found.key async for found in storage.list()] == [KEY]
    assert await storage.size("results/nothing") is None
    form = shop.form("incoming/ab/upl_1", 4, 60)
    async with httpx2.AsyncClient() as browser:
        sent = await browser.post(form.url, data=dict(form.fields), files={"file": ("a", b"four")})
        fetched = await browser.get(shop.download(KEY, "image/jpeg", "inline"))
        asked = await browser.options(
            form.url,
            headers={"origin": "https://photos.example.org", "access-control-request-method": "POST"},
        )
    assert (sent.status_code, fetched.status_code) == (204, 200)
    assert asked.headers["access-control-allow-origin"] == "https://photos.example.org"
    await storage.delete([KEY, "incoming/ab/upl_1"])
    assert bucket.stored() == set()


@pytest.mark.parametrize("missing", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_keys_that_are_missing(missing: str) -> None:
    with pytest.raises(UnusableBucketError, match=f"set {missing}"):
        access_keys({name: value for name, value in s3.ENVIRONMENT.items() if name != missing})
    assert access_keys(s3.ENVIRONMENT | {"AWS_SESSION_TOKEN": " t "}) == replace(KEYS, session_token="t")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("<Error><Code>RequestTimeTooSkewed</Code></Error>", "clocks"),
        ("<Error><Code>PermanentRedirect</Code></Error>", "another region"),
        ("<Error><Code>InternalError</Code></Error>", "The storage answered 500 InternalError."),
        ("<html>proxy</html>", "The storage answered 500."),
    ],
)
def test_advice(answer: str, said: str) -> None:
    assert said in opened.advice(answer, 500)


def test_what_is_told_holds_no_answer() -> None:
    answer = (
        f"PUT of x: 403: <Error><Code>SignatureDoesNotMatch</Code><Key>{ACCESS_KEY}</Key>\nDebug source: {SECRET_KEY}"
    )
    assert told(ValueError(answer)) == "PUT of x: 403: SignatureDoesNotMatch"


async def test_stray_variables_do_not_count(bucket: TestBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """obstore reads the environment by itself."""
    monkeypatch.setenv("AWS_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "STRAY")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "stray")
    monkeypatch.setenv("AWS_REGION", "stray-1")
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    await bucket.storage().check()


def test_where_a_bucket_is() -> None:
    amazon = read_storage_url("s3://photos/a/b?region=eu-west-1")
    assert amazon.url == amazon.server == amazon.public_url == "https://photos.s3.eu-west-1.amazonaws.com"
    dotted = read_storage_url("s3://photos.example.org")
    assert dotted.url == "https://s3.us-east-1.amazonaws.com/photos.example.org"
    assert dotted.server == "https://s3.us-east-1.amazonaws.com"
    own = read_storage_url("s3://photos?endpoint=http://minio:9000&public_endpoint=https://files.example.org/s3")
    assert (own.url, own.server) == ("http://minio:9000/photos", "http://minio:9000")
    assert own.public_url == "https://files.example.org/s3/photos"
