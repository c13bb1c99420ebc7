"""What customers may have and buy: plans, top-ups, and who takes their money."""

import math
from typing import Literal

from pydantic import Field

from penstock.product.schema_parts import Address, Dollars, EnvironmentVariable, Name, Part, Resolution, Sentence, Title


class PlanLimits(Part):
    """What a plan allows; work over `running` waits, work over the others is refused with a time to come back."""

    running: int = Field(default=1, ge=1, le=100, description="jobs at one time")
    jobs_per_hour: int | None = Field(default=None, ge=1, description="jobs in any hour; absent: no limit")
    jobs_per_day: int | None = Field(default=None, ge=1, description="jobs in any day; absent: no limit")


class Plan(Part):
    """What a customer has, free or paid."""

    title: Title = Field(description="the plan's name as customers see it", examples=["Free"])
    description: Sentence = Field(description="whom it is for", examples=["Try it on your favourite picture."])
    price_usd_month: Dollars | None = Field(default=None, description="US dollars a month; absent for a free plan")
    price_usd_year: Dollars | None = Field(
        default=None, description="US dollars for a year paid at once; absent: by the month only"
    )
    credits_month: int = Field(default=0, ge=0, le=1_000_000, description="credits that come each month")
    carry_over: bool = Field(default=True, description="whether a month's credits outlive the month")
    features: tuple[Title, ...] = Field(default=(), strict=False, description="lines on the page of plans")
    limits: PlanLimits = Field(default=PlanLimits(), description="how much work it allows")
    head_start_s: int = Field(default=0, ge=0, le=86_400, description="seconds by which its jobs go ahead of others")
    spacing_s: int = Field(default=30, ge=0, le=3_600, description="seconds between the turns of one customer's jobs")
    attempts: int = Field(default=3, ge=1, le=10, description="tries before a job has failed")
    resolution: Resolution = Field(default="720p", description="the size that results get")
    watermark: bool = Field(default=False, description="results carry the product's name")
    keep_days: int | None = Field(default=None, ge=1, le=3_650, description="days until results go; absent: kept")


class TopUp(Part):
    """Credits bought once."""

    credits: int = Field(ge=1, le=1_000_000, description="credits that it brings", examples=[10])
    price_usd: Dollars = Field(description="US dollars", examples=["4.99"])


def whole_credits_cents(credits_per_usd: int) -> int:
    """Return the least amount of money, in cents, that brings whole credits: its multiples are all that do."""
    return 100 // math.gcd(100, credits_per_usd)


class FreeAmount(Part):
    """Credits for an amount of money that the customer chooses."""

    min_usd: Dollars = Field(description="US dollars at least", examples=["5.00"])
    max_usd: Dollars = Field(description="US dollars at most", examples=["200.00"])
    credits_per_usd: int = Field(ge=1, le=10_000, description="credits for each dollar", examples=[2])
    show_usd: bool = Field(
        default=False,
        description="customers read prices and what they have in US dollars, at this rate, instead of in credits",
    )

    @property
    def step_cents(self) -> int:
        """What amounts must be a multiple of, so that nobody pays for a part of a credit."""
        return whole_credits_cents(self.credits_per_usd)


class Donations(Part):
    """Payments of any amount that bring no credits and make a donor of who gives: a plan for a while, or for good."""

    min_usd: Dollars = Field(description="US dollars at least", examples=["3.00"])
    max_usd: Dollars = Field(description="US dollars at most", examples=["500.00"])
    suggested_usd: tuple[Dollars, ...] = Field(
        default=(), max_length=6, strict=False, description="amounts that are one click away"
    )
    plan: Name = Field(description="the plan of donors; it has no price and no credits", examples=["donor"])
    days: int | None = Field(default=None, ge=1, le=3_650, description="days that it stays; absent: for good")
    prompt: Sentence = Field(
        default="This is free for everybody. A donation keeps it running.",
        description="why to give, beside a result and on the page for donations",
    )


class Payments(Part):
    """Who takes the customers' money, and what follows from what they report."""

    provider: Literal["stripe", "polar"] | None = Field(
        default=None, description="who takes the money; absent: a test checkout in development, nothing elsewhere"
    )
    key_env: EnvironmentVariable | None = Field(default=None, description="the variable that holds the secret key")
    webhook_secret_env: EnvironmentVariable | None = Field(
        default=None, description="the variable that holds the secret which signs webhooks"
    )
    base_url: Address | None = Field(
        default=None, description="another address of the same interface, such as a test's or Polar's sandbox"
    )
    grace_days: int = Field(
        default=7, ge=0, le=60, description="days that a plan stays while a renewal has not been paid"
    )
    when_cancelled: Literal["forfeit", "keep"] = Field(
        default="forfeit", description="what becomes of all credits when a subscription has ended"
    )
    amount: FreeAmount | None = Field(default=None, description="lets customers choose how much to pay for credits")
