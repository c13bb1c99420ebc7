"""The shape of a product file.

Everything that makes one product different from another stands here; the JSON Schema for editors, the reference in
`docs/product-file.md` and the checks of `penstock check` all come from these models. Unknown keys are errors. Values
are taken as they are written (the number `2` is never read from the text `"2"`). Secrets never stand in the file: a
key ending in `_env` names the environment variable that holds one.

`examples` on a required key is what a mistake's message proposes when the key is missing.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, PrivateAttr, StringConstraints, Tag

NAME_PATTERN = r"^[a-z][a-z0-9_]{0,39}$"
COLOUR_PATTERN = r"^#[0-9a-fA-F]{6}$"
VARIABLE_PATTERN = r"^[A-Z][A-Z0-9_]*$"
DOLLARS_PATTERN = r"^[0-9]{1,6}(\.[0-9]{2})?$"
COST_PATTERN = r"^[0-9]{1,4}(\.[0-9]{1,6})?$"
FIELD_PATTERN = r"^[A-Za-z][A-Za-z0-9_]{0,59}(\[\])?$"
PARAMETER_PATTERN = r"^[A-Za-z][A-Za-z0-9_]{0,59}$"
ADDRESS_PATTERN = r"^https?://[^\s/?#]+[^\s?#]*$"
EMAIL_PATTERN = r"^[^@\s]+@[^@\s]+\.[^@\s.]+$"

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=80)]
Sentence = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
Colour = Annotated[str, StringConstraints(pattern=COLOUR_PATTERN)]
EnvironmentVariable = Annotated[str, StringConstraints(pattern=VARIABLE_PATTERN)]
Dollars = Annotated[str, StringConstraints(pattern=DOLLARS_PATTERN)]
Cost = Annotated[str, StringConstraints(pattern=COST_PATTERN)]
Parameter = Annotated[str, StringConstraints(pattern=PARAMETER_PATTERN)]
FieldName = Annotated[str, StringConstraints(pattern=FIELD_PATTERN)]
ParameterText = Annotated[str, StringConstraints(max_length=4_000)]
Address = Annotated[str, StringConstraints(pattern=ADDRESS_PATTERN, max_length=500)]
Email = Annotated[str, StringConstraints(pattern=EMAIL_PATTERN, max_length=254)]
Resolution = Literal["480p", "720p", "1080p", "original"]
InputKind = Literal["picture", "text"]
OptionKind = Literal["choice", "toggle", "range", "corners"]

BYTES_PER_MB = 1_000_000


class Part(BaseModel):
    """The base of every table in the file: unknown keys are errors, values are strict and never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Brand(Part):
    """How the product looks and speaks: served to the web app as its theme."""

    title: Title = Field(description="the product's name as customers see it", examples=["Rekindle"])
    tagline: Sentence = Field(
        description="one sentence under the title", examples=["Bring your old photographs back to life."]
    )
    accent: Colour = Field(default="#b4512d", description="colour of buttons and links on the light page")
    accent_dark: Colour = Field(default="#e08a5f", description="the same on the dark page")
    support_email: Email | None = Field(default=None, description="where customers write when they need a person")


class SignIn(Part):
    """How customers identify themselves."""

    methods: tuple[Literal["password"], ...] = Field(
        default=("password",),
        min_length=1,
        strict=False,
        description="ways to sign in; `password` is e-mail and password",
    )
    anonymous: bool = Field(
        default=False, description="visitors may work on the first plan before they sign up, and keep what they made"
    )


class Uploads(Part):
    """What customers may upload."""

    max_mb: int = Field(default=50, ge=1, le=50, description="megabytes (1,000,000 bytes) a file")
    keep_hours: int = Field(default=24, ge=1, le=720, description="hours until an upload without a job is deleted")


class Input(Part):
    """One thing that an operation needs from the customer."""

    kind: InputKind = Field(description="a picture to upload, or a text to write", examples=["picture"])
    title: Title = Field(description="what customers read above it", examples=["Your photograph"])
    required: bool = Field(default=True, description="whether the operation can do without it")
    max_characters: int = Field(default=2_000, ge=1, le=20_000, description="longest text, for texts only")


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
    step: float | None = Field(default=None, gt=0, description="for `range`: distance between two numbers")

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


NAMED, TABLED = "(name)", "(table)"
"""In the path of a mistake, as which of its two shapes a value was read; no key of a file is called so."""

