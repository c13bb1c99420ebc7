"""Pictures that are announced, sent to an address, and handed in: to a real bucket, and to a folder of our own."""

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from penstock.kit.checkpoints import arm
from penstock.media import service, slip_queries
from penstock.media.direct import SEND_S
from penstock.media.queries import PENDING_FILE_S
from penstock.media.slip_queries import SLIP_S, TAKEN_S
from penstock.media.storage import Storage, StorageError
from penstock.media.sweep import orphans
from tests.support.flows import PATIENCE_S
from tests.unit.media.conftest import MAX_MB, ONE_LOOP, Stage
from tests.unit.media.counter import ON_BUCKET, OTHER, PHOTO, Counter, code_of

pytestmark = ONE_LOOP


@pytest.fixture
def kill() -> Iterator[Callable[[str], None]]:
    """Arm a checkpoint to end whatever passes it."""

    def at(label: str) -> None:
        def hook(passed: str) -> None:
            if passed == label:
                arm(None)
                raise KilledError(label)

        arm(hook)

    yield at
    arm(None)


class KilledError(BaseException):
    """Stands for the end of the process: nothing catches it on the way."""


async def test_what_was_sent_becomes_an_upload_like_any_other(counter: Counter) -> None:
    upload_id = await counter.sent()
    assert len(counter.stored()) == 1
    answer = await counter.complete(upload_id)
    assert answer.status_code == 201, answer.text
    told = answer.json()
    straight = (await counter.client.post("/uploads", files={"file": ("a.jpg", PHOTO, "image/jpeg")})).json()
    assert told["id"] == upload_id
    for same in ("media_type", "bytes", "width", "height", "sha256", "corners", "expires_at"):
        assert told[same] == straight[same]
    assert told["sha256"] == hashlib.sha256(PHOTO).hexdigest()
    assert (await counter.client.get(f"/uploads/{upload_id}")).json() == told
    assert len(counter.stored()) == 2, "the two clean pictures; what was sent is gone"
    assert all(key.startswith("uploads/") for key in counter.stored())
    assert not list(counter.stage.scratch.iterdir())
    assert await counter.slips() == 0


async def test_handing_in_again_changes_nothing(counter: Counter) -> None:
    upload_id = await counter.sent()
    first = await counter.complete(upload_id)
    again = await counter.complete(upload_id)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()


async def test_only_whoever_announced_it_may_hand_it_in(counter: Counter) -> None:
    upload_id = await counter.sent()
    assert code_of(await counter.complete(upload_id, account="acc_bob")) == (404, "not_found")
    assert code_of(await counter.complete("upl_nothing")) == (404, "not_found")
    assert (await counter.complete(upload_id)).status_code == 201
    assert code_of(await counter.complete(upload_id, account="acc_bob")) == (404, "not_found")


async def test_handing_in_before_it_has_come(counter: Counter) -> None:
    told = await counter.presign()
    assert code_of(await counter.complete(told["id"])) == (409, "wrong_state")
    assert (await counter.send(told)).status_code == 204
    assert (await counter.complete(told["id"])).status_code == 201


@pytest.mark.parametrize("content", [PHOTO[:-1], PHOTO + b"x", b""])
async def test_another_size_than_announced_is_not_taken(counter: Counter, content: bytes) -> None:
    told = await counter.presign(PHOTO)
    answer = await counter.send(told, content)
    assert answer.status_code in {400, 403, 413, 422}
    assert counter.stored() == set()
    assert not list(counter.stage.scratch.iterdir())
    assert (await counter.send(told)).status_code == 204, "and then the right one"


@pytest.mark.parametrize(
    ("content", "code"), [(b"a text", (415, "unsupported_media")), (PHOTO[:2_000], (422, "invalid_input"))]
)
async def test_a_picture_that_is_refused_goes(counter: Counter, content: bytes, code: tuple[int, str]) -> None:
    upload_id = await counter.sent(content)
    assert code_of(await counter.complete(upload_id)) == code
    assert counter.stored() == set()
    assert code_of(await counter.complete(upload_id)) == (404, "not_found")
    assert await counter.slips() == 0
    assert not list(counter.stage.scratch.iterdir())


