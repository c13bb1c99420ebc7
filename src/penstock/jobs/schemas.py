"""The JSON of jobs: what customers send and what they get to see."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from penstock.jobs.states import Status
from penstock.kit.errors import ActionKind

MAX_NAME_CHARACTERS = 100
MAX_INPUTS, MAX_OPTIONS = 50, 100  # entries of one request; the product file decides which there are

MAX_TEXT_CHARACTERS = 20_000  # of one input; the product file may allow less

# A length also makes the validator look at the characters: half a surrogate pair is refused here.
Name = Annotated[str, StringConstraints(max_length=MAX_NAME_CHARACTERS)]
Text = Annotated[str, StringConstraints(max_length=MAX_TEXT_CHARACTERS)]

REQUEST_EXAMPLE: dict[str, Any] = {
    "operation": "restore",
    "inputs": {"picture": "upl_0h3kz2v9q1m4x7c2b8n5j6d0s1a"},
    "options": {"grain": True, "tone": 0.85},
}
_JOB_EXAMPLE: dict[str, Any] = {
    "id": "job_0h3kz4a7e9k2v5q8w1n3x6c0b4m",
    "operation": "restore",
    "status": "queued",
    "stage": None,
    "progress": None,
    "position": 3,
    "wait": {"low_s": 4.0, "high_s": 21.5},
    "price": 2,
    "plan": "free",
    "inputs": REQUEST_EXAMPLE["inputs"],
    "options": {"scratches": "auto", "grain": True, "tone": 0.85},
    "result": None,
    "output": None,
    "error": None,
    "attempts": 0,
    "created_at": "2026-11-20T09:30:00.250Z",
    "started_at": None,
    "finished_at": None,
    "product_version": "3f1a9c0b7d2e4a65",
    "cached": False,
}


class JobRequest(BaseModel):
    """What is to be done: an operation of the product with its inputs and options."""

    model_config = ConfigDict(json_schema_extra={"examples": [REQUEST_EXAMPLE]})

    operation: Name = Field(description="the id of an operation, from `GET /product`")
    inputs: dict[Name, Text | None] = Field(
        default={}, max_length=MAX_INPUTS, description="by the operation's names: ids of uploads, or texts"
    )
    options: dict[Name, JsonValue] = Field(
        default={}, max_length=MAX_OPTIONS, description="by the operation's names; what is left out has its default"
    )


class WaitView(BaseModel):
    """How long until a job starts: 10 % of such jobs start before `low_s`, 90 % before `high_s`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"low_s": 4.0, "high_s": 21.5}]})

    low_s: float = Field(description="seconds")
    high_s: float = Field(description="seconds")


class ResultReference(BaseModel):
    """What a job made; `GET /results/{id}` tells more."""

    id: str
    media_type: str
    bytes: int
    width: int = Field(description="pixels")
    height: int = Field(description="pixels")
    expires_at: str | None = Field(description="null: kept")


class ActionView(BaseModel):
    """What can be done instead."""

    kind: ActionKind
    label: str
    url: str | None = None


class JobErrorView(BaseModel):
    """Why a job failed, for the customer."""

    code: str = Field(description="such as `transient`, `refused`, `invalid`, `expired`")
    title: str
    detail: str
    actions: list[ActionView] = []


class JobView(BaseModel):
    """A job as its owner sees it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_JOB_EXAMPLE]})

    id: str
    operation: str
    status: Status
    stage: str | None = Field(description="what is being done to it now; for people")
    progress: float | None = Field(description="0 to 1, while it runs and where it is known")
    position: int | None = Field(description="place in the queue, 1 is the next to start; null once it has started")
    wait: WaitView | None = Field(description="seconds until it starts; null once it has started")
    price: int = Field(description="credits")
    plan: str = Field(description="the plan that it was submitted under")
    inputs: dict[str, Any]
    options: dict[str, Any]
    result: ResultReference | None = Field(description="null until it succeeded, and once its files are deleted")
    output: dict[str, Any] | None = Field(description="what came out beside files, such as a text")
    error: JobErrorView | None
    attempts: int = Field(description="how often it was begun")
    created_at: str
    started_at: str | None
    finished_at: str | None
    product_version: str = Field(description="the version of the product file that it runs under")
    cached: bool = Field(description="the stored result of an identical request is given instead of new work")


class JobPage(BaseModel):
    """Jobs, newest first."""

    items: list[JobView]
    next_cursor: str | None = Field(description="send it as `cursor` for the next page; null on the last one")


class WindowView(BaseModel):
    """Jobs of a sliding window that ends now."""

    used: int
    limit: int | None = Field(description="null: no limit")
    remaining: int | None = Field(description="null: no limit")
    resets_in_s: float | None = Field(description="seconds until the oldest of them no longer counts; null: none does")


class RunningView(BaseModel):
    """Jobs at one time."""

    running: int
    queued: int
    limit: int = Field(description="jobs at one time; more of them wait")


class UsageView(BaseModel):
    """What an account has used of what its plan allows."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "plan": "free",
                    "hour": {"used": 1, "limit": None, "remaining": None, "resets_in_s": 3120.5},
                    "day": {"used": 4, "limit": 10, "remaining": 6, "resets_in_s": 52200.0},
                    "running": {"running": 1, "queued": 0, "limit": 1},
                    "tokens": None,
                }
            ]
        }
    )

    plan: str
    hour: WindowView
    day: WindowView
    running: RunningView
    tokens: dict[str, int] | None = Field(
        description="that models used for the jobs of the last `hour` and `day`; null where no operation writes texts"
    )


class QuoteView(BaseModel):
    """What a job would cost and how long it would wait. Asking changes nothing and reserves nothing."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "price": 2,
                    "cached": False,
                    "credits_after": 1,
                    "wait": {"low_s": 4.0, "high_s": 21.5},
                    "plan_limits": {
                        "hour": {"used": 1, "limit": None, "remaining": None, "resets_in_s": 3120.5},
                        "day": {"used": 4, "limit": 10, "remaining": 6, "resets_in_s": 52200.0},
                        "running": {"running": 1, "queued": 0, "limit": 1},
                    },
                }
            ]
        }
    )

    price: int = Field(description="credits")
    cached: bool = Field(description="an identical request was answered before: its result is given at this price")
    credits_after: int = Field(description="credits that would be left; below 0: so many are missing")
    wait: WaitView
    plan_limits: "PlanLimitsUsed"


class PlanLimitsUsed(BaseModel):
    """What is used of a plan's limits."""

    hour: WindowView
    day: WindowView
    running: RunningView


class EventView(BaseModel):
    """Something that happened to a job; ids grow."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": 812,
                    "type": "job.progress",
                    "job": _JOB_EXAMPLE["id"],
                    "at": "2026-11-20T09:30:04.100Z",
                    "data": {"stage": "finding scratches", "progress": 0.35},
                }
            ]
        }
    )

    id: int
    type: Literal[
        "job.queued",
        "job.position",
        "job.started",
        "job.progress",
        "job.retrying",
        "job.succeeded",
        "job.failed",
        "job.cancelled",
        "job.expired",
    ]
    job: str
    at: str
    data: dict[str, Any]
