"""Buying, changing and cancelling over HTTP, and webhooks in. Mounted beside `endpoints`.

`app.state.billing` is the service, `app.state.public_url` where customers reach the product (None: where they called).
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request

from penstock.billing import prices
from penstock.billing.donations import donation_purchase
from penstock.billing.endpoints import CurrentProduct
from penstock.billing.money_schemas import (
    CheckoutPage,
    CheckoutRequest,
    NoSubscription,
    PaymentPage,
    PaymentView,
    PlanChange,
    SubscriptionChanged,
    SubscriptionStanding,
    SubscriptionView,
    Taken,
    TestCheckoutView,
)
from penstock.billing.payments import (
    Buyer,
    PaymentUnavailableError,
    PlanPurchase,
    Purchase,
    Returns,
    WebhookUnreadableError,
)
from penstock.billing.service import Billing
from penstock.billing.words import cancelled, change, kept, when_cancelled
from penstock.kit.caller import Caller, RequiredCustomer
from penstock.kit.cursors import MAX_CURSOR_CHARACTERS, read_cursor, write_cursor
from penstock.kit.errors import FieldError, Problem
from penstock.kit.signed_webhooks import WebhookRefusedError
from penstock.product.schema import Product

DEFAULT_PAGE_ROWS, MAX_PAGE_ROWS = 20, 100
MAX_KEY_CHARACTERS = 200
_NEWEST = (1e18, "")
PURCHASES = ("plan", "topup", "amount", "donation")  # what a checkout can be for: one of them

router = APIRouter(tags=["billing"])


def billing_of(request: Request) -> Billing:
    """Return the service that the app holds."""
    service = request.app.state.billing
    assert isinstance(service, Billing)
    return service


TheBilling = Annotated[Billing, Depends(billing_of)]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=MAX_KEY_CHARACTERS,
        description="your own name for this request: sent again with it, it happens once",
    ),
]


@router.post("/billing/checkout", summary="Buy a plan or credits")
async def open_checkout(
    request: Request,
    billing: TheBilling,
    product: CurrentProduct,
    caller: RequiredCustomer,
    body: CheckoutRequest,
    key: IdempotencyKey = None,
) -> CheckoutPage:
    """Return the address of a page where it is paid. Nothing changes before the payment provider says that it was."""
    purchase = _purchase(product, body)
    url = await billing.checkout(_buyer(caller), purchase, _returns(request), key)
    return CheckoutPage(url=url)


@router.post("/billing/portal", summary="Manage payment methods")
async def open_portal(request: Request, billing: TheBilling, caller: RequiredCustomer) -> CheckoutPage:
    """Return the address of the payment provider's page for payment methods and invoices."""
    return CheckoutPage(url=await billing.portal(caller.account_id, _returns(request)))


@router.get("/billing/subscription", summary="Show one's subscription")
async def show_subscription(
    billing: TheBilling, product: CurrentProduct, caller: RequiredCustomer
) -> SubscriptionStanding | NoSubscription:
    """Return the subscription, its next renewal, and what cancelling it would mean."""
    held = await billing.standing(caller.account_id)
    if held is None:
        return NoSubscription()
    view = SubscriptionView.of(held, product)
    return SubscriptionStanding(subscription=view, if_cancelled=when_cancelled(held, product))


@router.post("/billing/subscription", summary="Change one's plan")
async def change_subscription(
    billing: TheBilling,
    product: CurrentProduct,
    caller: RequiredCustomer,
    body: PlanChange,
    key: IdempotencyKey = None,
) -> SubscriptionChanged:
    """Change to a dearer plan at once, to a cheaper one from the next period on; `preview` only says what it means."""
    held, purchase, at_once = await billing.plan_change(caller.account_id, body.plan, body.interval)
    meaning = change(held, purchase, product, at_once=at_once)
    if not body.preview:
        held = await billing.change(caller.account_id, body.plan, body.interval, key)
    return SubscriptionChanged(subscription=SubscriptionView.of(held, product), meaning=meaning)


@router.delete("/billing/subscription", summary="Cancel one's plan")
async def cancel_subscription(
    billing: TheBilling, product: CurrentProduct, caller: RequiredCustomer, key: IdempotencyKey = None
) -> SubscriptionChanged:
    """Let the plan end with the period that is paid, and say what becomes of the credits then."""
    held = await billing.cancel(caller.account_id, key)
    return SubscriptionChanged(subscription=SubscriptionView.of(held, product), meaning=cancelled(held, product))