RouteEntry = Annotated[
    Annotated[Name, Tag(NAMED)] | Annotated[Leg, Tag(TABLED)],
    Discriminator(lambda value: TABLED if isinstance(value, dict | Leg) else NAMED),
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
    output: Literal["picture", "text"] = Field(default="picture", description="what comes out")
    price: int = Field(ge=0, le=10_000, description="credits that one result costs", examples=[2])
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

    @property
    def legs(self) -> tuple[Leg, ...]:
        """The route with every provider as a table."""
        return tuple(Leg(provider=each) if isinstance(each, str) else each for each in self.route)

    @property
    def providers(self) -> tuple[str, ...]:
        """The names of the providers of the route, in its order."""
        return tuple(each if isinstance(each, str) else each.provider for each in self.route)


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


class FreeAmount(Part):
    """Credits for an amount of money that the customer chooses."""

    min_usd: Dollars = Field(description="US dollars at least", examples=["5.00"])
    max_usd: Dollars = Field(description="US dollars at most", examples=["200.00"])
    credits_per_usd: int = Field(ge=1, le=10_000, description="credits for each dollar", examples=[2])


class Payments(Part):
    """Who takes the customers' money, and what follows from what they report."""

    provider: Literal["stripe"] | None = Field(
        default=None, description="who takes the money; absent: a test checkout in development, nothing elsewhere"
    )
    key_env: EnvironmentVariable | None = Field(default=None, description="the variable that holds the secret key")
    webhook_secret_env: EnvironmentVariable | None = Field(
        default=None, description="the variable that holds the secret which signs webhooks"
    )
    base_url: Address | None = Field(
        default=None, description="another address of the same interface, such as a test's"
    )
    grace_days: int = Field(
        default=7, ge=0, le=60, description="days that a plan stays while a renewal has not been paid"
    )
    when_cancelled: Literal["forfeit", "keep"] = Field(
        default="forfeit", description="what becomes of all credits when a subscription has ended"
    )
    amount: FreeAmount | None = Field(default=None, description="lets customers choose how much to pay for credits")


class ProviderLimits(Part):
    """What a provider may be asked over all processes together; a limit that is left out is none."""

    concurrency: int | None = Field(default=None, ge=1, le=100_000, description="requests at one time")
    requests_per_minute: int | None = Field(default=None, ge=1, le=10_000_000, description="requests in any minute")
    tokens_per_minute: int | None = Field(default=None, ge=1, le=10**10, description="tokens in any minute")
    tokens_each: int = Field(
        default=1_000, ge=1, le=10_000_000, description="tokens expected of one request, until some have been measured"
    )


class Provider(Part):
    """Who does the work: an adapter with its settings."""

    adapter: Name = Field(description="how it is spoken to: `local` works on this machine", examples=["local"])
    key_env: EnvironmentVariable | None = Field(default=None, description="the variable that holds the key")
    base_url: Address | None = Field(default=None, description="another address of the same interface")
    model: str | None = Field(default=None, min_length=1, max_length=200, description="which of the vendor's models")
    parameters: dict[Parameter, ParameterText | bool | int | float] = Field(
        default={}, description="settings of the model in the vendor's own words, sent along as they stand here"
    )
    concurrency: int = Field(default=2, ge=1, le=1_000, description="requests at one time in each process")
    limits: ProviderLimits | None = Field(default=None, description="what it may be asked over all processes together")
    names: dict[Name, FieldName] = Field(
        default={},
        description="what the model calls an input or an option, where that differs; a name that ends in [] is a list",
    )
    cost_usd: Cost = Field(default="0", description="US dollars that one call costs where the provider reports nothing")
    cost_usd_second: Cost | None = Field(
        default=None, description="US dollars for a second of work, for providers that are paid by time"
    )


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
    providers: dict[Name, Provider] = Field(min_length=1, description="who does the work, by name")
    workers: Workers = Field(default=Workers(), description="how much runs at one time in each process")

    _version: str = PrivateAttr(default="")

    def model_post_init(self, context: Any, /) -> None:
        """Take the version from the validation context, where loading puts it."""
        self._version = (context or {}).get("version", "")

    @property
    def version(self) -> str:
        """The version of the text that this was read from; empty for a product made in code."""
        return self._version

    @property
    def default_plan(self) -> str:
        """The plan that new customers get."""
        return next(iter(self.plans))
