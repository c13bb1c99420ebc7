"""What is made on a job's way: from a customer's upload to what a provider gets, from its answer to a kept result.

    accept  at submit: the upload is there, is the customer's own, and stays until the job has had its turn
    prepare before the provider: cut, straightened and scaled to the plan, in a child process
    finish  after it: checked, dressed for the plan in a child process, written down as pending, stored
    deliver in settle's transaction: pending files become the result

A crash anywhere leaves pending files at most, which the media sweep takes away.
"""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from penstock.jobs.flow import Claimed, Delivery
from penstock.jobs.maintenance import MAX_QUEUED_S
from penstock.jobs.reading import DiagramReader
from penstock.kit.children import ChildError
from penstock.kit.database import Transaction
from penstock.kit.errors import FieldError, Problem
from penstock.kit.ids import new_id
from penstock.media import queries as media
from penstock.media.errors import BadResultError, RefusedPictureError
from penstock.media.finish import Dress, Made
from penstock.media.finish_video import VideoDress
from penstock.media.queries import Corners, Result
from penstock.media.service import MediaService
from penstock.media.storage import StorageError
from penstock.product.schema_work import Operation
from penstock.providers.seam import Finished, Output, ProviderError

DAY_S = 86_400.0
UPLOAD_STAYS_S = MAX_QUEUED_S + 3_600.0  # how long an upload is kept for a job that was accepted

# Tasks that find the corners by themselves, or whose result has another shape than what they got.
CUTS_ITSELF = frozenset({"perspective"})
LINE_ART = frozenset({"colouring_page"})
# Tasks that make a picture of their own, for which what they got is only a start.
MAKES_ANEW = frozenset({"edit", "generate"})
# Tasks that may find nothing to do; any other that gives back what it got has not done its work.
MAY_NEED_NOTHING = frozenset({"restore"})

_NOTHING_TO_DO = "We found nothing to mend in this picture, so we changed nothing. Your credits are back."


