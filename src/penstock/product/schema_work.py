"""What customers may ask for: operations with their inputs, options and routes."""

import math
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from penstock.product.schema_parts import Cost, InputKind, Name, OptionKind, Part, Sentence, Title

MAX_PRICE_CREDITS = 10_000  # of one result, whatever the customer sets
STEP_TOLERANCE = 1e-6  # steps


class Template(Part):
    """A text to start from."""

    title: Title = Field(description="what customers choose", examples=["A login flow"])
    text: str = Field(min_length=1, max_length=20_000, description="what then stands in the field, to be changed")


class Input(Part):
    """One thing that an operation needs from the customer."""

    kind: InputKind = Field(description="a picture to upload, or a text to write", examples=["picture"])
    title: Title = Field(description="what customers read above it", examples=["Your photograph"])
    required: bool = Field(default=True, description="whether the operation can do without it")
    max_characters: int = Field(default=2_000, ge=1, le=20_000, description="longest text, for texts only")
    templates: tuple[Template, ...] = Field(
        default=(), max_length=20, strict=False, description="texts to start from, for texts only"
    )


class Choice(Part):
    """One value of an option of kind `choice`."""

    value: Name = Field(description="what the provider gets", examples=["auto"])
    title: Title = Field(description="what customers read", examples=["Automatic"])


class Option(Part):
    """One thing that a customer may set."""

    kind: OptionKind = Field(
        description="one of several, on or off, a number on a slider, or the four corners of a print",
        examples=["toggle"],
    )
    title: Title = Field(description="what customers read beside it", examples=["Take out the grain"])
    description: Sentence | None = Field(default=None, description="a sentence that says what it does")
    default: str | bool | float | None = Field(
        default=None, description="where it starts; absent: the first choice, off, or `min`; not for `corners`"
    )
    choices: tuple[Choice, ...] = Field(
        default=(), max_length=40, strict=False, description="for `choice`: two at least"
    )
    min: float | None = Field(default=None, description="for `range`: the lowest number")
    max: float | None = Field(default=None, description="for `range`: the highest number")
    step: float | None = Field(
        default=None, gt=0, description="for `range`: only `min` and whole steps above it are taken; absent: any number"
    )

    @property
    def start(self) -> str | bool | float | None:
        """The value of an option that the customer has not touched; None for corners: found in the picture."""
        if self.default is not None:
            return self.default
        starts: dict[OptionKind, str | bool | float | None] = {
            "choice": self.choices[0].value if self.choices else None,
            "toggle": False,
            "range": self.min,
            "corners": None,
        }
        return starts[self.kind]


def on_step(number: float, low: float, step: float) -> bool:
    """Whether a number is whole steps above `low`; what decimals lose in binary is passed over.

    So are steps that nobody can count: of nan or inf, or too small.
    """
    steps = (number - low) / step
    return not math.isfinite(steps) or abs(math.remainder(steps, 1)) < STEP_TOLERANCE


class Leg(Part):
    """One provider of a route, where more is to be said than its name."""

    provider: Name = Field(description="name of the provider", examples=["local"])
    weight: int | None = Field(
        default=None,
        ge=1,
        le=1_000,
        description="its share of the work, beside its neighbours that have one too; absent: asked in its place",
    )
    max_cost_usd: Cost | None = Field(
        default=None, description="US dollars that a job may have cost after asking this provider, at most"
    )


NAMED, NUMBERED, TABLED = "(name)", "(number)", "(table)"
"""In the path of a mistake, as which of its two shapes a value was read; no key of a file is called so."""

RouteEntry = Annotated[
    Annotated[Name, Tag(NAMED)] | Annotated[Leg, Tag(TABLED)],
    Discriminator(lambda value: TABLED if isinstance(value, dict | Leg) else NAMED),
]


class PriceTable(Part):
    """A price that depends on what the customer sets: `base`, and what is added to it."""

    base: int = Field(ge=0, le=MAX_PRICE_CREDITS, description="credits that one result costs at least", examples=[2])
    per: dict[Name, Annotated[float, Field(ge=0, le=MAX_PRICE_CREDITS)]] = Field(
        default={},
        description="credits for each 1 of an option of kind `range`, by option; the sum is rounded up",
        examples=[{"seconds": 0.5}],
    )
    by: dict[Name, dict[Name, Annotated[int, Field(ge=0, le=MAX_PRICE_CREDITS)]]] = Field(
        default={},
        description="credits for every value of a `choice`, or for `true` and `false` of a `toggle`, by option",
        examples=[{"quality": {"draft": 0, "fine": 3}}],
    )


Price = Annotated[
    Annotated[int, Field(ge=0, le=MAX_PRICE_CREDITS), Tag(NUMBERED)] | Annotated[PriceTable, Tag(TABLED)],
    Discriminator(lambda value: TABLED if isinstance(value, dict | PriceTable) else NUMBERED),
]


class Operation(Part):
    """One thing that customers pay for."""

    title: Title = Field(description="what customers choose", examples=["Restore a photograph"])
    description: Sentence = Field(
        description="what it does, for customers", examples=["Takes out scratches and brings the colours back."]
    )
    limitations: Sentence | None = Field(default=None, description="what it honestly can't do; customers see it")
    task: Name = Field(description="what the provider is asked to do, such as `restore`", examples=["restore"])
    prompt: str | None = Field(
        default=None, min_length=1, max_length=8_000, description="instructions, for providers that take a prompt"
    )
    inputs: dict[Name, Input] = Field(
        min_length=1,
        description="what it needs from the customer, by name",
        examples=[{"picture": {"kind": "picture", "title": "Your photograph"}}],
    )
    options: dict[Name, Option] = Field(default={}, description="what customers may set, by name")
    output: Literal["picture", "video", "text"] = Field(default="picture", description="what comes out")
    price: Price = Field(
        description="credits that one result costs; a table where that depends on what the customer sets", examples=[2]
    )
    route: tuple[RouteEntry, ...] = Field(
        min_length=1,
        strict=False,
        description="providers in the order in which they are tried, each by its name or as a table",
        examples=[["local"]],
    )
    max_cost_usd: Cost | None = Field(
        default=None,
        description="US dollars that a job may cost us, at most: providers that would make it more are passed over",
    )
    timeout_s: int = Field(default=300, ge=1, le=3_600, description="seconds that one attempt may take")
    cache: Literal["account", "everyone"] | None = Field(
        default=None,
        description="give the stored result to an identical request, by the same customer or by anyone; absent: never",
    )
    cache_price: int = Field(default=0, ge=0, le=1_000_000, description="credits that a stored result costs")
    allow_second_charge: bool = Field(
        default=False, description="send again although the provider may have billed an attempt whose answer was lost"
    )

    @cached_property
    def legs(self) -> tuple[Leg, ...]:
        """The route with every provider as a table."""
        return tuple(Leg(provider=each) if isinstance(each, str) else each for each in self.route)

    @property
    def providers(self) -> tuple[str, ...]:
        """The names of the providers of the route, in its order."""
        return tuple(each if isinstance(each, str) else each.provider for each in self.route)
