"""A job from its input to its output, on one GPU, one job at a time.

{"error": …}                  the caller's fault, or a result that has nowhere to go: the job fails, in words
{"error": …, refresh_worker}  the card ran out of memory: RunPod starts a fresh container for the next job
an exception                  our fault: the job fails with the traceback
CancelledError                nobody wants it any more: the steps stop
"""

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from PIL import Image

from penstock_worker.inputs import BadInputError, Wish, read_wish
from penstock_worker.pictures import Download, read_pictures
from penstock_worker.results import Made, ResultTooLargeError, Upload, packed
from penstock_worker.settings import Settings
from penstock_worker.watch import Report, Watch

Job = Mapping[str, Any]
Progress = Callable[[Job, Mapping[str, Any]], None]
"""Tells RunPod how far a job is."""


class OutOfMemoryError(Exception):
    """The card has too little memory for what was asked."""


class Model(Protocol):
    """What draws."""

    def make(self, wish: Wish, pictures: list[Image.Image], watch: Watch) -> Made:
        """Do the work. Errors: OutOfMemoryError; Stopped, soon after the watch says so."""
        ...


class Worker:
    """Takes jobs, each in a thread, so that word of a cancel gets through while the card works."""

    def __init__(
        self, settings: Settings, model: Model, progress: Progress, download: Download, upload: Upload
    ) -> None:
        """Work with a model that is loaded."""
        self._settings = settings
        self._model = model
        self._progress = progress
        self._download = download
        self._upload = upload
        self._card = threading.Lock()

    async def handle(self, job: Job) -> dict[str, Any]:
        """Return a job's output. Errors: whatever is our fault."""
        try:
            wish = read_wish(job.get("input"), self._settings)
        except BadInputError as error:
            return {"error": str(error)}
        watch = Watch(self._report(job))
        work = asyncio.ensure_future(asyncio.to_thread(self._do, job, wish, watch))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            watch.stop()
            # Not before the card is free: the next job would wait for it, on the clock.
            await asyncio.gather(work, return_exceptions=True)
            raise

    def _do(self, job: Job, wish: Wish, watch: Watch) -> dict[str, Any]:
        try:
            pictures = read_pictures(wish.pictures, self._download)
            with self._card:
                watch.check()
                made = self._model.make(wish, pictures, watch)
            watch.check()
            return packed(made, job, self._settings.bucket, self._upload)
        except (BadInputError, ResultTooLargeError) as error:
            return {"error": str(error)}
        except OutOfMemoryError as error:
            return {"error": f"out of memory: {error}", "refresh_worker": True}

    def _report(self, job: Job) -> Report:
        return lambda stage, share: self._progress(job, {"stage": stage, "progress": share})
