"""Where the bytes of files lie: one seam over obstore, in a folder of this machine or a bucket of an object storage.

Keys are chosen here (`result_key`, `upload_key`), never by a customer. A file appears under its key whole or not at
all, and `put` returns only when it would survive a power cut. Which files there should be is known by the table
`files` (see `queries`), so bytes whose row is gone, or never made it, can be told and cleaned up.
"""

import asyncio
import contextlib
import os
import re
from asyncio import to_thread
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore, ObjectStore

from penstock.media.bucket import DELETES_AT_ONCE, MAX_PUT_BYTES, PUTS_AT_ONCE, Bucket, UnusableBucketError, told

CHUNK_BYTES: Final = 256 * 1024
PUT_CHUNK_BYTES: Final = 5 * 1024 * 1024
PUT_CONCURRENCY: Final = 2  # chunks in memory at one time
FETCH_S: Final = 300.0  # for a whole file to come
CHECK_KEY: Final = "checks/start"  # stored and deleted again when a process starts
MAX_KEY_CHARACTERS: Final = 200
INCOMING: Final = "incoming"  # what all keys of uploads not yet looked at begin with
_KEY: Final = re.compile(r"[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_.-]*)*")


class StorageError(Exception):
    """The storage refused or failed; for operators."""


@dataclass(frozen=True)
class Stored:
    """An open file: `chunks` are the bytes from `start` up to, not including, `end` of `size`."""

    size: int
    start: int
    end: int
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True)
class Listed:
    """A file that lies in storage; `changed_at` in seconds since 1970 UTC."""

    key: str
    size: int
    changed_at: float


def incoming_key(upload_id: str) -> str:
    """Return where a browser puts an upload that has not been looked at."""
    return f"{INCOMING}/{_shard(upload_id)}/{upload_id}"


def upload_key(upload_id: str, extension: str) -> str:
    """Return where the cleaned picture of an upload lies."""
    return f"uploads/{_shard(upload_id)}/{upload_id}.{extension}"


def result_key(result_id: str, variant: str, extension: str) -> str:
    """Return where one variant of a result lies."""
    return f"results/{_shard(result_id)}/{result_id}/{variant.replace('_', '-')}.{extension}"


def check_key(key: str) -> str:
    """Return `key` if it is one. Errors: ValueError."""
    if len(key) > MAX_KEY_CHARACTERS or ".." in key or _KEY.fullmatch(key) is None:
        raise ValueError(f"{key[:MAX_KEY_CHARACTERS]!r} is not a storage key")
    return key


