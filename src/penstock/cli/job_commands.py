"""`penstock jobs show`: one job as an operator needs it at three in the morning."""

import asyncio
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.text import Text

from penstock.app.databases import open_database
from penstock.app.job_operators import AttemptView, InspectedJob
from penstock.cli.database import folder_of_database
from penstock.cli.output import results
from penstock.cli.serve_commands import DataDir, settings_for
from penstock.jobs.inspect import Inspected, inspect
from penstock.product.settings import Settings

UNKNOWN = "unknown"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    jobs = typer.Typer(no_args_is_help=True, help="Look into customers' jobs.")
    jobs.callback()(_about)
    jobs.command("show")(show)
    app.add_typer(jobs, name="jobs")


def show(
    job_id: Annotated[str, typer.Argument(metavar="ID", help="The job's id.")],
    data: DataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write it as GET /admin/jobs/ID would.")] = False,
) -> None:
    """Show a job's attempts, what they cost, what it earned, and why its route went as it did."""
    settings, _ = settings_for(data=data)
    found = InspectedJob.of(asyncio.run(_look(settings, job_id)))
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
        return
    for line in lines_of(found):
        results().print(Text(line))


def _about() -> None:
    """Look into customers' jobs."""


async def _look(settings: Settings, job_id: str) -> Inspected:
    folder = await asyncio.to_thread(folder_of_database, settings)
    database = await open_database(settings, folder)
    try:
        return await database.read(inspect, job_id)
    finally:
        await database.close()


def lines_of(job: InspectedJob) -> Iterator[str]:
    """Yield a job line by line, the most important first."""
    stopping = ", its customer wants it stopped" if job.cancel_requested and job.finished_at is None else ""
    yield f"{job.id}  {job.state}{stopping}"
    yield f"  {job.operation} for {job.email or job.account} ({job.plan}), product {job.product_version}"
    times = (("created", job.created_at), ("started", job.started_at), ("finished", job.finished_at))
    yield "  " + ", ".join(f"{word} {at}" for word, at in times if at is not None)
    yield f"  worker {job.worker or 'none'}, provider {job.provider or 'none'}, claims {job.claims}"
    if job.cached_from is not None:
        yield f"  answered with the result of {job.cached_from}"
    if job.error is not None:
        yield f"  the customer was told: {job.error.get('title')}: {job.error.get('detail')}"
    yield from _money(job)
    yield "Route"
    yield from (f"  {sentence}" for sentence in job.route)
    yield "Attempts" if job.attempts else "Attempts: none was written down."
    for attempt in job.attempts:
        yield from _attempt(attempt)


def _money(job: InspectedJob) -> Iterator[str]:
    cost = f"{_usd(job.cost_usd)}{' (some of it estimated)' if job.cost_estimated else ''}"
    if job.cost_unknown:
        cost += f" and what was perhaps billed (attempts: {job.cost_unknown})"
    earned = f"earned {job.credits_earned} of {job.price} credits, paid with {_usd(job.earned_usd)}"
    yield f"  {earned}; cost {cost}; margin {_usd(job.margin_usd)}"


def _usd(amount: str | None) -> str:
    if amount is None:
        return UNKNOWN
    return f"-${amount[1:]}" if amount.startswith("-") else f"${amount}"


def _attempt(attempt: AttemptView) -> Iterator[str]:
    cost = f"cost {_usd(attempt.cost_usd)}"
    told = [attempt.state if attempt.failure is None else f"{attempt.state}: {attempt.failure}", cost]
    if attempt.cost_estimated:
        told[-1] += " (estimated)"
    if attempt.tokens is not None:
        told.append(f"{attempt.tokens:,} tokens")
    if attempt.reference is not None:
        told.append(f"reference {attempt.reference}")
    yield f"  {attempt.number}. {attempt.provider}  {', '.join(told)}"
    yield f"     {attempt.started_at} to {attempt.finished_at or 'now'}"
    if attempt.detail is not None:
        yield f"     {attempt.detail}"
