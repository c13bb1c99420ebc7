"""Submit: the request half of the flow. One transaction holds the credits, inserts the job and the idempotency key.

endpoint -> read_order (pure) -> submit -> [wallet lock, allowance, rank, hold, job, key, event] -> 202
"""

import json
from dataclasses import dataclass

from penstock.accounts.allowances import limits_of
from penstock.admission.plan_limits import DAY_S, HOUR_S, Usage, Window, refusal
from penstock.jobs import cache, queries, queue
from penstock.jobs.cache import GOES_FIRST, Known
from penstock.jobs.estimate import Waiter
from penstock.jobs.flow import Flow
from penstock.jobs.order import Order
from penstock.jobs.rank import rank
from penstock.jobs.usage import submitted_in
from penstock.kit.checkpoints import checkpoint
from penstock.kit.database import Transaction
from penstock.kit.errors import Action, Problem
from penstock.kit.ids import new_id
from penstock.ledger import service as ledger
from penstock.ledger.errors import InsufficientCreditsError, UnknownWalletError
from penstock.product.schema import Product
from penstock.product.schema_offer import PlanLimits


@dataclass(frozen=True)
class Submitted:
    """A job that was accepted; `fresh` is False where the same request had been accepted before."""

    job_id: str
    fresh: bool


async def submit(flow: Flow, order: Order) -> Submitted:
    """Accept a job: from here on it ends exactly once, whatever happens.

    Errors: Problem `insufficient_credits`, `plan_limit`, `idempotency_mismatch`, `invalid_input`, `unavailable`.
    """
    try:
        submitted = await flow.database.write_for(order.account_id, _accept, flow, order)
    except UnknownWalletError:  # a visitor's first job: nobody has granted anything yet
        await flow.database.write(ledger.open_wallet, order.account_id)
        submitted = await flow.database.write_for(order.account_id, _accept, flow, order)
    checkpoint("submit.committed")
    return submitted


def _accept(tx: Transaction, flow: Flow, order: Order) -> Submitted:
    product = flow.products.current()
    wallet = ledger.lock(tx, order.account_id)
    if (known := _accepted_before(tx, order)) is not None:
        return Submitted(known, fresh=False)
    _check_offer(order, product)
    limits = limits_of(tx, order.account_id, product.plans[order.plan].limits)
    _check_allowance(tx, order, limits, product)
    flow.studio.accept(tx, order.account_id, order.operation, order.inputs)
    known_result = cache.find(tx, flow, order, product)
    job_id = new_id("job")
    _hold(tx, wallet, job_id, order, known_result.price, product)
    checkpoint("submit.held")
    state = _insert(tx, flow, job_id, order, product, known_result, running=limits.running)
    checkpoint("submit.inserted")
    _remember_key(tx, job_id, order)
    checkpoint("submit.keyed")
    flow.hub.emit(tx, order.account_id, job_id, "job.queued", {"operation": order.operation_id})
    if state == "ready":
        tx.after_commit(flow.ready.wake)
    return Submitted(job_id, fresh=True)


def _accepted_before(tx: Transaction, order: Order) -> str | None:
    if order.idempotency_key is None:
        return None
    known = tx.one(queries.IDEMPOTENT, account_id=order.account_id, key=order.idempotency_key)
    if known is None:
        return None
    if known["fingerprint"] != order.fingerprint:
        raise Problem(
            "idempotency_mismatch",
            "This Idempotency-Key came with a different request before. Use a new key for a new request.",
        )
    return str(known["job_id"])


def _check_offer(order: Order, product: Product) -> None:
    """Make sure that the order was read against the product file under which it will run: it may just have changed."""
    offered = product.operations.get(order.operation_id)
    if (offered is not order.operation and offered != order.operation) or order.plan not in product.plans:
        raise Problem(
            "unavailable",
            f"{order.operation.title} has just changed. Please look at it and try again.",
            retry_after_s=1.0,
        )


def _check_allowance(tx: Transaction, order: Order, limits: PlanLimits, product: Product) -> None:
    used = Usage(
        hour=Window() if limits.jobs_per_hour is None else submitted_in(tx, order.account_id, HOUR_S),
        day=Window() if limits.jobs_per_day is None else submitted_in(tx, order.account_id, DAY_S),
    )
    if (problem := refusal(limits, used, tx.now, ways_on(order, product))) is not None:
        raise problem


def ways_on(order: Order, product: Product) -> tuple[Action, ...]:
    """Return what somebody can do who is at a limit of the plan, beside waiting."""
    ways = []
    if order.visitor and product.visitor_plan != product.default_plan:
        ways.append(Action("sign_in", "Sign up for more", "/sign-up"))
    if any(plan.price_usd_month is not None for plan in product.plans.values()):
        ways.append(Action("upgrade", "Get a plan with more", "/pricing"))
    if product.donations is not None and product.donations.plan != order.plan:
        ways.append(Action("donate", "Donate, and get more", "/donate?from=limit"))
    return tuple(ways)


def _hold(tx: Transaction, wallet: ledger.Wallet, job_id: str, order: Order, price: int, product: Product) -> None:
    try:
        ledger.hold(tx, wallet, job_id, price, order.operation.title)
    except InsufficientCreditsError as error:
        raise insufficient(order.operation.title, error, product, visitor=order.visitor) from error


def insufficient(title: str, error: InsufficientCreditsError, product: Product, *, visitor: bool) -> Problem:
    """Return the problem for a price that the customer can't pay, with what to do about it."""
    actions = [Action("top_up", "Get more credits", "/pricing"), Action("upgrade", "See the plans", "/pricing")]
    if visitor:
        actions = [Action("sign_in", "Create a free account", "/sign-up")]
    return Problem(
        "insufficient_credits",
        f"{title} costs {product.worth(error.needed)} and you have {product.worth(error.available)}.",
        actions=actions,
    )


def _insert(
    tx: Transaction, flow: Flow, job_id: str, order: Order, product: Product, known: Known, *, running: int
) -> str:
    plan = product.plans[order.plan]
    last = tx.value(queue.LAST_QUEUED_RANK, account_id=order.account_id)
    asks_nobody = known.source is not None
    place = GOES_FIRST if asks_nobody else rank(tx.now, last, plan.head_start_s, plan.spacing_s)
    state = "ready" if queue.active(tx, order.account_id, running) < running else "waiting"
    waiter = Waiter(order.account_id, order.operation_id, order.plan, place)
    tx.run(
        queue.INSERT_JOB,
        id=job_id,
        account_id=order.account_id,
        operation=order.operation_id,
        plan=order.plan,
        product_version=flow.products.current_version(),
        price=known.price,
        inputs=json.dumps(order.inputs),
        options=json.dumps(order.options),
        state=state,
        rank=place,
        predicted_wait_s=None if asks_nobody else flow.estimator.expected(tx, product, flow.providers, waiter),
        cache_key=known.key,
        cached_from=known.source,
        now=tx.now,
    )
    return state


def _remember_key(tx: Transaction, job_id: str, order: Order) -> None:
    if order.idempotency_key is not None:
        tx.run(
            queries.INSERT_IDEMPOTENCY,
            account_id=order.account_id,
            key=order.idempotency_key,
            fingerprint=order.fingerprint,
            job_id=job_id,
            now=tx.now,
        )
