"""The shape of a product file.

Everything that makes one product different from another stands here; the JSON Schema for editors, the reference in
`docs/product-file.md` and the checks of `penstock check` all come from these models. Unknown keys are errors. Values
are taken as they are written (the number `2` is never read from the text `"2"`). Secrets never stand in the file: a
key ending in `_env` names the environment variable that holds one.

`examples` on a required key is what a mistake's message proposes when the key is missing.
"""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PrivateAttr, StringConstraints

from penstock.product.schema_offer import Donations, Payments, Plan, TopUp
from penstock.product.schema_parts import Colour, Email, Name, Part, Sentence, Title
from penstock.product.schema_providers import Provider
from penstock.product.schema_services import Services
from penstock.product.schema_sign_in import SignIn
from penstock.product.schema_work import Operation


class Brand(Part):
    """How the product looks and speaks: served to the web app as its theme."""

    title: Title = Field(description="the product's name as customers see it", examples=["Rekindle"])
    tagline: Sentence = Field(
        description="one sentence under the title", examples=["Bring your old photographs back to life."]
    )
    accent: Colour = Field(default="#b4512d", description="colour of buttons and links on the light page")
    accent_dark: Colour = Field(default="#e08a5f", description="the same on the dark page")
    support_email: Email | None = Field(default=None, description="where customers write when they need a person")


class Uploads(Part):
    """What customers may upload."""

    max_mb: int = Field(default=50, ge=1, le=50, description="megabytes (1,000,000 bytes) a file")
    keep_hours: int = Field(default=24, ge=1, le=720, description="hours until an upload without a job is deleted")


class Workers(Part):
    """The pool of workers in each process."""

    slots: int = Field(default=4, ge=1, le=1_000, description="jobs run at one time, at most")
    slots_min: int | None = Field(
        default=None,
        ge=1,
        le=1_000,
        description="jobs run at one time when little is to do, growing to `slots` with the queue; absent: `slots`",
    )
    children: int = Field(default=2, ge=1, le=64, description="child processes for picture work")
    grace_s: int = Field(default=30, ge=0, le=600, description="seconds that running jobs get at shutdown")


class Product(Part):
    """A whole product file."""

    name: Name = Field(description="the product's name for machines", examples=["rekindle"])
    brand: Brand = Field(
        description="how it looks and speaks",
        examples=[{"title": "Rekindle", "tagline": "Bring your old photographs back to life."}],
    )
    texts: dict[str, Annotated[str, StringConstraints(max_length=2_000)]] = Field(
        default={}, description="wording, by key; `error.<code>.title` rewords an error"
    )
    sign_in: SignIn = Field(default=SignIn(), description="how customers identify themselves")
    uploads: Uploads = Field(default=Uploads(), description="what they may upload")
    operations: dict[Name, Operation] = Field(min_length=1, description="what they pay for, by name")
    plans: dict[Name, Plan] = Field(
        min_length=1, description="what they have, by name; the first one is free and what new customers get"
    )
    topups: dict[Name, TopUp] = Field(default={}, description="credits bought once, by name")
    payments: Payments = Field(default=Payments(), description="who takes the money")
    donations: Donations | None = Field(default=None, description="what a donation is and does; absent: none are taken")
    providers: dict[Name, Provider] = Field(min_length=1, description="who does the work, by name")
    services: Services = Field(default=Services(), description="what many processes share")
    workers: Workers = Field(default=Workers(), description="how much runs at one time in each process")

    _version: str = PrivateAttr(default="")
    _folder: Path = PrivateAttr(default=Path())

    def model_post_init(self, context: Any, /) -> None:
        """Take version and folder from the validation context, where loading puts them."""
        self._version = (context or {}).get("version", "")
        self._folder = (context or {}).get("folder", Path())

    @property
    def version(self) -> str:
        """The version of the text that this was read from; empty for a product made in code."""
        return self._version

    @property
    def folder(self) -> Path:
        """Where relative paths in the file start: its own folder; of a product made in code, the working folder."""
        return self._folder

    @property
    def default_plan(self) -> str:
        """The plan that new customers get."""
        return next(iter(self.plans))

    @property
    def visitor_plan(self) -> str:
        """The plan of visitors who have not signed up."""
        return self.sign_in.anonymous_plan or self.default_plan

    def worth(self, amount: int) -> str:
        """Return an amount of credits as customers read it: `3 credits`, or `$1.50` where the file wants that."""
        terms = self.payments.amount
        if terms is None or not terms.show_usd:
            return "1 credit" if amount == 1 else f"{amount:,} credits"
        cents = round(100 * amount / terms.credits_per_usd)
        return f"{'-' if cents < 0 else ''}${abs(cents) // 100:,}.{abs(cents) % 100:02d}"
