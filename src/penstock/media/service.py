"""The media service: what endpoints and the job flow ask for. Opens transactions; pixels are left to children.

An upload:   receive -> clean (child) -> [remember pending] -> put -> [keep file + insert upload]   each [ ] one commit
A result:    finish (child) -> [remember pending] -> put -> [keep files + insert result + settle]   the last by `jobs`

Killed anywhere in between, the file's row is there and pending, and the sweep takes both away.
"""

import asyncio
import hashlib
import random
import shutil
import tempfile
from asyncio import to_thread
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import structlog
from starlette.requests import Request

from penstock.imaging.corners import Corners
from penstock.kit.checkpoints import checkpoint
from penstock.kit.children import ChildError, Children
from penstock.kit.database import Database, Transaction
from penstock.kit.errors import Action, Problem, not_found
from penstock.kit.ids import new_id
from penstock.kit.patience import Patient
from penstock.media import finish as finishing
from penstock.media import finish_video as finishing_video
from penstock.media import prepare as preparing
from penstock.media import queries, slip_queries
from penstock.media.decode import EXTENSIONS
from penstock.media.errors import RefusedPictureError, file_too_large, unreadable
from penstock.media.finish import Dress, Made
from penstock.media.finish_video import VideoDress
from penstock.media.prepare import Cleaned, Prepared
from penstock.media.queries import NewFile, Result, Upload, Variant
from penstock.media.receive import Received, received
from penstock.media.slip_queries import Slip
from penstock.media.storage import Storage, StorageError, Stored, result_key, upload_key
from penstock.media.sweep import Swept, bury, clear_scratch, sweep
from penstock.product.schema import Uploads

BYTES_PER_MB: Final = 1_000_000
MAX_LIVE_UPLOADS: Final = 50  # of one account, not yet expired
MAX_UPLOADS_AT_ONCE: Final = 32  # temporary files of at most uploads.max_mb each
BUSY_RETRY_S: Final = 5.0
CLEAN_S: Final = 120.0  # a hundred megapixels take 5 to 20 s on a busy machine
PREPARE_S: Final = 60.0
FINISH_S: Final = 120.0
FINISH_VIDEO_S: Final = 420.0  # half a minute of video, looked at and encoded anew on a busy machine
STORE_TRIES: Final = 14  # of a job's files; with the pauses between them, two minutes of a storage that is away
STORE_FIRST_PAUSE_S, STORE_MOST_PAUSE_S = 0.5, 15.0
PRELOAD: Final = (
    "cv2",
    "numpy",
    "PIL.JpegImagePlugin",
    "PIL.MpoImagePlugin",
    "PIL.PngImagePlugin",
    "PIL.WebPImagePlugin",
    "penstock.media.finish",
    "penstock.media.finish_video",
    "penstock.media.prepare",
)
"""For `Children(preload=…)`: what the work on pictures needs."""

OTHER_EXTENSIONS: Final = {"image/svg+xml": "svg", "application/pdf": "pdf", "video/mp4": "mp4"}

log = structlog.get_logger()


