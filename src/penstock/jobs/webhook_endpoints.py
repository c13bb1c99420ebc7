"""Webhooks of vendors over HTTP; what they lead to stands in `webhooks`. Mounted beside `endpoints`."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from penstock.jobs import webhooks
from penstock.jobs.endpoints import TheFlow

JobNamed = Annotated[str, Query(max_length=webhooks.MAX_JOB_CHARACTERS, description="the job that it is about")]

router = APIRouter(tags=["jobs"])


@router.post("/webhooks/runpod", status_code=204, summary="Take a webhook of RunPod")
async def take_runpod_webhook(flow: TheFlow, job: JobNamed) -> None:
    """Take it as a hint to look after the job's work now. RunPod signs nothing, so nothing else of it is read."""
    webhooks.hear(flow, job)


@router.post("/webhooks/replicate", status_code=204, summary="Take a webhook of Replicate")
async def take_replicate_webhook(request: Request, flow: TheFlow, job: JobNamed) -> None:
    """Take what Replicate signed as a hint to look after the job's work now."""
    await webhooks.hear_signed(flow, "replicate", job, request.headers, await request.body())
