"""A flow whose claims are run one by one, by hand, with providers that do as told."""

from typing import Any

from penstock.jobs import queue
from penstock.jobs.flow import Claimed, Flow
from penstock.jobs.run import Runner
from penstock.jobs.submit import submit
from penstock.jobs.worker import claimed
from penstock.kit.clock import ManualClock
from penstock.providers.seam import Attempt, FailureKind, Finished, ProviderError, Request, Submitted
from tests.support.flows import FakeProvider, job_row, order, rows

DONE = Finished(values={"said": "done"}, cost_microdollars=700)


class Scene:
    """A flow with providers that do as told, and a runner that is driven by hand."""

    def __init__(self, flow: Flow, clock: ManualClock, *providers: FakeProvider) -> None:
        self.flow, self.clock, self.providers = flow, clock, providers
        self.runner = Runner(flow)

    async def submit(self, operation: str = "echo", account: str = "acc_1", **inputs: str) -> str:
        return (await submit(self.flow, order(self.flow, account, operation, plan="open", **inputs))).job_id

    async def claim(self) -> Claimed:
        row = (await self.flow.database.write(queue.claim, "wkr_1", 1))[0]
        return claimed(self.flow.products.current(), row)

    async def run(self, operation: str = "echo", **inputs: str) -> dict[str, Any]:
        """Take one job through one claim and return its row."""
        job_id = await self.submit(operation, **inputs)
        return await self.again(job_id)

    async def again(self, job_id: str) -> dict[str, Any]:
        await self.runner.run(await self.claim())
        return await job_row(self.flow, job_id)

    async def crash(self, job: Claimed) -> None:
        """Let the worker die: its job goes back, and a new process knows nothing of the old one."""
        await self.flow.database.write(queue.requeue, job.id, job.fence, run_at=self.clock.now())
        self.runner = Runner(self.flow)

    async def attempts(self) -> list[tuple[str, str, str | None, int | None]]:
        found = await rows(self.flow, "SELECT * FROM attempts ORDER BY number, started_at, provider")
        return [(row["provider"], row["state"], row["failure"], row["cost_microdollars"]) for row in found]


def bill(provider: FakeProvider, *, reattachable: bool = False) -> FakeProvider:
    provider.billed, provider.reattachable = True, reattachable
    provider.act = (lambda request, attempt: Submitted(f"ref-{attempt.key}")) if reattachable else lambda *_: DONE
    return provider


def failing_with(error: Exception) -> Any:
    def act(request: Request, attempt: Attempt) -> Finished:
        raise error

    return act


def failing(kind: FailureKind, **details: Any) -> Any:
    def act(request: Request, attempt: Attempt) -> Finished:
        raise ProviderError(kind, "as told", **details)

    return act
