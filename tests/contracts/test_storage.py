"""Every storage keeps the same promises: whole files or none, ranges, idempotent deletion, keys that stay inside."""

import os
from pathlib import Path

import pytest
from tests.support.s3 import PAGE, TestBucket

from penstock.kit.ids import new_id
from penstock.media.storage import (
    CHUNK_BYTES,
    PUT_CHUNK_BYTES,
    Storage,
    StorageError,
    check_key,
    result_key,
    upload_key,
)

KINDS = ("folder", "memory", "bucket")
CONTENT = bytes(range(256)) * 40


@pytest.fixture(params=KINDS)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "bucket":
        bucket: TestBucket = request.getfixturevalue("bucket")
        return bucket.storage()
    return Storage.in_folder(tmp_path / "files") if request.param == "folder" else Storage.in_memory()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(CONTENT)
    return path


async def read(storage: Storage, key: str, start: int = 0, end: int | None = None) -> bytes:
    stored = await storage.get(key, start, end)
    content = b"".join([chunk async for chunk in stored.chunks])
    assert len(content) == stored.end - stored.start
    return content


async def keys(storage: Storage, prefix: str | None = None) -> set[str]:
    return {found.key async for found in storage.list(prefix)}


async def test_what_is_put_is_got(storage: Storage, source: Path) -> None:
    await storage.put("results/a/full.jpg", source)
    stored = await storage.get("results/a/full.jpg")
    assert (stored.size, stored.start, stored.end) == (len(CONTENT), 0, len(CONTENT))
    assert await read(storage, "results/a/full.jpg") == CONTENT


async def test_a_large_file_goes_and_comes_in_pieces(storage: Storage, tmp_path: Path) -> None:
    large = tmp_path / "large"
    content = os.urandom(2 * PUT_CHUNK_BYTES + 12_345)
    large.write_bytes(content)
    await storage.put("large", large)
    assert await read(storage, "large") == content


async def test_a_folder_is_read_in_small_chunks(tmp_path: Path) -> None:
    storage = Storage.in_folder(tmp_path / "files")
    (tmp_path / "large").write_bytes(bytes(5 * CHUNK_BYTES))
    await storage.put("large", tmp_path / "large")
    sizes = [len(chunk) async for chunk in (await storage.get("large")).chunks]
    assert max(sizes) <= 2 * CHUNK_BYTES


