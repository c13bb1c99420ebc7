"""A stand-in for RunPod serverless: run, status, cancel, health."""

import base64
from collections import deque
from typing import Any

from tests.support.vendors.case import Arrange, Case, next_order
from tests.support.vendors.drawn import film, landscape, tinted
from tests.support.vendors.wire import KEY, Answer, Asked, StandIn

ENDPOINT = "qwen-image-edit-2511"
Document = dict[str, Any]


class RunPodStandIn(StandIn):
    """Takes jobs and does them within a few looks. `endings`: what the next jobs come to instead."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: dict[str, Document] = {}
        self.endings: deque[Document | None] = deque()
        self.looks_needed = 2
        self.cancelled: list[str] = []

    def is_order(self, asked: Asked) -> bool:
        return asked.path.endswith("/run")

    def admitted(self, asked: Asked) -> Answer | None:
        return None if asked.headers.get("authorization") == f"Bearer {KEY}" else Answer(401)

    def look(self, asked: Asked) -> Answer:
        _, version, endpoint, call, *rest = asked.path.split("/")
        if (version, endpoint) != ("v2", ENDPOINT):
            return Answer.json({"error": "endpoint not found"}, 404)
        if call == "health":
            workers = {"idle": 1, "running": 0, "ready": 1, "throttled": 0}
            return Answer.json({"jobs": {"completed": 1, "failed": 0, "inQueue": 3}, "workers": workers})
        job = self.jobs.get(rest[0])
        if job is None:
            return Answer.json({"error": "request does not exist"}, 404)
        if call == "cancel" and asked.method == "POST":
            self.cancelled.append(rest[0])
            job["ending"] = {"status": "CANCELLED"}
            job["looks"] = 0
        return Answer.json(self._state(rest[0], job))

    def _state(self, reference: str, job: Document) -> Document:
        job["looks"] -= 1
        if job["looks"] >= 1:
            return {"id": reference, "status": "IN_QUEUE"}
        if job["looks"] == 0:
            output = {"progress": 0.5, "stage": "denoising"}
            return {"id": reference, "status": "IN_PROGRESS", "delayTime": 9, "output": output}
        return {"id": reference, "delayTime": 9, "executionTime": 2_500, "workerId": "w1", **job["ending"]}

    def work(self, asked: Asked) -> Answer:
        body = asked.json()
        if asked.path != f"/v2/{ENDPOINT}/run":
            return Answer.json({"error": "endpoint not found"}, 404)
        if body["policy"]["ttl"] < 10_000 or body["policy"]["executionTimeout"] < 5_000:
            return Answer.json({"error": "policy: too short"}, 400)
        reference = f"job{len(self.jobs)}-u1"
        ending = self.endings.popleft() if self.endings else None
        self.jobs[reference] = {"looks": self.looks_needed, "ending": ending or self.made(body["input"])}
        return Answer.json({"id": reference, "status": "IN_QUEUE"})

    def made(self, given: Document) -> Document:
        """Return how work ends that goes well."""
        return _made(given)


class RunPodFilms(RunPodStandIn):
    """An endpoint with a model that makes videos; those that are too large for an answer lie at an address."""

    def look(self, asked: Asked) -> Answer:
        if asked.path == "/files/film.mp4":
            return Answer(200, film(), {"content-type": "video/mp4"})
        return super().look(asked)

    def made(self, given: Document) -> Document:
        if "image" not in given and "picture" not in given:
            return {"status": "COMPLETED", "output": {"video": base64.b64encode(film()).decode()}}
        return {"status": "COMPLETED", "output": {"video_url": f"{self.url}/files/film.mp4"}}


def _made(given: Document) -> Document:
    pictures = given.get("images") or [given[name] for name in ("picture", "image") if name in given]
    sent = [base64.b64decode(each.partition(",")[2]) for each in pictures]
    made = tinted(sent[0]) if sent else landscape()
    return {"status": "COMPLETED", "output": {"image": base64.b64encode(made).decode()}}


def ending(**job: Any) -> Arrange:
    """Let the next job end like this."""
    return lambda vendor: vendor.endings.append(job)


_RAISED = '{"error_type": "<class \'RuntimeError\'>", "error_message": "CUDA out of memory", "error_traceback": "…"}'

PICTURES = ("restore", "colourise", "restore_colourise", "edit", "generate", "upscale")
CASE = Case(
    adapter="runpod",
    stand_in=RunPodStandIn,
    settings={"model": ENDPOINT, "cost_usd_second": "0.00116"},
    base="/v2",
    task="edit",
    makes="picture",
    tasks=PICTURES,
    cost=(2_900, True),  # 2.5 s at 0.00116 US dollars: less than is billed, for the start isn't in it
    limited=next_order(Answer.json({"error": "too many requests"}, 429, retry_after="34")),
    limited_silently=next_order(Answer.json({"error": "too many requests"}, 429)),
    used_up={"payment": next_order(Answer.json({"error": "insufficient balance"}, 402))},
    overloaded={
        "server error": next_order(Answer.json({"error": "oh"}, 500)),
        "out of memory": ending(status="FAILED", error=_RAISED),
        "a worker that was lost": ending(status="FAILED", error="job timed out, worker lost"),
        "took too long": ending(status="TIMED_OUT"),
    },
    refusals={
        "failed": ending(status="FAILED", error="NSFW content detected"),
        "completed": ending(status="COMPLETED", output={"error": "blocked by the safety filter"}),
    },
    damaged={
        "half of the base64": ending(status="COMPLETED", output={"image": base64.b64encode(landscape()).decode()[:-3]}),
        "no picture at all": ending(status="COMPLETED", output=[base64.b64encode(b"<svg/>").decode()]),
        "something else": ending(status="COMPLETED", output={"answer": 42}),
        "the worker's mistake": ending(status="FAILED", error="KeyError: 'prompt'"),
        "an inner address": ending(status="COMPLETED", output="http://169.254.169.254/latest/meta-data"),
        "no address": ending(status="COMPLETED", output="https://[::1"),
        "a port that is none": ending(status="COMPLETED", output="https://example.org:99999/a.png"),
        "a time that is none": ending(status="COMPLETED", output={"answer": 42}, executionTime=10**400),
    },
    lost={
        "a result that vanished": ending(status="COMPLETED", output=None),
        "a job that vanished": lambda vendor: vendor.looks.append(Answer.json({"error": "gone"}, 404)),
    },
    endless=lambda vendor: setattr(vendor, "looks_needed", 10**9),
)

VIDEO = Case(
    **{
        **vars(CASE),
        "name": "runpod video",
        "stand_in": RunPodFilms,
        "task": "image_to_video",
        "makes": "video",
        "tasks": ("animate", "image_to_video", "text_to_video"),
        "damaged": {
            "half of the base64": ending(status="COMPLETED", output={"video": base64.b64encode(film()).decode()[:-3]}),
            "a picture instead": ending(status="COMPLETED", output=[base64.b64encode(landscape()).decode()]),
            "a web page instead": ending(status="COMPLETED", output=base64.b64encode(b"<html></html>").decode()),
            "something else": ending(status="COMPLETED", output={"answer": 42}),
            "an inner address": ending(status="COMPLETED", output={"s3_url": "s3://bucket/film.mp4"}),
        },
    }
)
