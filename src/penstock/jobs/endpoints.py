"""Jobs over HTTP: the request half of the flow. The app mounts this router under `/api/v1`.

`app.state.flow` is the flow, `app.state.streams` the live connections of this process.
"""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from penstock.accounts.allowances import limits_of
from penstock.jobs import control, view
from penstock.jobs.flow import Flow
from penstock.jobs.live import MAX_EVENT_ID
from penstock.jobs.order import MAX_IDEMPOTENCY_KEY_CHARACTERS, Order, read_order
from penstock.jobs.schemas import MAX_NAME_CHARACTERS, JobPage, JobRequest, JobView, QuoteView, UsageView
from penstock.jobs.states import Status
from penstock.jobs.stream import Streams, job_events
from penstock.jobs.submit import Submitted, submit
from penstock.jobs.usage import Used, limit_headers, shown_limits, tokens_of, used_by
from penstock.jobs.view import JobFilter
from penstock.kit import extra_headers
from penstock.kit.caller import Caller, MaybeCaller, RequiredCaller, sign_in_required
from penstock.kit.cursors import MAX_CURSOR_CHARACTERS
from penstock.kit.database import Transaction
from penstock.kit.errors import Problem
from penstock.product.schema import Product
from penstock.product.schema_offer import Plan, PlanLimits

DEFAULT_PAGE_ROWS, MAX_PAGE_ROWS = 20, 100
STRANGER = "nobody"  # whose quote it is when nobody is signed in; no account has this id

router = APIRouter(tags=["jobs"])


def flow_of(request: Request) -> Flow:
    """Return the flow that the app holds."""
    flow = request.app.state.flow
    assert isinstance(flow, Flow)
    return flow


TheFlow = Annotated[Flow, Depends(flow_of)]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=MAX_IDEMPOTENCY_KEY_CHARACTERS,
        description="your own name for this request: sent again with it, the job is made (and paid) once",
    ),
]


@router.post("/jobs", status_code=202, summary="Submit a job")
async def submit_job(
    request: Request,
    response: Response,
    flow: TheFlow,
    caller: RequiredCaller,
    body: JobRequest,
    key: IdempotencyKey = None,
) -> JobView:
    """Hold the price and put a job into the queue; it ends exactly once, and if it doesn't succeed the credits return.

    With an `Idempotency-Key` it is safe to send again: the same key and body answer 200 with the same job, the same
    key with another body is refused (`idempotency_mismatch`). A key is remembered for a day.
    """
    order = _order(flow, caller, body, key)
    return await _accepted(request, response, flow, caller, await _submitted(request, flow, order))


@router.post("/jobs/quote", summary="Ask what a job would cost")
async def quote_job(flow: TheFlow, caller: MaybeCaller, body: JobRequest) -> QuoteView:
    """Return price, credits left, likely wait and what is left of the plan's limits. Changes nothing."""
    product = flow.products.current()
    if caller is None:
        if not product.sign_in.anonymous:
            raise sign_in_required()
        stranger = Caller(STRANGER, product.visitor_plan, visitor=True)
        return await flow.database.read(view.quote_of, flow, _order(flow, stranger, body, None), known=False)
    return await flow.database.read(view.quote_of, flow, _order(flow, caller, body, None), known=True)


@router.get("/jobs", summary="List one's jobs")
async def list_jobs(
    flow: TheFlow,
    caller: RequiredCaller,
    status: Annotated[Status | None, Query(description="only jobs in this state")] = None,
    operation: Annotated[str | None, Query(max_length=MAX_NAME_CHARACTERS, description="only this operation")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_ROWS, description="jobs on one page")] = DEFAULT_PAGE_ROWS,
    cursor: Annotated[
        str | None, Query(max_length=MAX_CURSOR_CHARACTERS, description="`next_cursor` of the page before")
    ] = None,
) -> JobPage:
    """Return one's jobs, newest first."""
    wanted = JobFilter(status, operation, limit, cursor)
    return await flow.database.read(view.page_of, flow, caller.account_id, wanted)


@router.get("/jobs/{job_id}", summary="Look at a job")
async def show_job(flow: TheFlow, caller: RequiredCaller, job_id: str) -> JobView:
    """Return one of one's own jobs, with its place in the queue or its progress."""
    return await flow.database.read(view.own_view, flow, caller.account_id, job_id)


@router.post("/jobs/{job_id}/cancel", summary="Cancel a job")
async def cancel_job(flow: TheFlow, caller: RequiredCaller, job_id: str) -> JobView:
    """End a queued job at once; ask a running one to stop (`cancelling`). Either way the credits come back.

    Cancelling twice is the same as once. A job that has ended otherwise is `wrong_state`.
    """
    await control.cancel(flow, caller.account_id, job_id)
    return await flow.database.read(view.own_view, flow, caller.account_id, job_id)