async def test_an_empty_file(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    await storage.put("empty", tmp_path / "empty")
    assert await storage.size("empty") == 0
    assert await read(storage, "empty") == b""


@pytest.mark.parametrize(("start", "end"), [(0, 1), (5, 10), (100, None), (10_000, 99_999), (10_239, 10_240)])
async def test_ranges(storage: Storage, source: Path, start: int, end: int | None) -> None:
    await storage.put("file", source)
    assert await read(storage, "file", start, end) == CONTENT[start:end]


@pytest.mark.parametrize(("start", "end"), [(10_240, None), (20_000, 30_000), (10, 10), (10, 5), (-1, 5)])
async def test_ranges_that_hold_nothing(storage: Storage, source: Path, start: int, end: int | None) -> None:
    await storage.put("file", source)
    with pytest.raises(ValueError, match="bytes"):
        await storage.get("file", start, end)


async def test_what_is_not_there(storage: Storage, tmp_path: Path) -> None:
    assert await storage.size("nothing") is None
    with pytest.raises(FileNotFoundError):
        await storage.get("nothing")
    with pytest.raises(FileNotFoundError):
        await storage.fetch("nothing", tmp_path / "target")
    with pytest.raises(FileNotFoundError):
        await storage.put("file", tmp_path / "no-such-source")
    assert await storage.size("file") is None


async def test_a_second_put_replaces_the_first(storage: Storage, source: Path, tmp_path: Path) -> None:
    await storage.put("file", source)
    (tmp_path / "other").write_bytes(b"other")
    await storage.put("file", tmp_path / "other")
    assert await read(storage, "file") == b"other"


async def test_fetch_writes_a_file(storage: Storage, source: Path, tmp_path: Path) -> None:
    await storage.put("file", source)
    await storage.fetch("file", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == CONTENT


async def test_deleting_is_idempotent_and_leaves_the_others(storage: Storage, source: Path) -> None:
    for key in ("results/a/1", "results/a/2", "results/b/1"):
        await storage.put(key, source)
    for _ in range(2):
        await storage.delete(["results/a/1", "results/b/1", "results/c/never"])
    assert await keys(storage) == {"results/a/2"}
    with pytest.raises(FileNotFoundError):
        await storage.get("results/a/1")


async def test_listing_by_prefix(storage: Storage, source: Path) -> None:
    for key in ("results/a/1", "results/ab/1", "uploads/a/1"):
        await storage.put(key, source)
    assert await keys(storage) == {"results/a/1", "results/ab/1", "uploads/a/1"}
    assert await keys(storage, "results") == {"results/a/1", "results/ab/1"}
    assert await keys(storage, "results/a") == {"results/a/1"}
    assert await keys(storage, "nothing") == set()
    sizes = {found.size async for found in storage.list()}
    assert sizes == {len(CONTENT)}


async def test_listing_goes_on_over_every_page(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(b"small")
    expected = {f"results/{number % 7}/{number}" for number in range(2 * PAGE + 5)}
    for key in expected:
        await storage.put(key, tmp_path / "small")
    assert await keys(storage) == expected


@pytest.mark.parametrize(
    "key",
    ["", "/etc/passwd", "../outside", "a/../../outside", "a//b", "a/", "A", "a b", "a\\b", "a\0b", "é", "x" * 300],
)
async def test_keys_that_lead_elsewhere_are_refused(storage: Storage, source: Path, key: str) -> None:
    with pytest.raises(ValueError, match="not a storage key"):
        await storage.put(key, source)
    with pytest.raises(ValueError, match="not a storage key"):
        await storage.get(key)
    with pytest.raises(ValueError, match="not a storage key"):
        await storage.delete([key])


def test_our_own_keys_are_keys() -> None:
    for key in (upload_key(new_id("upl"), "jpg"), result_key(new_id("res"), "line_art", "svg")):
        assert check_key(key) == key


# ---- what only a folder can show ----


async def test_a_put_cut_short_is_cleaned_up_with_its_key(tmp_path: Path, source: Path) -> None:
    storage = Storage.in_folder(tmp_path / "files")
    await storage.put("results/a/full.jpg", source)
    staged = tmp_path / "files" / "results" / "a" / "full.jpg#1"
    staged.write_bytes(b"half a fi")
    other = tmp_path / "files" / "results" / "a" / "full.jpg-other"
    other.write_bytes(b"not ours to delete")
    assert await keys(storage) == {"results/a/full.jpg", "results/a/full.jpg-other"}
    await storage.delete(["results/a/full.jpg"])
    assert not staged.exists()
    assert other.exists()


async def test_empty_folders_go_and_the_root_stays(tmp_path: Path, source: Path) -> None:
    storage = Storage.in_folder(tmp_path / "files")
    await storage.put("results/a/full.jpg", source)
    await storage.delete(["results/a/full.jpg"])
    assert list((tmp_path / "files").rglob("*")) == []
    await storage.put("results/a/full.jpg", source)


async def test_two_that_delete_the_same_may_take_its_folder_from_each_other(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Storage.in_folder(tmp_path / "files")
    await storage.put("results/a/full.jpg", source)
    monkeypatch.setattr(Path, "is_dir", lambda _: True)  # a moment ago it was
    for _ in range(2):
        await storage.delete(["results/a/full.jpg"])
    assert not (tmp_path / "files" / "results" / "a").exists()


async def test_a_disk_that_refuses_is_told_as_such(tmp_path: Path, source: Path) -> None:
    storage = Storage.in_folder(tmp_path / "files")
    (tmp_path / "files" / "results").write_bytes(b"a file where a folder should be")
    with pytest.raises(StorageError, match="results/a"):
        await storage.put("results/a", source)