async def test_what_is_refused_before_it_is_sent(counter: Counter) -> None:
    async def asked(size: int, media_type: str) -> tuple[int, str]:
        return code_of(await counter.client.post("/uploads/presign", json={"bytes": size, "media_type": media_type}))

    assert await asked(MAX_MB * 1_000_000 + 1, "image/jpeg") == (413, "too_large")
    assert await asked(1_000, "video/mp4") == (415, "unsupported_media")
    assert await counter.slips() == 0
    await counter.presign(media_type="application/octet-stream")
    await counter.presign(media_type="")


async def test_slips_count_as_uploads(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MAX_LIVE_UPLOADS", 2)
    upload_id = await counter.sent()
    await counter.presign()
    body = {"bytes": 1_000, "media_type": "image/jpeg"}
    for full in (
        await counter.client.post("/uploads/presign", json=body),
        await counter.client.post("/uploads", files={"file": ("a.jpg", PHOTO, "image/jpeg")}),
    ):
        assert code_of(full) == (429, "plan_limit")
    await counter.presign(account="acc_bob")
    assert (await counter.complete(upload_id)).status_code == 201, "a slip becomes its upload"
    counter.stage.clock.advance(SLIP_S)
    await counter.presign()


async def test_two_that_hand_it_in_at_one_time(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    upload_id = await counter.sent()
    under_way, go_on = asyncio.Event(), asyncio.Event()
    accept = counter.stage.media.accept

    async def slowly(*given: Any) -> Any:
        under_way.set()
        await go_on.wait()
        return await accept(*given)

    monkeypatch.setattr(counter.stage.media, "accept", slowly)
    first = asyncio.create_task(counter.complete(upload_id))
    await under_way.wait()
    async with asyncio.timeout(PATIENCE_S):
        second = await counter.complete(upload_id)
    go_on.set()
    assert code_of(second) == (409, "wrong_state")
    assert (await first).status_code == 201


async def test_one_that_was_given_up_for_lost_changes_nothing(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload_id = await counter.sent()
    accept = counter.stage.media.accept
    others: list[httpx2.Response] = []

    async def overtaken(*given: Any) -> Any:
        monkeypatch.setattr(counter.stage.media, "accept", accept)
        counter.stage.clock.advance(TAKEN_S)
        others.append(await counter.complete(upload_id))
        return await accept(*given)

    monkeypatch.setattr(counter.stage.media, "accept", overtaken)
    late = await counter.complete(upload_id)
    assert others[0].status_code == 201
    assert code_of(late) in {(409, "wrong_state"), (422, "invalid_input")}
    assert (await counter.complete(upload_id)).json() == others[0].json()
    await counter.later(PENDING_FILE_S)
    assert set(await counter.rows()) == counter.stored()
    assert len(counter.stored()) == 1, "what the late one stored was swept"


async def test_a_storage_that_is_away_is_told_and_it_can_be_handed_in_later(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload_id = await counter.sent()

    async def away(*_: Any) -> None:
        raise StorageError("away")

    for broken in ("size", "fetch", "put"):
        with monkeypatch.context() as patched:
            patched.setattr(Storage, broken, away)
            assert code_of(await counter.complete(upload_id)) == (503, "unavailable")
    with monkeypatch.context() as patched:
        patched.setattr(Storage, "delete", away)
        assert (await counter.complete(upload_id)).status_code == 201, "what was sent can be deleted later"
    assert len(counter.stored()) == 2
    await counter.later(PENDING_FILE_S)
    assert len(counter.stored()) == 1


async def test_no_room_is_told_and_it_can_be_handed_in_later(counter: Counter) -> None:
    upload_id = await counter.sent()
    room, counter.stage.media._room = counter.stage.media._room, asyncio.Semaphore(0)
    assert code_of(await counter.complete(upload_id)) == (503, "busy")
    counter.stage.media._room = room
    assert (await counter.complete(upload_id)).status_code == 201


async def test_what_is_never_finished_is_swept(counter: Counter) -> None:
    announced, sent = await counter.presign(), await counter.sent()
    await counter.later(SLIP_S - 1)
    assert await counter.slips() == 2
    await counter.later(1)
    assert code_of(await counter.complete(sent)) == (404, "not_found")
    await counter.later(TAKEN_S)
    assert await counter.slips() == 0
    assert code_of(await counter.complete(announced["id"])) == (404, "not_found")
    assert len(counter.stored()) == 1, "its file has its own time"
    await counter.later(PENDING_FILE_S - SLIP_S - TAKEN_S)
    assert counter.stored() == set()
    assert await counter.rows() == {}


@ON_BUCKET
async def test_what_is_sent_again_after_all_is_swept(counter: Counter) -> None:
    """A form can be sent as often as one likes while it is valid: that is how the protocol is."""
    told = await counter.presign()
    await counter.send(told)
    assert (await counter.complete(told["id"])).status_code == 201
    assert (await counter.send(told, OTHER[: len(PHOTO)].ljust(len(PHOTO), b"x"))).status_code == 204
    assert len(counter.stored()) == 2
    await counter.later(PENDING_FILE_S)
    assert len(counter.stored()) == 1
    assert [key async for key in orphans(counter.stage.database, counter.stage.storage)] == []


POINTS = ("slip.opened", "slip.sent", "slip.taken", "store.remembered", "store.put", "upload.kept")


@pytest.mark.parametrize("point", POINTS)
async def test_killed_at_any_point_nothing_stays_for_good(
    counter: Counter, kill: Callable[[str], None], point: str
) -> None:
    if point == "slip.sent" and counter.stage.storage.bucket is not None:
        point = "slip.taken"  # sending is the bucket's own business
    kill(point)
    with pytest.raises(KilledError, match=point):
        await counter.complete(await counter.sent())
    assert len(list(counter.stage.scratch.iterdir())) == 0, "temporary files go with their blocks"
    await counter.later(PENDING_FILE_S)
    kept = {key for key, state in (await counter.rows()).items() if state == "kept"}
    assert counter.stored() == kept == set(await counter.rows())
    assert len(kept) == (point == "upload.kept")
    assert await counter.slips() == 0


async def test_killed_while_looking_at_it_another_can_hand_it_in(counter: Counter, kill: Callable[[str], None]) -> None:
    upload_id = await counter.sent()
    kill("store.put")
    with pytest.raises(KilledError):
        await counter.complete(upload_id)
    assert code_of(await counter.complete(upload_id)) == (409, "wrong_state")
    counter.stage.clock.advance(TAKEN_S)
    assert (await counter.complete(upload_id)).status_code == 201


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        (slip_queries.DELETE_EXPIRED_SLIPS, "ix_upload_slips_expires"),
        (slip_queries.OPEN_SLIPS, "ix_upload_slips_account_expires"),
    ],
)
async def test_slips_are_found_without_reading_all(stage: Stage, sql: str, index: str) -> None:
    values = {"now": 0.0, "limit": 1, "account_id": "acc_ann"}
    names = [name for name in values if f":{name}" in sql]

    def plan() -> Any:
        chosen = {name: values[name] for name in names}
        return stage.database.read(
            lambda tx: " | ".join(row["detail"] for row in tx.all(f"EXPLAIN QUERY PLAN {sql}", **chosen))
        )

    assert index in await plan()


async def test_times_fit_into_each_other() -> None:
    assert SEND_S < SLIP_S
    assert SLIP_S + TAKEN_S < PENDING_FILE_S
    assert service.CLEAN_S + 300 < TAKEN_S, "fetching and cleaning"
