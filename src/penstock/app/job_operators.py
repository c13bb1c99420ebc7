"""What operators see of jobs and of money over HTTP: `GET /admin/jobs/{id}` and `GET /admin/costs`."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from penstock.app.operators import staff_only
from penstock.jobs import cost_summary
from penstock.jobs.cost_summary import DAY_S, MAX_DAYS, CostLine
from penstock.jobs.inspect import Inspected, inspect
from penstock.kit.caller import RequiredCaller
from penstock.kit.clock import optional_rfc3339, rfc3339
from penstock.kit.database import Database, Row
from penstock.providers.prices import dollars

router = APIRouter(prefix="/admin", tags=["admin"])

_USD = "US dollars, to the millionth"
_ATTEMPT_EXAMPLE: dict[str, JsonValue] = {
    "number": 1,
    "provider": "gemini",
    "state": "finished",
    "reference": None,
    "failure": None,
    "detail": None,
    "cost_usd": "0.0336",
    "cost_estimated": False,
    "tokens": 1380,
    "started_at": "2026-11-20T09:30:01.100Z",
    "finished_at": "2026-11-20T09:30:09.900Z",
}


class AttemptView(BaseModel):
    """One try of a job at one provider."""

    number: int = Field(description="of the claim in which it was made; grows")
    provider: str
    state: str = Field(description="`sending`, `submitted`, `finished` or `failed`")
    reference: str | None = Field(description="the provider's id of the work")
    failure: str | None = Field(description="the kind of failure")
    detail: str | None = Field(description="what the provider said")
    cost_usd: str | None = Field(description=f"{_USD}; null: not known")
    cost_estimated: bool = Field(description="the vendor reported nothing: it is what the product file says")
    tokens: int | None
    started_at: str
    finished_at: str | None

    @classmethod
    def of(cls, row: Row) -> "AttemptView":
        """Show a row of the attempts."""
        cost, times = row["cost_microdollars"], ("started_at", "finished_at")
        shown = {name: row[name] for name in cls.model_fields if name in row and name not in times}
        shown |= {name: optional_rfc3339(row[name]) for name in times}
        return cls(**{**shown, "cost_estimated": bool(row["cost_estimated"])}, cost_usd=_dollars(cost))


class InspectedJob(BaseModel):
    """A job with its attempts, its money, and why its route went as it did; not what the customer wrote or sent."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "job_0h3kz2v9q1m4x7c2b8n5j6d0s1a",
                    "account": "acc_0h3kz1c7m2x9v4b6n8q0w5e3r1t",
                    "email": "ann@example.org",
                    "operation": "restore",
                    "plan": "plus",
                    "state": "succeeded",
                    "cancel_requested": False,
                    "price": 2,
                    "provider": "gemini",
                    "worker": None,
                    "claims": 1,
                    "attempts": [_ATTEMPT_EXAMPLE],
                    "route": ["Asked gemini, passing over local (failed in this try)."],
                    "credits_earned": 2,
                    "earned_usd": "0.64",
                    "cost_usd": "0.0336",
                    "cost_estimated": False,
                    "cost_unknown": 0,
                    "margin_usd": "0.6064",
                    "cached_from": None,
                    "error": None,
                    "product_version": "9f2c1a7d8e3b4c5f",
                    "created_at": "2026-11-20T09:30:00.250Z",
                    "started_at": "2026-11-20T09:30:01.000Z",
                    "finished_at": "2026-11-20T09:30:10.400Z",
                }
            ]
        }
    )

    id: str
    account: str
    email: str | None = Field(description="null for visitors, and for accounts that were erased")
    operation: str
    plan: str
    state: str
    cancel_requested: bool
    price: int = Field(description="credits")
    provider: str | None = Field(description="who did the work, or was asked last")
    worker: str | None = Field(description="who runs it, or ran it last")
    claims: int = Field(description="how often a worker took it")
    attempts: list[AttemptView] = Field(
        description="calls of providers that bill, and failures of others; oldest first"
    )
    route: list[str] = Field(description="whom the choices of the last try passed over and why, in words")
    credits_earned: int
    earned_usd: str | None = Field(description=f"what was paid for these credits, {_USD}; null: not known")
    cost_usd: str = Field(description=f"of all attempts whose cost is known, {_USD}")
    cost_estimated: bool = Field(description="some of the cost is an estimate")
    cost_unknown: int = Field(description="attempts that were perhaps billed, and nobody knows how much")
    margin_usd: str | None = Field(description=f"earned less cost, {_USD}; null as long as one of them is not known")
    cached_from: str | None = Field(description="the job whose result was given instead of work")
    error: dict[str, Any] | None = Field(description="what the customer was told")
    product_version: str
    created_at: str
    started_at: str | None
    finished_at: str | None

    @classmethod
    def of(cls, found: Inspected) -> "InspectedJob":
        """Show what was found out about a job."""
        job, money = found.job, found.money
        names = ("id", "email", "operation", "plan", "state", "price", "provider", "worker", "cached_from")
        return cls(
            **{name: job[name] for name in names},
            account=job["account_id"],
            cancel_requested=bool(job["cancel_requested"]),
            claims=job["fence"],
            attempts=[AttemptView.of(row) for row in found.attempts],
            route=found.route,
            credits_earned=money.credits,
            earned_usd=_dollars(money.brought_in),
            cost_usd=dollars(money.cost),
            cost_estimated=money.estimated,
            cost_unknown=money.unknown,
            margin_usd=_dollars(money.margin),
            error=None if job["error"] is None else json.loads(job["error"]),
            product_version=job["product_version"],
            created_at=rfc3339(job["created_at"]),
            started_at=optional_rfc3339(job["started_at"]),
            finished_at=optional_rfc3339(job["finished_at"]),
        )


