"""Results: made through the service as a job does it, seen, downloaded in parts, deleted; by their owner alone."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from PIL import Image

from penstock.kit.children import ChildTimeoutError
from penstock.kit.database import DatabaseUnavailableError, Transaction
from penstock.kit.ids import new_id
from penstock.media import queries, service
from penstock.media.errors import BadResultError
from penstock.media.finish import Dress, Made
from penstock.media.queries import FileLostError, NewFile, Result, Upload, Variant
from penstock.media.sweep import orphans
from tests.unit.media.conftest import ONE_LOOP, Stage
from tests.unit.media.pictures import astronaut, coffee, distance, encoded, written

pytestmark = ONE_LOOP

DAY_S = 24 * 3_600.0


async def uploaded(client: httpx2.AsyncClient, stage: Stage) -> Upload:
    answer = await client.post("/uploads", files={"file": ("a.jpg", encoded(coffee()), "image/jpeg")})
    return await stage.media.upload(answer.json()["id"], "acc_ann")


def brighten(source: Path, target: Path) -> Path:
    """Stand in for a provider."""
    with Image.open(source) as image:
        Image.fromarray(np.clip(np.asarray(image).astype(np.int64) + 20, 0, 255).astype(np.uint8)).save(target)
    return target


async def made_by_a_job(
    client: httpx2.AsyncClient, stage: Stage, *, expires_at: float | None = None, extras: tuple[Made, ...] = ()
) -> Result:
    """Go the way of a job: prepare, provider, finish, store, settle."""
    upload = await uploaded(client, stage)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepared = await stage.media.prepare(upload, folder, "picture", corners=None, resolution="480p")
        after = brighten(prepared.path, folder / "after.png")
        made = await stage.media.finish(prepared.path, after, folder, Dress(resolution="480p", watermark="Rekindle"))
        result_id = new_id("res")
        variants = await stage.media.store_result("acc_ann", result_id, (*made, *extras))

    def settle(tx: Transaction) -> Result:
        return queries.insert_result(
            tx,
            result_id=result_id,
            job_id=new_id("job"),
            account_id="acc_ann",
            operation="restore_photo",
            variants=variants,
            expires_at=expires_at,
        )

    return await stage.database.write(settle)


async def test_a_job_s_way_through(client: httpx2.AsyncClient, stage: Stage) -> None:
    result = await made_by_a_job(client, stage, expires_at=stage.clock.now() + 7 * DAY_S)
    told = (await client.get(f"/results/{result.id}")).json()
    assert told["id"] == result.id
    assert told["job"] == result.job_id
    assert (told["media_type"], told["width"], told["height"]) == ("image/jpeg", 600, 400)
    assert told["expires_at"] == "2027-01-22T08:00:00.000Z"
    assert [variant["name"] for variant in told["variants"]] == ["full", "thumb", "compare", "original"]
    assert "key" not in told["variants"][0]
    assert told["bytes"] == told["variants"][0]["bytes"]
    assert await stage.database.read(queries.result_of_job, result.job_id) == result


async def test_every_variant_can_be_got(client: httpx2.AsyncClient, stage: Stage, tmp_path: Path) -> None:
    result = await made_by_a_job(client, stage)
    for variant in result.variants:
        answer = await client.get(f"/results/{result.id}/file", params={"variant": variant.name})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == variant.media_type
        assert answer.headers["content-length"] == str(variant.bytes) == str(len(answer.content))
        assert answer.headers["cache-control"].startswith("private")
        assert answer.headers["x-content-type-options"] == "nosniff"
        with Image.open(written(tmp_path, answer.content)) as image:
            assert image.size == (variant.width, variant.height)
    original = await client.get(f"/results/{result.id}/file?variant=original")
    with Image.open(written(tmp_path, original.content)) as image:
        assert distance(np.asarray(image), coffee()) < 4
    assert (await client.get(f"/results/{result.id}/file")).headers["etag"] != original.headers["etag"]


async def test_parts_and_versions(client: httpx2.AsyncClient, stage: Stage) -> None:
    address = f"/results/{(await made_by_a_job(client, stage)).id}/file"
    whole = await client.get(address)
    part = await client.get(address, headers={"Range": "bytes=100-199"})
    assert part.status_code == 206
    assert part.content == whole.content[100:200]
    assert part.headers["content-range"] == f"bytes 100-199/{len(whole.content)}"
    outside = await client.get(address, headers={"Range": "bytes=99999999-"})
    assert (outside.status_code, outside.headers["content-range"]) == (416, f"bytes */{len(whole.content)}")
    known = await client.get(address, headers={"If-None-Match": whole.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")


@pytest.mark.parametrize(
    ("query", "disposition"),
    [
        ("", 'inline; filename="restore-photo.jpg"'),
        ("?download=1", 'attachment; filename="restore-photo.jpg"'),
        ("?variant=thumb&download=true", 'attachment; filename="restore-photo-thumb.webp"'),
    ],
)
async def test_names_for_saving(client: httpx2.AsyncClient, stage: Stage, query: str, disposition: str) -> None:
    result = await made_by_a_job(client, stage)
    answer = await client.get(f"/results/{result.id}/file{query}")
    assert answer.headers["content-disposition"] == disposition


async def test_what_a_browser_could_run_is_never_shown_in_place(
    client: httpx2.AsyncClient, stage: Stage, tmp_path: Path
) -> None:
    svg = written(tmp_path, b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "lines.svg")
    extra = Made("line_art", svg, "image/svg+xml", svg.stat().st_size)
    result = await made_by_a_job(client, stage, extras=(extra,))
    answer = await client.get(f"/results/{result.id}/file", params={"variant": "line_art"})
    assert answer.content == svg.read_bytes()
    assert answer.headers["content-disposition"] == 'attachment; filename="restore-photo-line-art.svg"'
    assert "sandbox" in answer.headers["content-security-policy"]


async def test_an_unknown_variant_tells_which_there_are(client: httpx2.AsyncClient, stage: Stage) -> None:
    result = await made_by_a_job(client, stage)
    answer = await client.get(f"/results/{result.id}/file", params={"variant": "huge"})
    assert answer.status_code == 404
    assert "full, thumb, compare, original" in answer.json()["detail"]


async def test_someone_else_s_result_does_not_exist(client: httpx2.AsyncClient, stage: Stage) -> None:
    result = await made_by_a_job(client, stage)
    other = {"X-Account": "acc_bob"}
    for call in (
        client.get(f"/results/{result.id}", headers=other),
        client.get(f"/results/{result.id}/file", headers=other),
        client.delete(f"/results/{result.id}", headers=other),
        client.get("/results/res_nothing"),
    ):
        answer = await call
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert (await client.get(f"/results/{result.id}")).status_code == 200


async def test_deleting_takes_the_bytes_at_once(client: httpx2.AsyncClient, stage: Stage) -> None:
    result = await made_by_a_job(client, stage)
    for _ in range(2):
        assert (await client.delete(f"/results/{result.id}")).status_code == 204
    assert not [path for path in stage.stored() if path.startswith("results/")]
    assert (await client.get(f"/results/{result.id}")).status_code == 404
    assert (await client.get(f"/results/{result.id}/file")).status_code == 404
    left = await stage.database.read(lambda tx: tx.value("SELECT COUNT(*) FROM files"))
    assert left == 1, "the upload's"


async def test_the_storage_in_use_is_known(client: httpx2.AsyncClient, stage: Stage) -> None:
    result = await made_by_a_job(client, stage)
    kept = await stage.database.read(queries.stored_bytes, "acc_ann")
    assert kept == sum((stage.folder / path).stat().st_size for path in stage.stored())
    await client.delete(f"/results/{result.id}")
    assert 0 < await stage.database.read(queries.stored_bytes, "acc_ann") < kept


async def test_bad_answers_and_slow_children_are_told_by_kind(
    client: httpx2.AsyncClient, stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = written(tmp_path, encoded(coffee(), "PNG"), "before.png")
    after = written(tmp_path, encoded(astronaut(), "PNG"), "after.png")
    with pytest.raises(BadResultError) as caught:
        await stage.media.finish(before, after, tmp_path, Dress())
    assert caught.value.fault == "wrong_size"
    monkeypatch.setattr(service, "FINISH_S", 0.001)
    with pytest.raises(ChildTimeoutError):
        await stage.media.finish(before, after, tmp_path, Dress())


async def test_a_file_that_was_given_up_cannot_be_kept(stage: Stage) -> None:
    variant = Variant("full", "results/aa/res_1/full.jpg", "image/jpeg", 10, 1, 1)
    fields: dict[str, Any] = {"result_id": "res_1", "job_id": "job_1", "account_id": "acc_ann", "operation": "restore"}
    await stage.database.write(queries.remember_pending, "acc_ann", [NewFile(variant.key, "image/jpeg", 10)])
    stage.clock.advance(queries.PENDING_FILE_S)
    await stage.media.sweep()
    with pytest.raises(FileLostError):
        await stage.database.write(lambda tx: queries.insert_result(tx, variants=[variant], expires_at=None, **fields))
    assert await stage.database.read(queries.result_of_job, "job_1") is None
    assert [key async for key in orphans(stage.database, stage.storage)] == []


@pytest.mark.parametrize("written_first", [False, True])
async def test_a_database_that_is_away_while_a_result_is_stored_is_waited_for(
    client: httpx2.AsyncClient, stage: Stage, monkeypatch: pytest.MonkeyPatch, written_first: bool
) -> None:
    """The work is done, and paid for; once it was written down, too, and only the answer was lost."""
    write, tried = stage.database.write, list[bool]()

    async def failing(unit: Callable[..., Any], *args: Any) -> Any:
        stores = unit is queries.remember_pending and args[1][0].key.startswith("results/")
        if stores and not tried:
            tried.append(True)
            if written_first:
                await write(unit, *args)
            raise DatabaseUnavailableError("away")
        return await write(unit, *args)

    monkeypatch.setattr(stage.database, "write", failing)
    result = await made_by_a_job(client, stage)
    assert tried
    assert (await client.get(f"/results/{result.id}")).status_code == 200