@router.post("/jobs/{job_id}/retry", status_code=202, summary="Try a job again")
async def retry_job(
    request: Request,
    response: Response,
    flow: TheFlow,
    caller: RequiredCaller,
    job_id: str,
    key: IdempotencyKey = None,
) -> JobView:
    """Submit a failed, cancelled or expired job again, as a new job that is held and paid anew."""
    try:
        plan_id = plan_of(flow.products.current(), caller.plan)[0]
        submitted = await control.retry(flow, replace(caller, plan=plan_id), job_id, key)
    except Problem as problem:
        await _note_limits(request, flow, caller.account_id, caller.plan, problem)
        raise
    return await _accepted(request, response, flow, caller, submitted)


@router.get(
    "/jobs/{job_id}/events",
    summary="Follow a job",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The job's events from its beginning, or after `Last-Event-ID`; ends after the last one.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    },
)
async def follow_job(
    request: Request,
    flow: TheFlow,
    caller: RequiredCaller,
    job_id: str,
    after: Annotated[int | None, Query(ge=0, le=MAX_EVENT_ID, description="only events with a higher id")] = None,
    last_event_id: Annotated[
        int | None,
        Header(alias="Last-Event-ID", ge=0, le=MAX_EVENT_ID, description="the same; browsers send it by themselves"),
    ] = None,
) -> StreamingResponse:
    """Tell what happens to a job as Server-Sent Events; `id`, `event` and `data` are those of an event.

    A connection lives for some minutes at most. Connect again with the last `id` and nothing is lost or repeated.
    """
    streams: Streams = request.app.state.streams
    await flow.database.read(control.own_job, caller.account_id, job_id)
    streams.check(caller.account_id)
    start = last_event_id if last_event_id is not None else after or 0
    return StreamingResponse(
        job_events(flow, streams, caller.account_id, job_id, start),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


@router.get("/usage", summary="Show what is used of one's plan")
async def show_usage(flow: TheFlow, caller: RequiredCaller) -> UsageView:
    """Return jobs per hour and day, and those under way, beside what the plan allows; and tokens, of texts."""
    product = flow.products.current()
    plan_id, plan = plan_of(product, caller.plan)
    used, limits = await flow.database.read(_used_of, caller.account_id, plan.limits)
    writes = any(operation.output == "text" for operation in product.operations.values())
    tokens = await flow.database.read(tokens_of, caller.account_id) if writes else None
    return UsageView(plan=plan_id, tokens=tokens, **shown_limits(used, limits).model_dump())


def _used_of(tx: Transaction, account_id: str, limits: PlanLimits) -> tuple[Used, PlanLimits]:
    return used_by(tx, account_id), limits_of(tx, account_id, limits)


def plan_of(product: Product, plan_id: str) -> tuple[str, Plan]:
    """Return a customer's plan; the first one where the product file has dropped theirs."""
    plan = product.plans.get(plan_id)
    return (plan_id, plan) if plan is not None else (product.default_plan, product.plans[product.default_plan])


def _order(flow: Flow, caller: Caller, body: JobRequest, key: str | None) -> Order:
    product = flow.products.current()
    return read_order(
        product,
        flow.providers,
        account_id=caller.account_id,
        plan=plan_of(product, caller.plan)[0],
        visitor=caller.visitor,
        operation=body.operation,
        inputs={name: value for name, value in body.inputs.items() if value is not None},
        options={name: value for name, value in body.options.items() if value is not None},
        idempotency_key=key,
    )


async def _submitted(request: Request, flow: Flow, order: Order) -> Submitted:
    try:
        return await submit(flow, order)
    except Problem as problem:
        await _note_limits(request, flow, order.account_id, order.plan, problem)
        raise


async def _accepted(request: Request, response: Response, flow: Flow, caller: Caller, submitted: Submitted) -> JobView:
    await _note_limits(request, flow, caller.account_id, caller.plan)
    response.status_code = 202 if submitted.fresh else 200
    response.headers["Location"] = f"/api/v1/jobs/{submitted.job_id}"
    return await flow.database.read(view.own_view, flow, caller.account_id, submitted.job_id)


async def _note_limits(
    request: Request, flow: Flow, account_id: str, plan_id: str, problem: Problem | None = None
) -> None:
    """Tell in headers what is left of an account's jobs, where they are counted."""
    limits = plan_of(flow.products.current(), plan_id)[1].limits
    if problem is None or problem.code == "plan_limit":
        used, limits = await flow.database.read(_used_of, account_id, limits)
        extra_headers.add(request, limit_headers(used, limits))