class CostLineView(BaseModel):
    """One operation at one provider on one day."""

    day: str = Field(description="on which the jobs were submitted, in UTC")
    operation: str
    provider: str | None = Field(description="null: answered from the cache")
    attempts: int = Field(description="calls of providers that bill, and failures of others")
    failed: int
    cost_usd: str = Field(description=_USD)
    cost_estimated_usd: str = Field(description=f"the part of it that no vendor reported, {_USD}")
    cost_unknown: int = Field(description="attempts that were perhaps billed, and nobody knows how much")
    succeeded: int = Field(description="jobs that ended well")
    credits_earned: int

    @classmethod
    def of(cls, line: CostLine) -> "CostLineView":
        """Show a line of the summary."""
        return cls(
            day=f"{datetime.fromtimestamp(line.day * DAY_S, UTC):%Y-%m-%d}",
            operation=line.operation,
            provider=line.provider,
            attempts=line.attempts,
            failed=line.failed,
            cost_usd=dollars(line.cost),
            cost_estimated_usd=dollars(line.estimated),
            cost_unknown=line.unknown,
            succeeded=line.succeeded,
            credits_earned=line.credits,
        )


class CostsView(BaseModel):
    """What providers cost and what the work earned."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {
                            "day": "2026-11-20",
                            "operation": "restore",
                            "provider": "gemini",
                            "attempts": 41,
                            "failed": 2,
                            "cost_usd": "1.3104",
                            "cost_estimated_usd": "0.0336",
                            "cost_unknown": 1,
                            "succeeded": 39,
                            "credits_earned": 78,
                        }
                    ],
                    "cost_usd": "1.3104",
                    "credits_earned": 78,
                }
            ]
        }
    )

    items: list[CostLineView] = Field(description="the newest day first, and within it the dearest")
    cost_usd: str = Field(description=f"of all lines, {_USD}")
    credits_earned: int = Field(description="of all lines")


Days = Annotated[int, Query(ge=1, le=MAX_DAYS, description="how many days, today included")]


@router.get("/jobs/{job_id}", summary="Look into a job")
async def inspect_job(request: Request, caller: RequiredCaller, job_id: str) -> InspectedJob:
    """Return anybody's job with its attempts, costs, margin and route; the customer's words and pictures stay out."""
    staff_only(caller)
    database: Database = request.app.state.database
    return InspectedJob.of(await database.read(inspect, job_id))


@router.get("/costs", summary="What providers cost and work earned")
async def list_costs(request: Request, caller: RequiredCaller, days: Days = 7) -> CostsView:
    """Return attempts, failures, cost and credits earned by day, operation and provider."""
    staff_only(caller)
    database: Database = request.app.state.database
    lines = await database.read(cost_summary.summary, days)
    return CostsView(
        items=[CostLineView.of(line) for line in lines],
        cost_usd=dollars(sum(line.cost for line in lines)),
        credits_earned=sum(line.credits for line in lines),
    )


def _dollars(microdollars: int | None) -> str | None:
    return None if microdollars is None else dollars(microdollars)