class MediaService:
    """Uploads, prepared pictures and results of one process.

    Args:
        scratch: a folder for temporary files, on a disk with room for `MAX_UPLOADS_AT_ONCE` uploads.
        uploads: gives the product file's present limits of uploads.
    """

    def __init__(
        self,
        database: Database,
        storage: Storage,
        children: Children,
        scratch: Path,
        uploads: Callable[[], Uploads],
    ) -> None:
        self.database = database
        self.storage = storage
        self._children = children
        self.scratch = scratch
        self._uploads = uploads
        self._room = asyncio.Semaphore(MAX_UPLOADS_AT_ONCE)
        scratch.mkdir(parents=True, exist_ok=True)

    # ---- uploads ----

    @property
    def max_bytes(self) -> int:
        """How large the file of an upload may be now."""
        return self._uploads().max_mb * BYTES_PER_MB

    @asynccontextmanager
    async def room(self) -> AsyncIterator[None]:
        """Hold one of the places for temporary files. Errors: Problem `busy`."""
        if self._room.locked():
            raise Problem("busy", "Many pictures are being uploaded. Try again shortly.", retry_after_s=BUSY_RETRY_S)
        async with self._room:
            yield

    async def receive(self, request: Request, account_id: str) -> Upload:
        """Take the picture in a request's body.

        Errors: Problem `too_large`, `unsupported_media`, `invalid_input`, `plan_limit`, `busy`, `unavailable`.
        """
        async with self.room():
            await self.database.read(check_live_uploads, account_id)
            try:
                async with received(request, self.scratch, self.max_bytes) as original:
                    return await self.accept(original, account_id)
            except (OSError, StorageError) as error:  # a full disk, a bucket that is away
                raise not_stored(error, account_id) from error

    async def take_file(self, path: Path, account_id: str) -> Upload:
        """Take a picture from this machine's disk, which stays as it is. Errors: as `receive`, and OSError."""
        if (await to_thread(path.stat)).st_size > self.max_bytes:
            raise file_too_large(self.max_bytes)
        async with self._room:
            with tempfile.TemporaryDirectory(dir=self.scratch, prefix="work-") as folder:
                copy = Path(folder) / "original"
                await to_thread(shutil.copyfile, path, copy)
                return await self.accept(await to_thread(look_at, copy), account_id)

    async def accept(self, original: Received, account_id: str, slip: Slip | None = None) -> Upload:
        """Make an upload of what came, with the slip that it came with, if it did.

        Errors: Problem `unsupported_media`, `invalid_input`, `too_large`, `plan_limit`; OSError, StorageError.
        """
        upload_id = new_id("upl")  # of a slip, its file's own: another try may have left one behind
        clean_path = original.path.with_name(f"{upload_id}.jpg")
        try:
            cleaned = await self._clean(original, clean_path)
            key = upload_key(upload_id, EXTENSIONS["image/jpeg"])
            file = NewFile(key, "image/jpeg", cleaned.bytes)
            await self._remember(account_id, [file])
            await self._put(file, clean_path)
        finally:
            clean_path.unlink(missing_ok=True)
        upload = Upload(
            id=upload_id if slip is None else slip.id,
            account_id=account_id,
            key=key,
            media_type=cleaned.media_type,
            bytes=original.bytes,
            width=cleaned.width,
            height=cleaned.height,
            sha256=original.sha256,
            corners=cleaned.corners,
            created_at=0.0,
            expires_at=0.0,
        )
        kept = await self.database.write(_insert_upload, upload, self._uploads().keep_hours * 3_600.0, slip)
        checkpoint("upload.kept")
        return kept

    async def _clean(self, original: Received, target: Path) -> Cleaned:
        try:
            return await self._children.call(preparing.clean, original.path, target, timeout_s=CLEAN_S)
        except RefusedPictureError as error:
            raise error.problem() from error
        except ChildError as error:  # too much memory or time, or worse: with a sound picture it doesn't happen
            log.warning("upload.child_lost", sha256=original.sha256, bytes=original.bytes, error=str(error))
            raise unreadable().problem() from error

    async def upload(self, upload_id: str, account_id: str) -> Upload:
        """Return one of an account's uploads. Errors: Problem `not_found`."""
        upload = await self.database.read(queries.upload_of, upload_id, account_id)
        if upload is None:
            raise not_found("upload")
        return upload

    # ---- the job flow ----

    async def prepare(
        self, upload: Upload, folder: Path, name: str, *, corners: Corners | None, resolution: str
    ) -> Prepared:
        """Write what a provider gets to `folder`; see `penstock.media.prepare.prepare`.

        Errors: RefusedPictureError; FileNotFoundError if the upload is gone; ChildError, StorageError.
        """
        clean_path = folder / f"{name}.clean.jpg"
        try:
            await self._patiently(lambda: self.storage.fetch(upload.key, clean_path))
            return await self._children.call(
                preparing.prepare, clean_path, folder, name, corners, resolution, timeout_s=PREPARE_S
            )
        finally:
            clean_path.unlink(missing_ok=True)

    async def finish(self, before: Path | None, after: Path, folder: Path, dress: Dress) -> tuple[Made, ...]:
        """Check a provider's picture and write the files of the result; see `penstock.media.finish.finish`.

        Errors: BadResultError; ChildError.
        """
        return await self._children.call(finishing.finish, before, after, folder, dress, timeout_s=FINISH_S)

    async def finish_video(self, after: Path, folder: Path, dress: VideoDress) -> tuple[Made, ...]:
        """Check a provider's video and write the files of the result; see `penstock.media.finish_video`.

        Errors: BadResultError; ChildError.
        """
        return await self._children.call(finishing_video.finish_video, after, folder, dress, timeout_s=FINISH_VIDEO_S)

    async def store_result(self, account_id: str, result_id: str, made: Sequence[Made]) -> tuple[Variant, ...]:
        """Put a result's files into storage, pending until `queries.insert_result` in settle's transaction.

        A storage or a database that is away for a while is waited for: the work is done and perhaps paid.

        Errors: StorageError, DatabaseUnavailableError.
        """
        variants = tuple(
            Variant(
                name=file.name,
                key=result_key(result_id, file.name, extension_of(file.media_type)),
                media_type=file.media_type,
                bytes=file.bytes,
                width=file.width,
                height=file.height,
                duration_s=file.duration_s,
            )
            for file in made
        )
        files = [NewFile(variant.key, variant.media_type, variant.bytes) for variant in variants]
        await self._remember(account_id, files, Patient(self.database))
        for file, new in zip(made, files, strict=True):
            await self._patiently(partial(self._put, new, file.path))
        return variants

    async def copy_result(self, source: Result, account_id: str, result_id: str) -> tuple[Variant, ...]:
        """Copy a result's files for another one, pending until `queries.insert_result` in settle's transaction.

        Errors: FileNotFoundError if one of them is gone; StorageError.
        """
        variants = tuple(
            replace(variant, key=result_key(result_id, variant.name, extension_of(variant.media_type)))
            for variant in source.variants
        )
        await self._remember(account_id, [NewFile(each.key, each.media_type, each.bytes) for each in variants])
        for before, after in zip(source.variants, variants, strict=True):
            await self._patiently(partial(self._copy, before.key, after.key))
        return variants

    async def _copy(self, key: str, to: str) -> None:
        await self.storage.copy(key, to)
        checkpoint("store.copied")

    async def _remember(self, account_id: str, files: Sequence[NewFile], patient: Patient | None = None) -> None:
        await (patient or self.database).write(queries.remember_pending, account_id, files)
        checkpoint("store.remembered")

    async def _put(self, file: NewFile, path: Path) -> None:
        await self.storage.put(file.key, path)
        checkpoint("store.put")

    async def _patiently(self, do: Callable[[], Awaitable[None]]) -> None:
        """Do what a bucket that is away for a while, or asks for less, shall not end. Errors: StorageError, at last."""
        tries = 1 if self.storage.bucket is None else STORE_TRIES
        for attempt in range(1, tries + 1):
            try:
                return await do()
            except StorageError as error:
                if attempt == tries:
                    raise
                log.warning("storage.waited_for", attempt=attempt, error=str(error))
            pause = min(STORE_MOST_PAUSE_S, STORE_FIRST_PAUSE_S * 2 ** (attempt - 1))
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads, hides nothing
        return None

    # ---- results ----

    async def result(self, result_id: str, account_id: str) -> Result:
        """Return one of an account's results. Errors: Problem `not_found`, also when it is deleted or expired."""
        result = await self.database.read(queries.result_of, result_id, account_id)
        if result is None or result.deleted_at is not None:
            raise not_found("result")
        return result

    async def open(self, key: str, start: int = 0, end: int | None = None) -> Stored:
        """Open a stored file. Errors: Problem `not_found`."""
        try:
            return await self.storage.get(key, start, end)
        except FileNotFoundError as error:
            raise not_found("file") from error

    async def delete(self, result_id: str, account_id: str) -> None:
        """Delete a result; when this returns the bytes are gone. Repeating it changes nothing.

        Errors: Problem `not_found`; StorageError if they can't be deleted now: the sweep will, and so does a repeat.
        """
        keys = await self.database.write(_delete_result, result_id, account_id)
        checkpoint("result.doomed")
        await bury(self.database, self.storage, keys)

    # ---- maintenance ----

    async def sweep(self) -> Swept:
        """Clean up; see `penstock.media.sweep`. Call it every minute or so."""
        await clear_scratch(self.scratch)
        return await sweep(self.database, self.storage)


