"""The clean-up: what expired goes, what lives stays, and being killed at any point leaves nothing for good."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from penstock.kit.checkpoints import arm
from penstock.kit.database import Transaction
from penstock.kit.ids import new_id
from penstock.media import queries, sweep
from penstock.media.finish import Made
from penstock.media.queries import PENDING_FILE_S, Result, Upload
from penstock.media.storage import Storage, upload_key
from penstock.media.sweep import Swept, clear_scratch, orphans
from tests.support.s3 import PAGE, TestBucket
from tests.unit.media.conftest import ONE_LOOP, Stage
from tests.unit.media.pictures import coffee, encoded

pytestmark = ONE_LOOP

HOUR_S = 3_600.0
POINTS = (
    "store.remembered",
    "store.put",
    "store.copied",
    "upload.kept",
    "result.doomed",
    "sweep.doomed",
    "sweep.bytes_deleted",
    "sweep.forgotten",
)


class KilledError(BaseException):
    """Stands for the end of the process: nothing catches it on the way."""


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


def a_file(folder: Path, name: str = "full") -> Made:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(os.urandom(1_000))
    return Made(name, path, "image/jpeg", 1_000, 10, 10)


async def put_upload(stage: Stage, tmp_path: Path, *, keep_s: float = 24 * HOUR_S) -> Upload:
    """Store an upload as the service does, without its decoding."""
    upload_id = new_id("upl")
    key = upload_key(upload_id, "jpg")
    made = a_file(tmp_path / "made")
    file = queries.NewFile(key, "image/jpeg", 1_000)
    await stage.media._remember("acc_ann", [file])
    await stage.media._put(file, made.path)

    def insert(tx: Transaction) -> Upload:
        upload = Upload(
            upload_id, "acc_ann", key, "image/jpeg", 9, 10, 10, "00", ((0.0, 0.5),) * 4, tx.now, tx.now + keep_s
        )
        queries.keep(tx, [key])
        queries.insert_upload(tx, upload)
        return upload

    return await stage.database.write(insert)


async def put_result(stage: Stage, tmp_path: Path, *, expires_at: float | None = None) -> Result:
    result_id = new_id("res")
    made = [a_file(tmp_path / "made", name) for name in ("full", "thumb")]
    variants = await stage.media.store_result("acc_ann", result_id, made)
    return await stage.database.write(
        lambda tx: queries.insert_result(
            tx,
            result_id=result_id,
            job_id=new_id("job"),
            account_id="acc_ann",
            operation="restore",
            variants=variants,
            expires_at=expires_at,
        )
    )


async def rows(stage: Stage) -> dict[str, str]:
    found = await stage.database.read(lambda tx: tx.all("SELECT key, state FROM files"))
    return {row["key"]: row["state"] for row in found}


async def test_what_expired_goes_and_what_lives_stays(stage: Stage, tmp_path: Path) -> None:
    old_upload = await put_upload(stage, tmp_path, keep_s=HOUR_S)
    upload = await put_upload(stage, tmp_path)
    old_result = await put_result(stage, tmp_path, expires_at=stage.clock.now() + HOUR_S)
    result = await put_result(stage, tmp_path, expires_at=stage.clock.now() + 5 * HOUR_S)
    kept = await put_result(stage, tmp_path)
    stage.clock.advance(HOUR_S)
    assert await stage.media.sweep() == Swept(uploads=1, results=1, pending=0, files=3)
    live = {upload.key, *(variant.key for made in (result, kept) for variant in made.variants)}
    assert set(stage.stored()) == live
    assert await rows(stage) == dict.fromkeys(live, "kept")
    assert await stage.database.read(queries.upload_of, old_upload.id, "acc_ann") is None
    gone = await stage.database.read(queries.result_of, old_result.id, "acc_ann")
    assert gone is not None
    assert gone.deleted_at == stage.clock.now(), "expired can be told from never was"
    assert await stage.media.sweep() == Swept(0, 0, 0, 0)


async def test_an_upload_that_a_job_needs_is_kept_longer(stage: Stage, tmp_path: Path) -> None:
    upload = await put_upload(stage, tmp_path, keep_s=HOUR_S)
    until = stage.clock.now() + 3 * HOUR_S
    assert await stage.database.write(queries.extend_upload, upload.id, "acc_ann", until)
    assert not await stage.database.write(queries.extend_upload, upload.id, "acc_bob", until)
    assert await stage.database.write(queries.extend_upload, upload.id, "acc_ann", until - 10), "never shortened"
    stage.clock.advance(2 * HOUR_S)
    assert (await stage.media.sweep()).uploads == 0
    found = await stage.database.read(queries.upload_of, upload.id, "acc_ann")
    assert found is not None
    assert found.expires_at == until
    assert found.corners == upload.corners
    stage.clock.advance(HOUR_S)
    assert (await stage.media.sweep()).uploads == 1
    assert not await stage.database.write(queries.extend_upload, upload.id, "acc_ann", until)


async def test_pending_files_have_their_time(stage: Stage, tmp_path: Path) -> None:
    await stage.media.store_result("acc_ann", new_id("res"), [a_file(tmp_path / "made")])
    stage.clock.advance(PENDING_FILE_S - 1)
    assert await stage.media.sweep() == Swept(0, 0, 0, 0)
    assert len(stage.stored()) == 1
    stage.clock.advance(1)
    assert await stage.media.sweep() == Swept(0, 0, pending=1, files=1)
    assert stage.stored() == []
    assert await rows(stage) == {}


async def test_many_go_in_batches(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "BATCH", 2)
    monkeypatch.setattr(sweep, "MAX_BATCHES", 3)
    for _ in range(7):
        await put_upload(stage, tmp_path, keep_s=HOUR_S)
    stage.clock.advance(HOUR_S)
    assert await stage.media.sweep() == Swept(uploads=6, results=0, pending=0, files=6)
    assert await stage.media.sweep() == Swept(uploads=1, results=0, pending=0, files=1)
    assert stage.stored() == []


@pytest.mark.parametrize("point", POINTS)
async def test_killed_at_any_point_nothing_stays_for_good(
    stage: Stage, client: httpx2.AsyncClient, tmp_path: Path, kill: Callable[[str], None], point: str
) -> None:
    living = await put_upload(stage, tmp_path)
    going = await put_result(stage, tmp_path, expires_at=stage.clock.now() + HOUR_S)
    unwanted = await put_result(stage, tmp_path)
    kill(point)
    killed = []
    for step in (
        lambda: client.post("/uploads", files={"file": ("a.png", encoded(coffee()[:64, :64], "PNG"), "image/png")}),
        lambda: put_result(stage, tmp_path, expires_at=stage.clock.now() + HOUR_S),
        lambda: stage.media.copy_result(unwanted, "acc_ann", new_id("res")),
        lambda: stage.media.delete(unwanted.id, "acc_ann"),
        lambda: _later(stage, HOUR_S),
    ):
        try:
            await step()
        except KilledError as error:
            killed.append(str(error))
    assert killed == [point]
    await _later(stage, PENDING_FILE_S)
    found = await rows(stage)
    assert set(found.values()) == {"kept"}
    assert set(stage.stored()) == set(found), "what lies there is what is known, and nothing half done"
    assert living.key in found
    assert not {variant.key for result in (going, unwanted) for variant in result.variants} & set(found)
    assert [key async for key in orphans(stage.database, stage.storage)] == []


async def _later(stage: Stage, seconds: float) -> None:
    stage.clock.advance(seconds)
    await stage.media.sweep()


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        (queries.DOOM_STALE_PENDING, "ix_files_unkept"),
        (queries.DOOMED, "ix_files_unkept"),
        (queries.DELETE_EXPIRED_UPLOADS, "ix_uploads_expires"),
        (queries.EXPIRED_RESULTS, "ix_results_expires"),
    ],
)
async def test_the_sweep_never_reads_what_is_kept(stage: Stage, sql: str, index: str) -> None:
    def plan(tx: Transaction) -> str:
        return " | ".join(row["detail"] for row in tx.all(f"EXPLAIN QUERY PLAN {sql}", now=0.0, limit=1))

    found = await stage.database.read(plan)
    assert index in found
    assert "SCAN files" not in found


async def test_bytes_without_a_row_are_found(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "KNOWN_BATCH", 2)
    for _ in range(5):
        await put_upload(stage, tmp_path)
    await stage.storage.put("results/zz/stray.jpg", a_file(tmp_path / "made").path)
    assert [key async for key in orphans(stage.database, stage.storage)] == ["results/zz/stray.jpg"]


async def test_bytes_without_a_row_are_found_on_every_page_of_a_bucket(
    stage: Stage, tmp_path: Path, bucket: TestBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "KNOWN_BATCH", 7)
    stage.storage = stage.media.storage = bucket.storage()
    known = await put_upload(stage, tmp_path)
    strays = {f"results/zz/{number}.jpg" for number in range(2 * PAGE)}
    for key in strays:
        await stage.storage.put(key, tmp_path / "made" / "full")
    assert {key async for key in orphans(stage.database, stage.storage)} == strays
    assert bucket.stored() == strays | {known.key}


async def test_old_temporary_files_go(stage: Stage) -> None:
    old, new, folder = stage.scratch / "upload-old", stage.scratch / "upload-new", stage.scratch / "work-old"
    folder.mkdir()
    (folder / "picture.png").touch()
    for path in (old, new):
        path.touch()
    long_ago = new.stat().st_mtime - 7 * HOUR_S
    for path in (old, folder):
        os.utime(path, (long_ago, long_ago))
    assert await clear_scratch(stage.scratch) == 2
    assert list(stage.scratch.iterdir()) == [new]


async def test_a_temporary_file_that_goes_meanwhile_keeps_nobody_from_cleaning_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = stage.scratch / "upload-old"
    old.touch()
    os.utime(old, (0, 0))
    monkeypatch.setattr(Path, "iterdir", lambda folder: iter([folder / "upload-that-has-just-ended", old]))
    assert await clear_scratch(stage.scratch) == 1
    assert not old.exists()


async def test_a_storage_that_fails_keeps_the_rows_for_the_next_time(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put_upload(stage, tmp_path, keep_s=HOUR_S)
    stage.clock.advance(HOUR_S)

    async def refuse(*_: object) -> None:
        raise OSError("the disk is away")

    with monkeypatch.context() as patched:
        patched.setattr(Storage, "delete", refuse)
        with pytest.raises(OSError, match="away"):
            await stage.media.sweep()
    assert set((await rows(stage)).values()) == {"doomed"}
    assert (await stage.media.sweep()).files == 1
    assert stage.stored() == []
