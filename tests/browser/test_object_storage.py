"""Pictures that go straight to a bucket and come straight from it: what pages and browsers allow, and what not."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Playwright, expect

from tests.browser.conftest import Visit
from tests.browser.pictures import Pictures
from tests.browser.test_customer_journey import the_file_is_a_restored_picture, the_slider_uncovers_the_original
from tests.browser.visitor import DEVICES, Device, Visitor
from tests.support import s3
from tests.support.s3 import ENVIRONMENT, TestBucket
from tests.support.served import Served


@pytest.fixture(scope="module")
def bucket(s3_server: s3.Server) -> TestBucket:
    """A bucket of Rekindle's own."""
    return s3.new_bucket(s3_server)


@pytest.fixture(scope="module")
def served(playwright: Playwright, bucket: TestBucket, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Rekindle with its files in the bucket."""
    variables = {**ENVIRONMENT, "PENSTOCK_STORAGE_URL": bucket.url}
    server = Served(tmp_path_factory.mktemp("bucket"), environment=variables)
    server.start()
    yield server
    server.stop()


def let_browsers_in(bucket: TestBucket, served: Served) -> None:
    """Set the rule that docs/storage.md asks for."""
    rule = {"AllowedOrigins": [served.url], "AllowedMethods": ["POST"], "AllowedHeaders": ["*"], "MaxAgeSeconds": 3600}
    bucket.client.put_bucket_cors(Bucket=bucket.name, CORSConfiguration={"CORSRules": [rule]})


def goes_to(visitor: Visitor, bucket: TestBucket) -> list[tuple[str, str]]:
    """Note what the visitor's pages ask of the bucket, as method and path; nothing else may leave the site."""
    seen: list[tuple[str, str]] = []
    place = f"{bucket.endpoint}/{bucket.name}"
    visitor.context.on(
        "request",
        lambda request: (
            seen.append((request.method, urlsplit(request.url).path)) if request.url.startswith(place) else None
        ),
    )
    visitor.expects(re.escape(f"left the site: {place}"))
    return seen


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)
def test_a_picture_goes_there_and_comes_from_there(
    device: Device, visit: Visit, pictures: Pictures, tmp_path: Path, served: Served, bucket: TestBucket
) -> None:
    let_browsers_in(bucket, served)
    customer = visit(device, served)
    seen = goes_to(customer, bucket)
    customer.open()
    customer.sign_up()
    upload = customer.pick(pictures.scene)
    assert seen[-1] == ("POST", f"/{bucket.name}"), "sent past the server"
    assert customer.ask(f"/uploads/{upload}")["bytes"] == pictures.scene.stat().st_size
    job = customer.submit()
    customer.wait_for("succeeded")
    for picture in ("Before", "After"):
        shown = customer.page.get_by_alt_text(picture, exact=True)
        expect(shown).not_to_have_js_property("naturalWidth", 0)
    the_slider_uncovers_the_original(customer)
    the_file_is_a_restored_picture(customer, pictures.scene, tmp_path)
    fetched = [path for method, path in seen if method == "GET"]
    for variant in ("full", "original"):
        assert any(path.endswith(f"/{variant}.jpg") for path in fetched), f"{variant} came from the bucket"
    customer.follow("Gallery")
    expect(customer.page.locator(f'a[href="/jobs/{job}"] img')).not_to_have_js_property("naturalWidth", 0)
    assert not any(key.startswith("incoming/") for key in bucket.stored()), "what was sent is gone"


def test_a_bucket_that_lets_no_browser_in_is_done_without(
    visit: Visit, pictures: Pictures, served: Served, bucket: TestBucket
) -> None:
    bucket.client.delete_bucket_cors(Bucket=bucket.name)
    customer = visit(to=served)
    goes_to(customer, bucket)
    customer.expects("blocked by CORS policy")
    customer.expects("net::ERR_FAILED")
    customer.open()
    customer.sign_up()
    upload = customer.pick(pictures.cat)
    assert customer.ask(f"/uploads/{upload}")["bytes"] == pictures.cat.stat().st_size