def extension_of(media_type: str) -> str:
    """Return what the names of files of this type end in, without the dot."""
    return EXTENSIONS.get(media_type) or OTHER_EXTENSIONS[media_type]


def not_stored(error: Exception, account_id: str) -> Problem:
    """Return what a customer is told when a picture could not be kept; tells operators why."""
    log.error("upload.not_stored", account=account_id, error=str(error))
    return Problem("unavailable", "Pictures can't be stored right now. Try again later.")


def look_at(path: Path) -> Received:
    """Measure a file. Errors: OSError."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Received(path, path.stat().st_size, digest)


def check_live_uploads(tx: Transaction, account_id: str) -> None:
    """See to it that an account may have another upload. Errors: Problem `plan_limit`."""
    live = queries.live_uploads(tx, account_id, MAX_LIVE_UPLOADS)
    if live + slip_queries.open_slips(tx, account_id, MAX_LIVE_UPLOADS) >= MAX_LIVE_UPLOADS:
        raise Problem(
            "plan_limit",
            f"You have {MAX_LIVE_UPLOADS} uploads that are not used up yet. Work on those, or wait until they expire.",
            actions=[Action("wait", "Wait until the oldest expires")],
        )


def _insert_upload(tx: Transaction, upload: Upload, keep_s: float, slip: Slip | None) -> Upload:
    if slip is not None and not slip_queries.end_slip(tx, slip):
        raise Problem("wrong_state", "This picture took too long and is being looked at anew. Ask again shortly.")
    tx.alone(f"uploads {upload.account_id}")
    check_live_uploads(tx, upload.account_id)
    kept = replace(upload, created_at=tx.now, expires_at=tx.now + keep_s)
    queries.keep(tx, [kept.key])
    queries.insert_upload(tx, kept)
    return kept


def _delete_result(tx: Transaction, result_id: str, account_id: str) -> list[str]:
    result = queries.result_of(tx, result_id, account_id)
    if result is None:
        raise not_found("result")
    return queries.delete_result(tx, result)
