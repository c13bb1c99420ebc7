"""The JSON of plans and top-ups."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

PLAN_EXAMPLE: dict[str, Any] = {
    "id": "remember",
    "title": "Remember",
    "description": "For an album: 25 credits a month.",
    "price_usd_month": "7.99",
    "price_usd_year": "79.90",
    "credits_month": 25,
    "features": ["No watermark"],
    "limits": {"running": 1, "jobs_per_hour": None, "jobs_per_day": None},
    "resolution": "720p",
    "watermark": False,
    "keep_days": None,
}


class PlanLimitsView(BaseModel):
    """What a plan allows; null: no limit."""

    running: int = Field(description="jobs at one time; more of them wait")
    jobs_per_hour: int | None
    jobs_per_day: int | None


class PlanView(BaseModel):
    """A plan that customers can have."""

    model_config = ConfigDict(json_schema_extra={"examples": [PLAN_EXAMPLE]})

    id: str
    title: str
    description: str
    price_usd_month: str | None = Field(description="US dollars a month; null: free")
    price_usd_year: str | None = Field(description="US dollars for a year paid at once; null: by the month only")
    credits_month: int = Field(description="credits that come each month")
    features: list[str]
    limits: PlanLimitsView
    resolution: str = Field(description="the size of results")
    watermark: bool
    keep_days: int | None = Field(description="days until results are deleted; null: kept")


class TopUpView(BaseModel):
    """Credits bought once."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"id": "small", "credits": 10, "price_usd": "4.99"}]})

    id: str
    credits: int
    price_usd: str


class PlanList(BaseModel):
    """Every plan, the free one first."""

    items: list[PlanView]


class TopUpList(BaseModel):
    """Every top-up."""

    items: list[TopUpView]
