"""From rows to what customers see: a job with its place in the queue, a page of jobs, a quote."""

import json
from dataclasses import dataclass

from penstock.accounts.allowances import limits_of
from penstock.jobs import cache, queries, queue
from penstock.jobs.cache import GOES_FIRST
from penstock.jobs.control import own_job
from penstock.jobs.estimate import Waiter
from penstock.jobs.flow import Flow
from penstock.jobs.order import Order
from penstock.jobs.rank import rank
from penstock.jobs.schemas import JobErrorView, JobPage, JobView, QuoteView, ResultReference, WaitView
from penstock.jobs.states import QUEUED, Status, states_of, status_of
from penstock.jobs.usage import nothing_used, shown_limits, used_by
from penstock.kit.clock import optional_rfc3339, rfc3339
from penstock.kit.cursors import read_cursor, write_cursor
from penstock.kit.database import Row, Transaction
from penstock.ledger import statement
from penstock.media import queries as media

POSITION_LIMIT = 100_000  # beyond this many others ahead the exact place tells nobody anything
BEFORE_EVERYTHING = (1e18, "")  # where the first page begins: later than any job


@dataclass(frozen=True)
class JobFilter:
    """Which jobs of an account a page shows; None: all."""

    status: Status | None = None
    operation: str | None = None
    limit: int = 20
    cursor: str | None = None


@dataclass(frozen=True)
class Place:
    """Where a queued job stands: 1 is the next to start; seconds until it does, as a range."""

    position: int
    low_s: float
    high_s: float


def own_view(tx: Transaction, flow: Flow, account_id: str, job_id: str) -> JobView:
    """Return a job of this account. Errors: `not_found`, also for somebody else's."""
    return view_of(tx, flow, own_job(tx, account_id, job_id))


def view_of(tx: Transaction, flow: Flow, row: Row) -> JobView:
    """Show a row of `queries.JOB`."""
    place = place_of(tx, flow, waiter_of(row)) if row["state"] in QUEUED else None
    running = row["state"] == "running"
    return JobView(
        id=row["id"],
        operation=row["operation"],
        status=status_of(row["state"], cancel_requested=bool(row["cancel_requested"])),
        stage=row["stage"] if running else None,
        progress=row["progress"] if running else None,
        position=None if place is None else place.position,
        wait=None if place is None else shown_wait(place),
        price=row["price"],
        plan=row["plan"],
        inputs=json.loads(row["inputs"]),
        options=json.loads(row["options"]),
        result=_result(tx, row),
        output=None if row["output"] is None else json.loads(row["output"]),
        error=None if row["error"] is None else JobErrorView(**json.loads(row["error"])),
        attempts=row["attempts"],
        created_at=rfc3339(row["created_at"]),
        started_at=optional_rfc3339(row["started_at"]),
        finished_at=optional_rfc3339(row["finished_at"]),
        product_version=row["product_version"],
        cached=row["cached_from"] is not None,
    )


def page_of(tx: Transaction, flow: Flow, account_id: str, wanted: JobFilter) -> JobPage:
    """Return one page of an account's jobs, newest first. Errors: `invalid_input` for a wrong cursor."""
    before_at, before_id = BEFORE_EVERYTHING if wanted.cursor is None else read_cursor(wanted.cursor, float, str)
    states = [] if wanted.status is None else states_of(wanted.status)
    first, last = (states[0], states[-1]) if states else (None, None)
    asks_cancelling = wanted.status in {"running", "cancelling"}
    rows = tx.all(
        queries.LIST_JOBS,
        account_id=account_id,
        before_at=before_at,
        before_id=before_id,
        operation=wanted.operation,
        any_state=0 if states else 1,
        s0=first,
        s1=last,
        cancelling=(wanted.status == "cancelling") if asks_cancelling else None,
        limit=wanted.limit + 1,
    )
    page = rows[: wanted.limit]
    more = len(rows) > wanted.limit
    return JobPage(
        items=[view_of(tx, flow, row) for row in page],
        next_cursor=write_cursor(float(page[-1]["created_at"]), page[-1]["id"]) if more else None,
    )


def quote_of(tx: Transaction, flow: Flow, order: Order, *, known: bool) -> QuoteView:
    """Return what an order would cost and how long it would wait; writes nothing.

    Args:
        known: whether the account exists; a stranger has used nothing and owns nothing.
    """
    product = flow.products.current()
    plan = product.plans[order.plan]
    last = tx.value(queue.LAST_QUEUED_RANK, account_id=order.account_id) if known else None
    found = cache.find(tx, flow, order, product) if known else None
    price = order.price if found is None else found.price
    cached = found is not None and found.source is not None
    at_rank = GOES_FIRST if cached else rank(tx.now, last, plan.head_start_s, plan.spacing_s)
    place = place_of(tx, flow, Waiter(order.account_id, order.operation_id, order.plan, at_rank))
    available = statement.balance(tx, order.account_id).available if known else 0
    used = used_by(tx, order.account_id) if known else nothing_used(tx.now)
    return QuoteView(
        price=price,
        credits_after=available - price,
        cached=cached,
        wait=shown_wait(place),
        plan_limits=shown_limits(used, limits_of(tx, order.account_id, plan.limits)),
    )


def waiter_of(row: Row) -> Waiter:
    """Read what a wait depends on from a row of a queued job."""
    return Waiter(row["account_id"], row["operation"], row["plan"], row["rank"])


def place_of(tx: Transaction, flow: Flow, waiter: Waiter) -> Place:
    """Return where a job stands in the queue now."""
    return place_behind(tx, flow, waiter, flow.estimator.ahead(tx, waiter.rank, POSITION_LIMIT))


def place_behind(tx: Transaction, flow: Flow, waiter: Waiter, ahead: int) -> Place:
    """Return the place of a job with so many others ahead."""
    low_s, high_s = flow.estimator.range(tx, flow.products.current(), flow.providers, waiter, ahead)
    return Place(ahead + 1, low_s, high_s)


def shown_wait(place: Place) -> WaitView:
    """Show a wait, to a tenth of a second."""
    return WaitView(low_s=round(place.low_s, 1), high_s=round(place.high_s, 1))


def _result(tx: Transaction, row: Row) -> ResultReference | None:
    if row["result_id"] is None:
        return None
    result = media.result_of(tx, row["result_id"], row["account_id"])
    if result is None or result.deleted_at is not None:
        return None
    return ResultReference(
        id=result.id,
        media_type=result.media_type,
        bytes=result.bytes,
        width=result.width,
        height=result.height,
        expires_at=optional_rfc3339(result.expires_at),
    )
