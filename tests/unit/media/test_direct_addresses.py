"""What an address to send a picture to is good for: one picture, for a while, and nothing else."""

import asyncio
import hashlib
from typing import Any

import httpx2
import pytest

from penstock.media.direct import SEND_S, DirectUploads
from penstock.media.storage import Storage
from tests.unit.media.conftest import ONE_LOOP, SECRET, Stage, make_app
from tests.unit.media.counter import BASE, ON_BUCKET, ON_FOLDER, OTHER, PHOTO, Counter, code_of

pytestmark = ONE_LOOP

# ---- a bucket's form ----


@pytest.mark.parametrize(
    "changed",
    [
        {"key": "of/tests/results/ab/res_1/full.jpg"},
        {"Content-Type": "text/html"},
        {"policy": "e30="},
        {"x-amz-signature": "0" * 64},
        {"acl": "public-read"},
        {"x-amz-meta-note": "not foreseen"},
    ],
)
@ON_BUCKET
async def test_a_form_is_good_for_nothing_else(counter: Counter, changed: dict[str, str]) -> None:
    told = await counter.presign()
    answer = await counter.send(told, changed=changed)
    assert answer.status_code in {400, 403}, answer.text
    assert counter.stored() == set()


@ON_BUCKET
async def test_a_form_ends(counter: Counter) -> None:
    counter.clock._now -= SEND_S + 1
    told = await counter.presign()
    assert (await counter.send(told)).status_code == 403
    assert counter.stored() == set()
    counter.clock.advance(SEND_S / 2)
    assert (await counter.send(await counter.presign())).status_code == 204


@ON_BUCKET
async def test_a_server_with_a_bucket_takes_no_pictures_at_addresses_of_its_own(counter: Counter) -> None:
    told = await counter.presign()
    own = f"{BASE}/api/v1/uploads/{told['id']}/content?until=9999999999&signature={'0' * 64}"
    assert code_of(await counter.send({"url": own, "fields": {}})) == (403, "forbidden")


# ---- an address of our own ----


@ON_FOLDER
async def test_an_address_is_used_once(counter: Counter) -> None:
    told = await counter.presign()
    assert told["url"].startswith("http://test/api/v1/uploads/upl_")
    assert (await counter.send(told)).status_code == 204
    assert code_of(await counter.send(told, OTHER)) == (409, "wrong_state")
    answer = await counter.complete(told["id"])
    assert answer.json()["sha256"] == hashlib.sha256(PHOTO).hexdigest()
    assert code_of(await counter.send(told)) == (403, "forbidden")


@ON_FOLDER
async def test_of_two_that_use_it_at_one_time_one_is_told(counter: Counter) -> None:
    told = await counter.presign()
    answers = await asyncio.gather(counter.send(told), counter.send(told))
    assert sorted(answer.status_code for answer in answers) in ([204, 204], [204, 409])
    assert len(counter.stored()) == 1


@ON_FOLDER
async def test_an_address_that_we_did_not_give_out(counter: Counter) -> None:
    told, other = await counter.presign(), await counter.presign()
    for url in (
        told["url"].replace("until=", "until=1"),
        told["url"][:-1] + ("0" if told["url"][-1] != "0" else "1"),
        told["url"].replace(told["id"], other["id"]),
        told["url"].rpartition("=")[0] + "=é",
    ):
        assert code_of(await counter.send(told | {"url": url})) == (403, "forbidden")
    assert counter.stored() == set()
    no_signature = await counter.send(told | {"url": told["url"].partition("&")[0]})
    assert no_signature.status_code == 422


@ON_FOLDER
async def test_what_can_not_be_kept_is_told_and_can_be_sent_again(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = await counter.presign()

    async def full(*_: Any) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(Storage, "put", full)
        assert code_of(await counter.send(told)) == (503, "unavailable")
    assert (await counter.send(told)).status_code == 204
    assert (await counter.complete(told["id"])).status_code == 201


@ON_FOLDER
async def test_an_address_ends(counter: Counter) -> None:
    told = await counter.presign()
    counter.stage.clock.advance(SEND_S - 1)
    assert (await counter.send(await counter.presign())).status_code == 204
    counter.stage.clock.advance(1)
    assert code_of(await counter.send(told)) == (403, "forbidden")


async def test_an_address_is_the_public_one(stage: Stage) -> None:
    direct = DirectUploads(stage.media, SECRET, "https://photos.example.org/app")
    transport = httpx2.ASGITransport(make_app(stage.media, direct))
    async with httpx2.AsyncClient(
        transport=transport, base_url=BASE + "/api/v1", headers={"X-Account": "acc_ann"}
    ) as client:
        told = (await client.post("/uploads/presign", json={"bytes": 10, "media_type": ""})).json()
    assert told["url"].startswith(f"https://photos.example.org/app/api/v1/uploads/{told['id']}/content?until=")
    assert told["fields"] == {}


async def test_another_secret_signs_other_addresses(stage: Stage) -> None:
    ours, theirs = DirectUploads(stage.media, SECRET), DirectUploads(stage.media, SECRET + "x")
    assert ours._signature("upl_1", 1) != theirs._signature("upl_1", 1)
    assert ours._signature("upl_1", 1) == DirectUploads(stage.media, SECRET)._signature("upl_1", 1), (
        "every process signs alike"
    )