@router.post("/billing/subscription/resume", summary="Keep a plan that was to end")
async def resume_subscription(
    billing: TheBilling, product: CurrentProduct, caller: RequiredCustomer, key: IdempotencyKey = None
) -> SubscriptionChanged:
    """Undo a cancellation while the period still runs."""
    held = await billing.resume(caller.account_id, key)
    return SubscriptionChanged(subscription=SubscriptionView.of(held, product), meaning=kept(held, product))


@router.get("/billing/payments", summary="List one's payments")
async def list_payments(
    billing: TheBilling,
    caller: RequiredCustomer,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_ROWS, description="payments on one page")] = DEFAULT_PAGE_ROWS,
    cursor: Annotated[
        str | None, Query(max_length=MAX_CURSOR_CHARACTERS, description="`next_cursor` of the page before")
    ] = None,
) -> PaymentPage:
    """Return one's payments with the credits that came of each, newest first."""
    before = _NEWEST
    if cursor is not None:
        made_at, payment_id = read_cursor(cursor, float, str)
        before = made_at, payment_id
    found = await billing.history(caller.account_id, before, limit + 1)
    page = found[:limit]
    following = write_cursor(page[-1].made_at, page[-1].fact.id) if len(found) > limit else None
    return PaymentPage(items=[PaymentView.of(entry) for entry in page], next_cursor=following)


@router.get("/billing/test-checkout/{checkout_id}", summary="Show a page of the test checkout")
async def show_test_checkout(billing: TheBilling, caller: RequiredCustomer, checkout_id: str) -> TestCheckoutView:
    """Return what would be paid. In development only, where no payment provider is set up."""
    opened = billing.test_page(checkout_id, caller.account_id)
    purchase = opened.purchase
    interval = purchase.interval if isinstance(purchase, PlanPurchase) else None
    return TestCheckoutView(
        id=opened.id,
        title=purchase.title,
        price_usd=prices.dollars(purchase.cents),
        interval=interval,
        back=opened.back.left,
    )


@router.post("/billing/test-checkout/{checkout_id}", summary="Pay on the test checkout")
async def pay_test_checkout(billing: TheBilling, caller: RequiredCustomer, checkout_id: str) -> CheckoutPage:
    """Do as if it had been paid, and return where to go on. No money moves."""
    return CheckoutPage(url=await billing.test_pay(checkout_id, caller.account_id))


@router.post("/webhooks/stripe", summary="Take a webhook of Stripe")
async def take_stripe_webhook(request: Request, billing: TheBilling) -> Taken:
    """Take an event that Stripe signed, once; one that was taken before is answered the same way."""
    return await _take(request, billing, "stripe")


@router.post("/webhooks/polar", summary="Take a webhook of Polar")
async def take_polar_webhook(request: Request, billing: TheBilling) -> Taken:
    """Take an event that Polar signed, once; one that was taken before is answered the same way."""
    return await _take(request, billing, "polar")


async def _take(request: Request, billing: Billing, provider: str) -> Taken:
    try:
        return Taken(taken=await billing.webhook(provider, request.headers, await request.body()))
    except WebhookRefusedError as error:
        raise Problem("forbidden", f"This webhook was refused: {error}.") from error
    except (PaymentUnavailableError, WebhookUnreadableError) as error:
        raise Problem("unavailable", "This webhook can't be read now; it must come again.") from error


def _buyer(caller: Caller) -> Buyer:
    return Buyer(caller.account_id, caller.email)


def _purchase(product: Product, body: CheckoutRequest) -> Purchase:
    if len(named := [name for name in PURCHASES if getattr(body, name) is not None]) > 1:  # never guess what is bought
        message = f"Pay for one thing at a time: {' or '.join(named)}."
        raise Problem("invalid_input", message, errors=[FieldError(named[1], message)])
    if body.plan is not None:
        return prices.plan_purchase(product, body.plan, body.interval)
    if body.topup is not None:
        return prices.top_up_purchase(product, body.topup)
    if body.amount is not None:
        return prices.deposit_purchase(product, body.amount)
    if body.donation is not None:
        return donation_purchase(product, body.donation)
    message = "Say what to pay for: a plan, a topup, an amount or a donation."
    raise Problem("invalid_input", message, errors=[FieldError("plan", message)])


def _returns(request: Request) -> Returns:
    base = (request.app.state.public_url or str(request.base_url)).rstrip("/")
    return Returns(paid=f"{base}/account?paid=1", left=f"{base}/pricing", account=f"{base}/account")
