"""POST /uploads: both ways to send, every bad input of the interface, and nothing left behind."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image

from penstock.kit.children import ChildDiedError
from penstock.kit.errors import Problem
from penstock.media import prepare as preparing
from penstock.media import service
from penstock.media.queries import upload_of
from tests.unit.media.conftest import MAX_MB, ONE_LOOP, Stage
from tests.unit.media.pictures import astronaut, coffee, distance, encoded, png_bomb, written

pytestmark = ONE_LOOP

PHOTO = encoded(coffee())
TOO_LARGE = MAX_MB * 1_000_000 + 1


def form(content: bytes, *, field: str = "file", name: str = "photo.jpg", media_type: str = "image/jpeg") -> Any:
    return {field: (name, content, media_type)}


def in_pieces(content: bytes, size: int) -> Callable[[], AsyncIterator[bytes]]:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(content), size):
            yield content[at : at + size]

    return pieces


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def nothing_is_left(stage: Stage) -> bool:
    """Whether no temporary file lies about, no byte is stored and no row claims one."""
    rows = await stage.database.read(lambda tx: tx.all("SELECT key FROM files UNION ALL SELECT id FROM uploads"))
    return not list(stage.scratch.iterdir()) and not stage.stored() and not rows


async def test_a_form(client: httpx2.AsyncClient, stage: Stage) -> None:
    answer = await client.post("/uploads", files=form(PHOTO))
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert told["id"].startswith("upl_")
    assert (told["media_type"], told["bytes"], told["width"], told["height"]) == ("image/jpeg", len(PHOTO), 600, 400)
    assert told["sha256"] == hashlib.sha256(PHOTO).hexdigest()
    assert told["expires_at"] == "2027-01-16T08:00:00.000Z"
    assert not list(stage.scratch.iterdir()), "the original is gone"
    assert len(stage.stored()) == 1


async def test_a_raw_body(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/uploads", content=PHOTO, headers={"Content-Type": "image/jpeg"})
    assert answer.status_code == 201, answer.text
    assert answer.json()["sha256"] == hashlib.sha256(PHOTO).hexdigest()


@pytest.mark.parametrize("size", [1, 7, 4_096])
async def test_a_form_in_any_pieces(client: httpx2.AsyncClient, size: int) -> None:
    small = encoded(coffee()[:40, :40])
    request = client.build_request("POST", "/uploads", files=form(small))
    body = await request.aread()
    answer = await client.post(
        "/uploads", content=in_pieces(body, size)(), headers={"Content-Type": request.headers["content-type"]}
    )
    assert answer.status_code == 201, answer.text
    assert answer.json()["sha256"] == hashlib.sha256(small).hexdigest()


async def test_other_fields_of_a_form_are_read_past(client: httpx2.AsyncClient) -> None:
    fields: Any = [
        ("note", (None, b"hello")),
        ("file", ("a.jpg", PHOTO, "image/jpeg")),
        ("file", ("b.jpg", b"a second one is not looked at", "image/jpeg")),
    ]
    answer = await client.post("/uploads", files=fields)
    assert answer.json()["sha256"] == hashlib.sha256(PHOTO).hexdigest()


async def test_the_type_is_told_by_content_whatever_is_claimed(client: httpx2.AsyncClient) -> None:
    content = encoded(coffee(), "PNG")
    answer = await client.post("/uploads", files=form(content, name="../../x.exe", media_type="image/webp"))
    assert answer.json()["media_type"] == "image/png"


async def test_the_clean_picture_can_be_looked_at(client: httpx2.AsyncClient, stage: Stage, tmp_path: Path) -> None:
    told = (await client.post("/uploads", files=form(PHOTO))).json()
    again = await client.get(f"/uploads/{told['id']}")
    assert again.json() == told
    answer = await client.get(f"/uploads/{told['id']}/file")
    assert answer.headers["content-type"] == "image/jpeg"
    (tmp_path / "seen.jpg").write_bytes(answer.content)
    with Image.open(tmp_path / "seen.jpg") as image:
        assert distance(np.asarray(image), coffee()) < 3


async def test_an_upload_is_its_owner_s_alone_and_ends(client: httpx2.AsyncClient, stage: Stage) -> None:
    upload_id = (await client.post("/uploads", files=form(PHOTO))).json()["id"]
    other = {"X-Account": "acc_bob"}
    assert code_of(await client.get(f"/uploads/{upload_id}", headers=other)) == (404, "not_found")
    assert code_of(await client.get(f"/uploads/{upload_id}/file", headers=other)) == (404, "not_found")
    assert await stage.database.read(upload_of, upload_id, "acc_bob") is None
    stage.clock.advance(24 * 3_600)
    assert code_of(await client.get(f"/uploads/{upload_id}")) == (404, "not_found")


async def test_nobody_uploads_without_an_account(client: httpx2.AsyncClient, stage: Stage) -> None:
    del client.headers["X-Account"]
    assert code_of(await client.post("/uploads", files=form(PHOTO))) == (401, "unauthenticated")
    assert await nothing_is_left(stage)


# ---- bad input ----


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", (422, "invalid_input")),
        (b"Dear customer, this is a text.", (415, "unsupported_media")),
        (PHOTO[: len(PHOTO) // 2], (422, "invalid_input")),
        (png_bomb(40_000, 40_000), (413, "too_large")),
        (encoded(coffee(), "GIF"), (415, "unsupported_media")),
        (encoded(coffee()[:8, :8], "PNG"), (422, "invalid_input")),
    ],
    ids=["empty", "text", "truncated", "bomb", "gif", "tiny"],
)
@pytest.mark.parametrize("way", ["form", "raw"])
async def test_bad_pictures(
    client: httpx2.AsyncClient, stage: Stage, content: bytes, expected: tuple[int, str], way: str
) -> None:
    if way == "form":
        answer = await client.post("/uploads", files=form(content))
    else:
        answer = await client.post("/uploads", content=content, headers={"Content-Type": "image/jpeg"})
    assert code_of(answer) == expected
    assert len(answer.json()["detail"]) > 20
    assert await nothing_is_left(stage)


async def test_too_many_bytes_by_declaration_are_refused_unread(client: httpx2.AsyncClient, stage: Stage) -> None:
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    size = str(MAX_MB * 1_000_000 + 100_000)
    answer = await client.post("/uploads", content=never(), headers={"Content-Length": size})
    assert code_of(answer) == (413, "too_large")
    assert f"{MAX_MB} MB" in answer.json()["detail"]


@pytest.mark.parametrize("way", ["form", "raw"])
async def test_too_many_bytes_are_refused_while_they_come(client: httpx2.AsyncClient, stage: Stage, way: str) -> None:
    content, media_type = PHOTO + bytes(TOO_LARGE - len(PHOTO)), "image/jpeg"
    if way == "form":
        request = client.build_request("POST", "/uploads", files=form(content))
        content, media_type = await request.aread(), request.headers["content-type"]
    # Sent in chunks, so without a declared length.
    answer = await client.post("/uploads", content=in_pieces(content, 65_536)(), headers={"Content-Type": media_type})
    assert code_of(answer) == (413, "too_large")
    assert await nothing_is_left(stage)


async def test_exactly_the_limit_is_taken(client: httpx2.AsyncClient) -> None:
    content = PHOTO + bytes(TOO_LARGE - 1 - len(PHOTO))  # decoders don't mind what follows the end of a JPEG
    assert (await client.post("/uploads", files=form(content))).status_code == 201


async def test_a_form_that_is_large_beside_its_file(client: httpx2.AsyncClient, stage: Stage) -> None:
    fields: Any = [("note", (None, bytes(TOO_LARGE + 100_000))), ("file", ("a.jpg", PHOTO, "image/jpeg"))]
    request = client.build_request("POST", "/uploads", files=fields)
    body = await request.aread()
    answer = await client.post(
        "/uploads", content=in_pieces(body, 65_536)(), headers={"Content-Type": request.headers["content-type"]}
    )
    assert code_of(answer) == (413, "too_large")


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"--x\r\nnonsense", "multipart/form-data; boundary=x"),
        (b"", "multipart/form-data; boundary=x"),
        (b"--x\r\n", "multipart/form-data"),
        (b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + PHOTO, "multipart/form-data; boundary=x"),
        (
            b'--x\r\nContent-Disposition: form-data; name="photo"\r\n\r\nhello\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
        ),
    ],
    ids=["nonsense", "empty", "no boundary", "no end", "no file"],
)
async def test_broken_forms(client: httpx2.AsyncClient, stage: Stage, content: bytes, media_type: str) -> None:
    answer = await client.post("/uploads", content=content, headers={"Content-Type": media_type})
    assert code_of(answer) == (422, "invalid_input")
    assert await nothing_is_left(stage)


async def test_a_form_of_the_wrong_kind(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/uploads", data={"file": "photo"})
    assert code_of(answer) == (415, "unsupported_media")


# ---- from this machine's disk ----


async def test_a_file_of_this_machine_is_taken_and_stays(stage: Stage, tmp_path: Path) -> None:
    path = written(tmp_path, PHOTO, "photo.jpg")
    upload = await stage.media.take_file(path, "acc_ann")
    assert (upload.sha256, upload.bytes, upload.width) == (hashlib.sha256(PHOTO).hexdigest(), len(PHOTO), 600)
    assert path.read_bytes() == PHOTO
    assert not list(stage.scratch.iterdir())
    assert await stage.media.upload(upload.id, "acc_ann") == upload


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "invalid_input"), (b"a text", "unsupported_media"), (PHOTO + bytes(TOO_LARGE), "too_large")],
)
async def test_bad_files_of_this_machine(stage: Stage, tmp_path: Path, content: bytes, code: str) -> None:
    with pytest.raises(Problem) as caught:
        await stage.media.take_file(written(tmp_path, content), "acc_ann")
    assert caught.value.code == code
    with pytest.raises(FileNotFoundError):
        await stage.media.take_file(tmp_path / "nothing", "acc_ann")
    assert await nothing_is_left(stage)


# ---- limits, faults, company ----


async def test_the_number_of_live_uploads_is_limited(
    client: httpx2.AsyncClient, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MAX_LIVE_UPLOADS", 2)
    for _ in range(2):
        assert (await client.post("/uploads", files=form(PHOTO))).status_code == 201
    assert code_of(await client.post("/uploads", files=form(PHOTO))) == (429, "plan_limit")
    assert (await client.post("/uploads", files=form(PHOTO), headers={"X-Account": "acc_bob"})).status_code == 201
    stage.clock.advance(24 * 3_600)
    assert (await client.post("/uploads", files=form(PHOTO))).status_code == 201


async def test_the_limit_of_live_uploads_holds_for_uploads_at_one_time(
    client: httpx2.AsyncClient, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MAX_LIVE_UPLOADS", 2)
    answers = await asyncio.gather(*(client.post("/uploads", files=form(PHOTO)) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 201, 429, 429, 429]
    stage.clock.advance(2 * 3_600)
    await stage.media.sweep()
    assert len(stage.stored()) == 2


async def test_more_uploads_at_one_time_than_there_is_room_for(client: httpx2.AsyncClient, stage: Stage) -> None:
    stage.media._room = asyncio.Semaphore(0)
    answer = await client.post("/uploads", files=form(PHOTO))
    assert code_of(answer) == (503, "busy")


async def test_uploads_at_one_time_do_not_mix(client: httpx2.AsyncClient) -> None:
    contents = [encoded(np.full((64, 64 + 8 * number, 3), 20 * number, np.uint8)) for number in range(8)]
    answers = await asyncio.gather(*(client.post("/uploads", files=form(content)) for content in contents))
    for number, (content, answer) in enumerate(zip(contents, answers, strict=True)):
        told = answer.json()
        assert (told["sha256"], told["width"]) == (hashlib.sha256(content).hexdigest(), 64 + 8 * number)
        seen = (await client.get(f"/uploads/{told['id']}/file")).content
        assert len(seen) > 0
    assert len({answer.json()["id"] for answer in answers}) == len(contents)


async def test_a_child_that_dies_refuses_the_picture_and_the_service_goes_on(
    client: httpx2.AsyncClient, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(*_: object, **__: object) -> None:
        raise ChildDiedError("the child was killed by SIGSEGV")

    with monkeypatch.context() as patched:
        patched.setattr(stage.media._children, "call", die)
        answer = await client.post("/uploads", files=form(PHOTO))
        assert code_of(answer) == (422, "invalid_input")
        assert "SIGSEGV" not in answer.text
    assert await nothing_is_left(stage)
    assert (await client.post("/uploads", files=form(PHOTO))).status_code == 201


async def test_a_full_disk_is_told_and_cleaned_up(
    client: httpx2.AsyncClient, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(stage.storage, "put", full)
        answer = await client.post("/uploads", files=form(PHOTO))
    assert code_of(answer) == (503, "unavailable")
    assert not list(stage.scratch.iterdir())
    stage.clock.advance(2 * 3_600)
    await stage.media.sweep()
    assert await nothing_is_left(stage)


async def test_a_client_that_hangs_up_half_way_leaves_nothing(app: FastAPI, stage: Stage) -> None:
    seen_on_disk: list[int] = []

    async def receive() -> dict[str, Any]:
        if not seen_on_disk:
            seen_on_disk.append(-1)
            return {"type": "http.request", "body": bytes(1_500_000), "more_body": True}
        seen_on_disk.extend(path.stat().st_size for path in stage.scratch.iterdir())
        return {"type": "http.disconnect"}

    async def send(_: object) -> None:
        pass

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/v1/uploads",
        "headers": [(b"x-account", b"acc_ann"), (b"content-type", b"image/jpeg")],
        "query_string": b"",
        "app": app,
    }
    await app(scope, receive, send)
    assert seen_on_disk == [-1, 1_500_000], "the first half was on disk"
    assert await nothing_is_left(stage)


async def test_a_cancelled_upload_leaves_nothing(
    client: httpx2.AsyncClient, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoding = asyncio.Event()

    async def hang(*_: object, **__: object) -> None:
        decoding.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(stage.media._children, "call", hang)
    call = asyncio.create_task(client.post("/uploads", files=form(PHOTO)))
    await decoding.wait()
    assert len(list(stage.scratch.iterdir())) == 1
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await nothing_is_left(stage)


async def test_decoding_happens_in_children(client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("decoded in the server's own process")

    monkeypatch.setattr(preparing, "decode", never)
    assert (await client.post("/uploads", files=form(encoded(astronaut())))).status_code == 201
