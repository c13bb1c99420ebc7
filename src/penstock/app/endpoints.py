"""What belongs to no single domain: the product, oneself, health and metrics."""

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from penstock.accounts import people
from penstock.accounts.allowances import limits_of
from penstock.accounts.schemas import AccountView
from penstock.app.health import Health, HealthView
from penstock.app.operators import STAFF
from penstock.app.services import Services
from penstock.billing.schemas import PlanView, TopUpView
from penstock.jobs.endpoints import plan_of
from penstock.kit.caller import Caller, MaybeCaller, RequiredCaller
from penstock.kit.clock import optional_rfc3339
from penstock.kit.database import Transaction
from penstock.kit.errors import not_found
from penstock.ledger import statement
from penstock.observability import metrics
from penstock.product.public import public
from penstock.product.schema_parts import BYTES_PER_MB

LOOPBACK = frozenset({"127.0.0.1", "::1"})

router = APIRouter()


class BrandView(BaseModel):
    """How the product looks and speaks."""

    title: str
    tagline: str
    accent: str
    accent_dark: str
    support_email: str | None


class TemplateView(BaseModel):
    """A text to start from."""

    title: str
    text: str


class InputView(BaseModel):
    """What an operation needs."""

    id: str
    kind: str = Field(description="`picture`: the id of an upload; `text`")
    title: str
    required: bool
    max_characters: int | None = None
    templates: list[TemplateView] = Field(default=[], description="texts to start from")


class ChoiceView(BaseModel):
    """One value of an option."""

    value: str
    title: str


class OptionView(BaseModel):
    """What can be set."""

    id: str
    kind: str = Field(description="`choice`, `toggle`, `range` or `corners`")
    title: str
    description: str | None = None
    default: str | bool | float | None
    choices: list[ChoiceView] | None = None
    min: float | None = None
    max: float | None = None
    step: float | None = None


class PriceTableView(BaseModel):
    """What a price is made of, in credits: the sum of all, with what is charged per unit rounded up."""

    base: int
    per: dict[str, float] = Field(description="for each 1 of a range, by option")
    by: dict[str, dict[str, int]] = Field(description="for each value of a choice or toggle, by option")


class PriceView(BaseModel):
    """What one result costs."""

    credits: int = Field(description="where the price varies: the lowest")
    varies: bool = Field(default=False, description="whether options change it; `POST /jobs/quote` says by how much")
    table: PriceTableView | None = Field(default=None, description="null: always the same")


class OutputView(BaseModel):
    """What comes out."""

    kind: str


class OperationView(BaseModel):
    """Something that customers pay for."""

    id: str
    title: str
    description: str
    available: bool
    unavailable_reason: str | None
    inputs: list[InputView]
    options: list[OptionView]
    price: PriceView
    output: OutputView
    limitations: str | None


class OpenIdView(BaseModel):
    """An OpenID provider: a link to `GET /auth/openid/{id}`."""

    id: str
    title: str


class SignInView(BaseModel):
    """How customers identify themselves."""

    methods: list[str] = Field(description="`password`, `openid`, `clerk`, `auth0`")
    openid: list[OpenIdView]
    anonymous: bool = Field(description="whether visitors may work before they sign up")
    anonymous_plan: str | None = Field(description="the plan of visitors; null: the first one")
    gift_credits: int = Field(description="credits that signing up brings, once")


class UploadsView(BaseModel):
    """What can be uploaded."""

    max_bytes: int
    media_types: list[str]
    direct: bool = Field(description="send pictures to the address of `POST /uploads/presign`: files lie elsewhere")


class FreeAmountView(BaseModel):
    """Credits for an amount of one's choice."""

    min_usd: str
    max_usd: str
    credits_per_usd: int
    show_usd: bool = Field(description="show credits as US dollars, at this rate")


class DonationsView(BaseModel):
    """What a donation is and does."""

    min_usd: str
    max_usd: str
    suggested_usd: list[str]
    plan: str = Field(description="the plan that it brings")
    days: int | None = Field(description="for how long; null: for good")
    prompt: str = Field(description="why to give")


class PaymentsView(BaseModel):
    """How things are bought."""

    checkout: str | None = Field(
        description="`stripe`, `polar`, `test` (no money moves) or null: nothing can be bought"
    )
    amount: FreeAmountView | None = Field(description="null: credits are sold in plans and top-ups only")


