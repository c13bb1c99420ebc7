"""RunPod serverless: one's own or a public endpoint; found again after a crash by the job's id.

`model` is the endpoint's id. A result is kept for half an hour. The vendor deletes a job when its time to live is over
even while it runs, so that is set well beyond what the job may take.
"""

import asyncio
from typing import Any
from urllib.parse import quote

from penstock.product.adapters import FILMS
from penstock.providers.documents import read, table, text
from penstock.providers.http import Reply
from penstock.providers.models import failed, file_in, form, nothing_in
from penstock.providers.pictures import read_pictures, written
from penstock.providers.prices import Bill, reported_bill, timed_bill
from penstock.providers.seam import Attempt, Finished, Health, ProviderError, Request, Running, Submitted
from penstock.providers.vendor import JSON, Vendor, packed

MAX_PICTURE_BYTES = 7_000_000  # 10 MB is the vendor's limit for a request, and base64 adds a third
MIN_EXECUTION_MS, MIN_TTL_MS, MAX_MS = 5_000, 10_000, 604_800_000
MS = 1_000

_WAITING = frozenset({"IN_QUEUE", "IN_PROGRESS", "RUNNING"})


class RunPodProvider(Vendor):
    """Speaks `run`, `status`, `cancel` and `health`."""

    tasks = frozenset({"restore", "colourise", "restore_colourise", "edit", "generate", "upscale"}) | FILMS
    reattachable = True
    base_url = "https://api.runpod.ai/v2"

    async def submit(self, request: Request, attempt: Attempt) -> Submitted:
        """Hand the work over. Errors: ProviderError."""
        body = await asyncio.to_thread(self._body, request, attempt)
        reply = await self._http.order(self._path("run"), timeout_s=attempt.timeout_s, content=body, headers=JSON)
        if not reply.ok:
            raise self._failure(reply)
        reference = text(self._document(reply).get("id"))
        if not reference:
            raise ProviderError("broken", f"no id came back: {reply.said()}")
        return Submitted(reference)

    async def poll(self, reference: str, request: Request) -> Running | Finished:
        """Look after a job. Errors: ProviderError."""
        reply = await self._http.look(self._path("status", reference))
        job = reply.document()
        if not reply.ok or job is None:
            raise self._lost(reply)
        status = text(job.get("status"))
        if status in _WAITING:
            return Running(*_progress(job))
        with self._bill(job).attached():
            if status in {"TIMED_OUT", "CANCELLED"}:
                raise ProviderError("transient", f"the vendor stopped it: {status}", final=True)
            if status == "FAILED" or table(job.get("output")).get("error"):
                raise failed(_words(job))
            if status != "COMPLETED":
                raise ProviderError("unknown", f"the vendor calls it {status!r}")
            found = file_in(job.get("output"))
            if found is None:
                raise nothing_in(job.get("output"), request.task)
            output = await asyncio.to_thread(written, await self._picture(found), request.folder, task=request.task)
        return self._bill(job).finished(output)

    async def cancel(self, reference: str) -> None:
        """Stop a job. Errors: ProviderError."""
        reply = await self._http.look(self._path("cancel", reference), method="POST")
        if not reply.ok:
            raise self._failure(reply)

    def _health_path(self) -> str:
        return self._path("health")

    def _healthy(self, reply: Reply) -> Health:
        document = reply.document() or {}
        workers, jobs = table(document.get("workers")), table(document.get("jobs"))
        counts = ", ".join(f"{name} {number}" for name, number in workers.items())
        return Health(ok=True, detail=f"workers: {counts or 'none'}; waiting: {jobs.get('inQueue', 'unknown')}")

    def _path(self, call: str, reference: str | None = None) -> str:
        path = f"/{quote(self._model, safe='')}/{call}"
        return path if reference is None else f"{path}/{quote(reference, safe='')}"

    def _body(self, request: Request, attempt: Attempt) -> bytes:
        pictures = {each.name: each.data_url() for each in read_pictures(request.pictures, MAX_PICTURE_BYTES)}
        execution = min(MAX_MS, max(MIN_EXECUTION_MS, round(attempt.timeout_s * MS)))
        policy = {"executionTimeout": execution, "ttl": min(MAX_MS, max(MIN_TTL_MS, 2 * execution))}
        told = {} if attempt.webhook_url is None else {"webhook": attempt.webhook_url}
        return packed({"input": form(request, self._settings, pictures), "policy": policy} | told)

    def _bill(self, job: dict[str, Any]) -> Bill:
        """Return the price: a public endpoint names it; of one's own, the time of execution is less than is billed."""
        named = reported_bill(table(job.get("output")).get("cost"))
        if named is not None:
            return named
        took = job.get("executionTime")
        seconds = took / MS if isinstance(took, int | float) and 0 <= took <= MAX_MS else None
        return timed_bill(self._settings, seconds, whole=False)


def _progress(job: dict[str, Any]) -> tuple[str, float | None]:
    """Return stage and share of the work; while it runs, `output` is the last that the worker reported."""
    if job.get("status") == "IN_QUEUE":
        return "waiting for a machine", None
    reported = table(job.get("output"))
    share = reported.get("progress")
    known = isinstance(share, int | float) and not isinstance(share, bool) and 0 <= share <= 1
    return text(reported.get("stage"))[:80] or "working", float(share) if known else None  # type: ignore[arg-type]


def _words(job: dict[str, Any]) -> str:
    """Return what went wrong; an uncaught exception comes as JSON in a text."""
    said = text(job.get("error")) or text(table(job.get("output")).get("error"))
    raised = table(read(said))
    return f"{raised.get('error_type')}: {raised.get('error_message')}" if raised else said