class PictureStudio:
    """The studio of the product: pictures in, pictures or diagrams out."""

    def __init__(self, pictures: MediaService, diagrams: DiagramReader) -> None:
        """Work with the product's pictures, and with what reads diagrams."""
        self._media = pictures
        self._diagrams = diagrams

    def accept(self, tx: Transaction, account_id: str, operation: Operation, inputs: Mapping[str, Any]) -> None:
        """Check that every upload is there and keep it for the job. Errors: `not_found`."""
        for name in _pictures(operation, inputs):
            if not media.extend_upload(tx, inputs[name], account_id, tx.now + UPLOAD_STAYS_S):
                message = "This upload does not exist or has expired. Please upload the picture again."
                raise Problem("not_found", message, errors=[FieldError(f"inputs.{name}", message)])

    def contents(
        self, tx: Transaction, account_id: str, operation: Operation, inputs: Mapping[str, Any]
    ) -> Mapping[str, str] | None:
        """Return the SHA-256 of each picture as it was sent, by input name; None if one is gone."""
        uploads = {name: media.upload_of(tx, inputs[name], account_id) for name in _pictures(operation, inputs)}
        found = {name: upload.sha256 for name, upload in uploads.items() if upload is not None}
        return found if len(found) == len(uploads) else None

    def can_copy(self, tx: Transaction, job_id: str) -> bool:
        """Return whether a job's result is neither deleted nor expired."""
        result = media.result_of_job(tx, job_id)
        return result is not None and _stands(result, tx.now)

    async def copy(self, job: Claimed, source: str) -> Delivery | None:
        """Store copies of the files of `source` as this job's; None if they are gone. Errors: ProviderError."""
        result = await self._media.database.read(media.result_of_job, source)
        if result is None or result.deleted_at is not None:
            return None
        result_id = new_id("res")
        try:
            variants = await self._media.copy_result(result, job.account_id, result_id)
        except FileNotFoundError:  # deleted meanwhile; what was copied is pending and goes by itself
            return None
        except StorageError as error:
            raise ProviderError("transient", f"copying: {error}") from error
        return Delivery(tuple(variant.key for variant in variants), {"id": result_id, "variants": variants})

    async def prepare(self, job: Claimed, folder: Path) -> Mapping[str, Path]:
        """Write the pictures that the provider gets into `folder`, made here; by input name."""
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        ready = {}
        for name in _pictures(job.operation, job.inputs):
            ready[name] = await self._prepare_one(job, name, folder)
        return ready

    async def _prepare_one(self, job: Claimed, name: str, folder: Path) -> Path:
        cuts = job.operation.task not in CUTS_ITSELF
        corners = corners_of(job.options) if cuts else None
        resolution = job.plan.resolution if cuts else "original"
        try:
            upload = await self._media.upload(job.inputs[name], job.account_id)
            made = await self._media.prepare(upload, folder, name, corners=corners, resolution=resolution)
        except (Problem, FileNotFoundError) as error:
            raise ProviderError(
                "invalid", str(error), message="The picture was deleted before its turn came."
            ) from error
        except RefusedPictureError as error:
            raise ProviderError("invalid", str(error), message=error.detail) from error
        except (ChildError, StorageError) as error:
            raise ProviderError("transient", f"preparing: {error}") from error
        return made.path

    async def finish(self, job: Claimed, finished: Finished, folder: Path) -> Delivery:
        """Check and dress what came, and store it as pending files. Errors: ProviderError for a bad result."""
        values = dict(finished.values) or None
        if job.operation.task == "diagram":
            await self._diagrams.check(finished.values.get("mermaid"))
        if not finished.outputs:
            return Delivery(output=values)
        made = await self._dress(job, finished.outputs, folder)
        result_id = new_id("res")
        try:
            variants = await self._media.store_result(job.account_id, result_id, made)
        except StorageError as error:
            raise ProviderError("transient", f"storing: {error}") from error
        return Delivery(tuple(variant.key for variant in variants), {"id": result_id, "variants": variants}, values)

    async def _dress(self, job: Claimed, outputs: Sequence[Output], folder: Path) -> list[Made]:
        full = next((output for output in outputs if output.name == "full"), None)
        if full is None:
            raise ProviderError("broken", "the provider gave files, and none of them is the result")
        try:
            if job.operation.output == "video":
                dressed = await self._media.finish_video(full.path, folder, video_dress_of(job))
            else:
                before = await self._before(job, folder)
                dressed = await self._media.finish(before, full.path, folder, dress_of(job))
        except BadResultError as error:
            if error.fault == "unchanged" and job.operation.task in MAY_NEED_NOTHING:
                raise ProviderError("invalid", str(error), message=_NOTHING_TO_DO) from error
            raise ProviderError("broken", str(error)) from error
        except ChildError as error:
            raise ProviderError("transient", f"finishing: {error}") from error
        return [*dressed, *(_extra(output) for output in outputs if output.name != "full" and not job.plan.watermark)]

    async def _before(self, job: Claimed, folder: Path) -> Path | None:
        """Return what the provider got, made again for work that was found again; None if it was words alone."""
        name = next(iter(_pictures(job.operation, job.inputs)), None)
        if name is None:
            return None
        for suffix in ("png", "jpg"):
            if (path := folder / f"{name}.{suffix}").exists():
                return path
        return (await self.prepare(job, folder))[name]

    def deliver(self, tx: Transaction, job: Claimed, delivery: Delivery) -> str | None:
        """Keep the files and write the result row; returns its id. Errors: ProviderError if the files are gone."""
        if delivery.result is None:
            return None
        kept = job.plan.keep_days
        try:
            result = media.insert_result(
                tx,
                result_id=delivery.result["id"],
                job_id=job.id,
                account_id=job.account_id,
                operation=job.operation_id,
                variants=delivery.result["variants"],
                expires_at=None if kept is None else tx.now + kept * DAY_S,
            )
        except media.FileLostError as error:  # settling came so late that the sweep had given the files up
            raise ProviderError("transient", f"stored too long ago: {error}") from error
        return result.id


def _stands(result: Result, now: float) -> bool:
    return result.deleted_at is None and (result.expires_at is None or result.expires_at > now)


def corners_of(options: Mapping[str, Any]) -> Corners | None:
    """Return the corners that the customer set, clockwise from the top left in 0..1."""
    corners = options.get("corners")
    return None if corners is None else tuple((float(x), float(y)) for x, y in corners)


def dress_of(job: Claimed) -> Dress:
    """Return what the plan and the task make of a result."""
    task = job.operation.task
    return Dress(
        resolution=job.plan.resolution,
        watermark=job.product.brand.title if job.plan.watermark else None,
        lossless=task in LINE_ART,
        keeps_frame=task not in CUTS_ITSELF | LINE_ART | MAKES_ANEW,
        may_be_unchanged=task in CUTS_ITSELF,
    )


def video_dress_of(job: Claimed) -> VideoDress:
    """Return what the plan and the options make of a video."""
    asked = job.options.get("seconds")
    return VideoDress(
        resolution=job.plan.resolution,
        watermark=job.product.brand.title if job.plan.watermark else None,
        asked_s=float(asked) if isinstance(asked, int | float) and not isinstance(asked, bool) else None,
    )


def _pictures(operation: Operation, inputs: Mapping[str, Any]) -> list[str]:
    return [name for name, wanted in operation.inputs.items() if wanted.kind == "picture" and name in inputs]


def _extra(output: Output) -> Made:
    return Made(output.name, output.path, output.media_type, output.path.stat().st_size)