class Storage:
    """Files by key."""

    def __init__(self, store: ObjectStore, *, folder: Path | None = None, bucket: Bucket | None = None) -> None:
        """Keep files in `store`; `folder` or `bucket` says where that lies, unless it is memory."""
        self._store = store
        self._folder = folder
        self.bucket = bucket
        self._puts = asyncio.Semaphore(PUTS_AT_ONCE)

    @classmethod
    def in_folder(cls, folder: Path) -> "Storage":
        """Keep files in a folder of this machine, made if it is missing."""
        return cls(LocalStore(folder, mkdir=True, automatic_cleanup=True), folder=folder)

    @classmethod
    def in_bucket(cls, bucket: Bucket) -> "Storage":
        """Keep files in a bucket; whether that can be used is for `check` to say."""
        return cls(bucket.store(), bucket=bucket)

    @classmethod
    def in_memory(cls) -> "Storage":
        """Keep files in this process's memory; for tests."""
        return cls(MemoryStore())

    async def check(self) -> None:
        """Find out whether a bucket can be used: is it there, and may we read, store and delete?

        Errors: StorageError, which says what to do.
        """
        if self.bucket is None:
            return
        try:
            await self.bucket.look()
        except UnusableBucketError as error:
            raise StorageError(str(error)) from error
        try:
            await self._store.put_async(CHECK_KEY, b"", use_multipart=False)
            with contextlib.suppress(FileNotFoundError):  # another process that starts has deleted it already
                await self._store.get_async(CHECK_KEY)
            await self._store.delete_async(CHECK_KEY)
        except (BaseError, FileNotFoundError) as error:
            why = f"{self.bucket.named} can't be written to: {told(error)}."
            raise StorageError(f"{why} See the bucket policy in docs/storage.md.") from error

    async def put(self, key: str, source: Path) -> None:
        """Store the file `source` under `key`; atomic, and safe from a power cut when it returns.

        Errors: FileNotFoundError for a source that is not there; StorageError.
        """
        if self.bucket is not None:
            await self._put_whole(check_key(key), source)
            return
        with _translated(key):
            await self._store.put_async(
                check_key(key), source, chunk_size=PUT_CHUNK_BYTES, max_concurrency=PUT_CONCURRENCY
            )
        if self._folder is not None:
            await to_thread(_reach_disk, self._folder / key, self._folder)

    async def _put_whole(self, key: str, source: Path) -> None:
        """Store a file in one request, so that it can't be there in part."""
        size = (await to_thread(source.stat)).st_size
        if size > MAX_PUT_BYTES:
            raise StorageError(f"{key}: {size:,} bytes are more than the {MAX_PUT_BYTES:,} that are stored at once")
        async with self._puts:
            with _translated(key):
                try:
                    await self._store.put_async(key, source, use_multipart=False)
                except FileNotFoundError as error:  # nothing else but the bucket itself can be missing
                    raise StorageError(f"{key}: {told(error)}") from error

    async def get(self, key: str, start: int = 0, end: int | None = None) -> Stored:
        """Open the bytes from `start` up to, not including, `end`, or to the file's own end.

        Errors: FileNotFoundError; ValueError for a range that holds nothing.
        """
        size = await self.size(key)
        if size is None:
            raise FileNotFoundError(key)
        stop = size if end is None else min(end, size)
        if start < 0 or start > stop or (start == stop and size > 0):
            raise ValueError(f"bytes {start} to {end} of a file of {size}")
        if size == 0:
            return Stored(0, 0, 0, _nothing())
        with _translated(key):
            result = await self._store.get_async(key, options={"range": (start, stop)})
        return Stored(size, start, stop, _chunks(key, aiter(result.stream(min_chunk_size=CHUNK_BYTES))))

    def download(self, key: str, media_type: str, disposition: str) -> str | None:
        """Return an address that gives a file to whoever has it for some minutes; None where only we can give it."""
        return None if self.bucket is None else self.bucket.download(check_key(key), media_type, disposition)

    async def fetch(self, key: str, target: Path) -> None:
        """Write the file to `target` on this machine. Errors: FileNotFoundError."""
        file = await to_thread(target.open, "wb")
        try:
            async with asyncio.timeout(FETCH_S):
                stored = await self.get(key)
                async for chunk in stored.chunks:
                    await to_thread(file.write, chunk)
        except TimeoutError as error:
            raise StorageError(f"{key}: not here after {FETCH_S:g} seconds") from error
        finally:
            await to_thread(file.close)

    async def copy(self, key: str, to: str) -> None:
        """Store the file `key` under another key, too; atomic. Errors: FileNotFoundError; StorageError."""
        with _translated(key):
            await self._store.copy_async(check_key(key), check_key(to))
        if self._folder is not None:
            await to_thread(_reach_disk, self._folder / to, self._folder)

    async def size(self, key: str) -> int | None:
        """Return how many bytes lie under `key`; None if there is no such file."""
        try:
            with _translated(key):
                return (await self._store.head_async(check_key(key)))["size"]
        except FileNotFoundError:
            return None

    async def delete(self, keys: Iterable[str]) -> None:
        """Delete files, and what a `put` that was cut short left of them; those already gone are no error."""
        room = asyncio.Semaphore(DELETES_AT_ONCE if self.bucket is not None else 1)
        checked = [check_key(key) for key in keys]
        done = await asyncio.gather(*(self._delete(key, room) for key in checked), return_exceptions=True)
        for failure in filter(None, done):
            raise failure

    async def _delete(self, key: str, room: asyncio.Semaphore) -> None:
        async with room:
            with _translated(key), contextlib.suppress(FileNotFoundError):
                await self._store.delete_async(key)
            if self._folder is not None:
                await to_thread(_delete_staged, self._folder / key)

    async def list(self, prefix: str | None = None) -> AsyncIterator[Listed]:
        """Go through every file under `prefix` (whole path segments), in no order."""
        with _translated(prefix or "everything"):
            async for batch in self._store.list(prefix):
                for found in batch:
                    yield Listed(found["path"], found["size"], found["last_modified"].timestamp())


def _shard(identifier: str) -> str:
    return identifier[-2:]  # the random end of an id: spreads files evenly over at most 1,296 folders


@contextlib.contextmanager
def _translated(key: str) -> Iterator[None]:
    try:
        yield
    except BaseError as error:
        raise StorageError(f"{key}: {told(error)}") from error


async def _chunks(key: str, stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    with _translated(key):
        async for chunk in stream:
            yield bytes(chunk)


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""


def _reach_disk(path: Path, root: Path) -> None:
    """Make a renamed file and the folders that lead to it survive a power cut."""
    for place in (path, *(parent for parent in path.parents if parent.is_relative_to(root))):
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _delete_staged(path: Path) -> None:
    """Delete `KEY#1`, `KEY#2`, …: obstore writes there before it renames, and a killed process leaves them."""
    with contextlib.suppress(FileNotFoundError):  # the folder goes with its last file, whoever deletes that
        for staged in path.parent.glob(f"{path.name}#*"):
            staged.unlink(missing_ok=True)