class ProductView(BaseModel):
    """The public part of the product file."""

    name: str
    version: str
    brand: BrandView
    texts: dict[str, str]
    operations: list[OperationView]
    plans: list[PlanView]
    topups: list[TopUpView]
    sign_in: SignInView
    uploads: UploadsView
    payments: PaymentsView
    donations: DonationsView | None = Field(description="null: none are taken")


class MyCredits(BaseModel):
    """What one has to spend."""

    available: int
    held: int


class MyLimits(BaseModel):
    """What one's plan allows; null: no limit."""

    running: int = Field(description="jobs at one time; more of them wait")
    jobs_per_hour: int | None
    jobs_per_day: int | None
    upload_bytes: int = Field(description="bytes of one upload")


class MeView(AccountView):
    """One's own account with its credits and limits."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "acc_0h3kz2v9q1m4x7c2b8n5j6d0s1a",
                    "email": "ann@example.org",
                    "role": "customer",
                    "plan": "free",
                    "visitor": False,
                    "preferences": {"theme": "dark"},
                    "created_at": "2026-11-20T09:30:00.250Z",
                    "plan_renews_at": "2026-12-20T09:30:00.250Z",
                    "credits": {"available": 3, "held": 0},
                    "limits": {"running": 1, "jobs_per_hour": None, "jobs_per_day": 10, "upload_bytes": 50000000},
                }
            ]
        }
    )

    plan_renews_at: str | None = Field(description="when the plan brings credits again; null: it brings none")
    credits: MyCredits
    limits: MyLimits


def services_of(request: Request) -> Services:
    """Return everything that the app holds."""
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


@router.get("/api/v1/product", tags=["product"], summary="Show the product")
async def show_product(request: Request) -> ProductView:
    """Return what is on offer: operations with inputs, options and prices, plans, top-ups, and how it looks."""
    services = services_of(request)
    shown = public(services.product, services.environment)
    shown["uploads"]["direct"] = services.direct.offered
    payments = services.billing.payments
    bought = {"checkout": None if payments is None else payments.name, "amount": _free_amount(services)}
    return ProductView.model_validate(shown | {"payments": bought})


@router.get("/api/v1/me", tags=["accounts"], summary="Show one's own account")
async def show_me(request: Request, caller: RequiredCaller) -> MeView:
    """Return who one is, what one has and what one's plan allows."""
    services = services_of(request)
    return await services.database.read(_me, services, caller)


@router.get(
    "/api/v1/health",
    tags=["health"],
    summary="Ask how the server is doing",
    responses={503: {"model": HealthView, "description": "Don't send requests here: starting, stopping or broken."}},
)
async def show_health(request: Request, response: Response) -> HealthView:
    """Return load, queue and checks. 503 while this server should get no requests."""
    health: Health = request.app.state.health
    view, ready = await health.view()
    response.status_code = 200 if ready else 503
    return view


@router.get("/metrics", include_in_schema=False)
async def show_metrics(request: Request, caller: MaybeCaller) -> Response:
    """Return the metrics for Prometheus: to this machine itself, and to staff (an admin's API key will do)."""
    near = request.client is not None and request.client.host in LOOPBACK
    if not near and (caller is None or caller.role not in STAFF):
        raise not_found("page")
    await request.app.state.health.view()
    return Response(metrics.written(), media_type=metrics.CONTENT_TYPE)


def _free_amount(services: Services) -> dict[str, Any] | None:
    terms = services.product.payments.amount
    return None if terms is None else terms.model_dump(mode="json")


def _me(tx: Transaction, services: Services, caller: Caller) -> MeView:
    account = people.get(tx, caller.account_id)
    owned = statement.balance(tx, caller.account_id)
    product = services.product
    plan_id, plan = plan_of(product, account.plan)
    limits = limits_of(tx, account.id, plan.limits)
    shown: dict[str, Any] = AccountView.of(account).model_dump()
    shown["plan"] = plan_id
    return MeView(
        **shown,
        plan_renews_at=optional_rfc3339(account.plan_renews_at),
        credits=MyCredits(available=owned.available, held=owned.held),
        limits=MyLimits(**limits.model_dump(), upload_bytes=product.uploads.max_mb * BYTES_PER_MB),
    )
