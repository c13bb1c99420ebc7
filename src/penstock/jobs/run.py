"""Run: what a worker does with a job it has claimed.

    resume or prepare -> route -> provider (send, remember the reference, poll) -> finish, store -> settle

A provider call always sits between transactions. For a provider that bills, what is about to be sent is written
down before it is sent, and the provider's reference before the first poll: after a crash the work is found again
by its reference, and what was perhaps billed is never sent a second time unless the operation allows it.
"""

import asyncio
import json
import logging
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import structlog

from penstock.jobs import cache, costs, webhooks
from penstock.jobs.attempts import (
    ask_again,
    begun_before,
    close_attempt,
    close_begun,
    note_reference,
    open_attempt,
    take_over,
    unfinished,
)
from penstock.jobs.capacity import NoRoomError
from penstock.jobs.failure import GiveUp, after_failure
from penstock.jobs.flow import Claimed, Delivery, Flow
from penstock.jobs.progress import ProgressWriter
from penstock.jobs.settle import Ending, give_back, settle_failure, settle_success
from penstock.kit.checkpoints import checkpoint
from penstock.kit.database import DatabaseUnavailableError, Row
from penstock.kit.patience import to_its_end
from penstock.providers.route import FAILS_OVER, RETRIED, Breaker, Choice, choose, nothing_left, ordered
from penstock.providers.seam import (
    Attempt,
    FailureKind,
    Finished,
    FlawedError,
    Mender,
    Provider,
    ProviderError,
    Request,
    Submitted,
    UnfitError,
)

POLL_FIRST_S, POLL_MOST_S, POLL_GROWTH = 0.5, 5.0, 1.5
CANCEL_S = 10.0  # how long a provider may take to stop work, or to say by which reference it has just begun some
PREPARED, PROVIDED = 0.1, 0.9  # shares of the whole progress
PLACEHOLDER = re.compile(r"\{(\w+)\}")

log = structlog.get_logger()


class Runner:
    """Runs claimed jobs in this process and remembers how its providers have been doing."""

    def __init__(self, flow: Flow) -> None:
        """Start with every provider trusted."""
        self._flow = flow
        self._breakers: dict[str, Breaker] = {}
        self._slots: dict[str, asyncio.Semaphore] = {}

    def pausing(self) -> set[str]:
        """Return the providers that this process leaves alone for now, as they failed too often."""
        now = self._flow.clock.now()
        return {name for name, breaker in self._breakers.items() if breaker.open_until > now}

    async def run(self, job: Claimed) -> None:
        """Take a claimed job to its end, or back to the queue.

        Errors: DatabaseUnavailableError; FencedError when somebody else holds the job; anything else is a bug here.
        """
        folder = self._flow.folder / f"{job.id}-{job.fence}"
        progress = ProgressWriter(self._flow, job)
        choices: list[Choice] = []
        try:
            try:
                delivery = await self._produce(job, folder, progress, choices)
            finally:
                await progress.stop()
            checkpoint("run.stored")
            if not await settle_success(self._flow, job, delivery, progress.provider, explained(choices)):
                log.warning("job.lost", job=job.id, fence=job.fence)
        except ProviderError as error:
            await self._after_failure(job, error, explained(choices))
        finally:
            if folder.exists():
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _produce(self, job: Claimed, folder: Path, progress: ProgressWriter, choices: list[Choice]) -> Delivery:
        if job.fence > 1:
            resumed = await self._resume(job, folder, progress)
            if resumed is not None:
                return await self._flow.studio.finish(job, resumed, folder)
        if (copied := await cache.copy(self._flow, job)) is not None:
            return copied
        pictures = await self._flow.studio.prepare(job, folder)
        checkpoint("run.prepared")
        return await self._try_route(job, self._request(job, pictures, folder), progress, choices)

    async def _try_route(
        self, job: Claimed, request: Request, progress: ProgressWriter, choices: list[Choice]
    ) -> Delivery:
        """Ask one provider after another until one delivers or what went wrong can't be mended elsewhere.

        Each choice is added to `choices`.
        """
        failed: dict[str, ProviderError] = {}
        route = ordered(job.operation.legs, self._flow.chance)
        while (name := await self._next(job, route, failed, choices)) is not None:
            progress.provider = name
            finished: Finished | None = None
            try:
                finished = await self._attempt(job, self._flow.providers[name], request, progress)
                if finished.outputs:
                    progress.report("finishing", PROVIDED)
                delivery = await self._checked(job, self._flow.providers[name], request, finished, progress)
            except ProviderError as error:
                level = logging.INFO if isinstance(error, NoRoomError | UnfitError) else logging.WARNING
                log.log(level, "provider.failed", job=job.id, provider=name, kind=error.kind, detail=error.detail)
                if finished is not None and error.kind in RETRIED:
                    self._count(name, None)
                    raise  # a good answer that we could not store: asking somebody else would only pay again
                self._count(name, error)
                if error.kind not in FAILS_OVER and not isinstance(error, UnfitError):
                    raise
                if finished is not None:  # a bad answer was no answer: not to be found again after a crash
                    await self._flow.lasting.write(close_attempt, job, name, self._flow.clock.now(), error, None)
                failed[name] = error
            else:
                self._count(name, None)
                return delivery
        raise nothing_left(list(failed.values()), choices[-1])

    async def _checked(
        self, job: Claimed, provider: Provider, request: Request, finished: Finished, progress: ProgressWriter
    ) -> Delivery:
        """Return what is delivered of an answer; of a flawed one, what the provider makes of the complaint, once."""
        try:
            return await self._flow.studio.finish(job, finished, request.folder)
        except FlawedError as flaw:
            log.info("provider.flawed", job=job.id, provider=provider.name, detail=flaw.detail)
            if not isinstance(provider, Mender) or provider.name in await self._too_dear(job):
                raise
            progress.report("mending", PROVIDED)
            mended = await self._mended(job, provider, replace(request, draft=flaw.draft), progress, flaw)
            return await self._flow.studio.finish(job, mended, request.folder)

    async def _mended(
        self, job: Claimed, provider: Provider, request: Request, progress: ProgressWriter, flaw: FlawedError
    ) -> Finished:
        """Show a provider what is wrong with its answer: a call like the first, and written down like it."""
        try:
            return await self._attempt(job, provider, request, progress, again=True)
        except ProviderError as error:
            if error.kind in FAILS_OVER:  # that one call more came to nothing leaves the flaw as it was
                raise flaw from error
            raise

    async def _next(
        self, job: Claimed, route: Sequence[str], failed: Mapping[str, ProviderError], choices: list[Choice]
    ) -> str | None:
        """Choose who is asked next; the choice is added to `choices`, for operators."""
        too_dear = await self._too_dear(job)
        now, usable, breakers = self._flow.clock.now(), self._flow.providers, self._breakers
        chosen = choose(route, usable=usable, failed=failed, breakers=breakers, now=now, too_dear=too_dear)
        choices.append(chosen)
        if chosen.skipped:
            event = "route.exhausted" if chosen.provider is None else "route.chosen"
            log.info(event, job=job.id, provider=chosen.provider, skipped=dict(chosen.skipped))
        if chosen.provider is not None and (breaker := breakers.get(chosen.provider)) is not None:
            breakers[chosen.provider] = breaker.half_open(now)
        return chosen.provider

    async def _too_dear(self, job: Claimed) -> Mapping[str, str]:
        """Return why providers would make the job dearer than it may be; most products name no ceiling."""
        if not costs.ceilings(job):
            return {}
        billed = [name for name, provider in self._flow.providers.items() if provider.billed]
        return await self._flow.database.read(costs.too_dear, job, billed)

    def _count(self, name: str, error: ProviderError | None) -> None:
        """Remember how a call ended."""
        now, breaker = self._flow.clock.now(), self._breakers.get(name, Breaker())
        self._breakers[name] = breaker.after_success(now) if error is None else breaker.after_failure(error.kind, now)

    def _request(self, job: Claimed, pictures: Mapping[str, Path], folder: Path) -> Request:
        written = [name for name, wanted in job.operation.inputs.items() if wanted.kind == "text"]
        texts = {name: str(job.inputs[name]) for name in written if job.inputs.get(name) is not None}
        prompt = job.operation.prompt
        if prompt is not None:
            chosen = {name: str(value) for name, value in job.options.items() if isinstance(value, str | int | float)}
            prompt = fill(prompt, chosen | dict.fromkeys(written, "") | texts)
        return Request(job.id, job.operation.task, pictures, texts, job.options, prompt, folder)

    async def _attempt(
        self, job: Claimed, provider: Provider, request: Request, progress: ProgressWriter, *, again: bool = False
    ) -> Finished:
        """Send the work to one provider and wait for its end, with the attempt written down where it may cost.

        Args:
            again: another call of the attempt that has just finished.
        """
        async with self._capacity(job, provider):
            started = self._flow.clock.now()
            noted = provider.billed or job.product.providers[provider.name].limits is not None
            if noted:
                await self._note(job, provider, again=again)
                checkpoint("provider.noted")
            try:
                finished = await self._ask(job, provider, request, progress)
            except ProviderError as failure:
                await self._flow.lasting.write(close_attempt, job, provider.name, started, failure, None)
                checkpoint("provider.closed")
                raise
            if noted:
                await self._flow.lasting.write(close_attempt, job, provider.name, started, None, finished)
                checkpoint("provider.closed")
        return finished

    async def _note(self, job: Claimed, provider: Provider, *, again: bool) -> None:
        """Write down what is about to be sent. Who is stopped meanwhile sends nothing, and that is written down too."""
        now, write = self._flow.clock.now(), self._flow.database.write
        try:
            await write(ask_again if again else open_attempt, job, provider.name, billed=provider.billed)
        except asyncio.CancelledError:
            if provider.billed and not again:
                error = ProviderError("transient", "stopped before it was asked")
                await self._flow.lasting.write(close_attempt, job, provider.name, now, error, None)
            raise

    def _capacity(self, job: Claimed, provider: Provider) -> asyncio.Semaphore:
        """Return the slots of a provider in this process: never more requests at one time than the file says."""
        slots = self._slots.get(provider.name)
        if slots is None:
            slots = asyncio.Semaphore(job.product.providers[provider.name].concurrency)
            self._slots[provider.name] = slots
        return slots

    async def _ask(self, job: Claimed, provider: Provider, request: Request, progress: ProgressWriter) -> Finished:
        """Return the provider's answer. Errors: ProviderError, whatever goes wrong there."""
        try:
            async with asyncio.timeout(job.operation.timeout_s):
                return await self._send(job, provider, request, progress)
        except (ProviderError, DatabaseUnavailableError):
            raise
        except TimeoutError:
            await cancel_at_provider(self._flow, job.id)
            kind: FailureKind = "unknown" if provider.billed else "transient"
            raise ProviderError(kind, f"no answer within {job.operation.timeout_s} s") from None
        except Exception as bug:
            log.exception("provider.broke", job=job.id, provider=provider.name)
            kind = "unknown" if provider.billed else "broken"
            raise ProviderError(kind, f"{type(bug).__name__}: {bug}") from bug

    async def _send(self, job: Claimed, provider: Provider, request: Request, progress: ProgressWriter) -> Finished:
        attempt = Attempt(
            number=job.attempts,
            key=f"{job.id}-{job.fence}",
            timeout_s=job.operation.timeout_s,
            report=lambda stage, share: progress.report(stage, _within(share)),
            webhook_url=webhooks.url_for(self._flow, job, provider.name),
        )
        checkpoint("provider.send")
        handing = self._hand_over(job, provider, request, attempt)
        # Cut on its way, it would go on where nobody can find it: by its reference it is stopped, or found again.
        answer = await (to_its_end(handing, CANCEL_S) if provider.reattachable else handing)
        if isinstance(answer, Submitted):
            return await self._poll(job, provider, answer.reference, request, progress)
        return answer

    async def _hand_over(
        self, job: Claimed, provider: Provider, request: Request, attempt: Attempt
    ) -> Submitted | Finished:
        answer = await provider.submit(request, attempt)
        checkpoint("provider.answered")
        if isinstance(answer, Submitted):
            await self._flow.lasting.write(note_reference, job, provider.name, answer.reference)
            checkpoint("provider.referenced")
        return answer

    async def _poll(
        self, job: Claimed, provider: Provider, reference: str, request: Request, progress: ProgressWriter
    ) -> Finished:
        """Look after work until its end. A look that fails in passing says nothing about the work: look again."""
        pause = POLL_FIRST_S
        with self._flow.news.of(job.id) as news:
            while True:
                news.clear()
                try:
                    state = await provider.poll(reference, request)
                except ProviderError as error:
                    if error.final or error.kind not in RETRIED:
                        raise
                    log.warning("provider.poll_failed", job=job.id, provider=provider.name, detail=error.detail)
                    wanted = 0.0 if error.until is None else error.until - self._flow.clock.now()
                else:
                    if isinstance(state, Finished):
                        return state
                    progress.report(state.stage, _within(state.progress))
                    wanted = state.pause_s
                await _rest(max(POLL_FIRST_S, wanted), max(pause, wanted), news)
                pause = min(POLL_MOST_S, pause * POLL_GROWTH)

    async def _resume(self, job: Claimed, folder: Path, progress: ProgressWriter) -> Finished | None:
        """Find work that an earlier holder began: poll it where that is possible, refuse to pay for it twice."""
        for begun in await self._flow.database.read(begun_before, job):
            provider = self._flow.providers.get(begun["provider"])
            found_again = begun["reference"] is not None and begun["state"] != "failed"
            if provider is not None and provider.reattachable and found_again:
                progress.provider = provider.name
                return await self._reattach(job, provider, begun, folder, progress)
            error = ProviderError("unknown", f"sent to {begun['provider']} before a crash; perhaps billed")
            await self._flow.lasting.write(close_begun, job, begun, error, None)
            checkpoint("provider.given_up")
            if not job.operation.allow_second_charge:
                raise error
        return None

    async def _reattach(
        self, job: Claimed, provider: Provider, begun: Row, folder: Path, progress: ProgressWriter
    ) -> Finished:
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        reference = begun["reference"]
        log.info("provider.reattached", job=job.id, provider=provider.name, reference=reference)
        await self._flow.lasting.write(take_over, job, begun)
        try:
            finished = await self._poll_in_time(job, provider, reference, self._request(job, {}, folder), progress)
        except ProviderError as error:
            await self._flow.lasting.write(close_begun, job, begun, error, None)
            raise
        await self._flow.lasting.write(close_begun, job, begun, None, finished)
        checkpoint("provider.closed")
        return finished

    async def _poll_in_time(
        self, job: Claimed, provider: Provider, reference: str, request: Request, progress: ProgressWriter
    ) -> Finished:
        """Look after work that was found again, until its time is up. Errors: ProviderError."""
        try:
            async with asyncio.timeout(job.operation.timeout_s):
                return await self._poll(job, provider, reference, request, progress)
        except TimeoutError:
            await cancel_at_provider(self._flow, job.id)
            raise ProviderError("unknown", f"{reference}: no end within the time allowed") from None

    async def _after_failure(self, job: Claimed, error: ProviderError, route_why: str | None) -> None:
        now, chance = self._flow.clock.now(), self._flow.chance
        following = after_failure(job, error, charged_twice=self._perhaps_billed(job, error), now=now, chance=chance)
        if isinstance(following, GiveUp):
            log.warning("job.failed", job=job.id, kind=error.kind, detail=error.detail, attempts=job.attempts)
            await settle_failure(self._flow, job, Ending("failed", following.error, route_why))
            return
        log.info("job.retrying", job=job.id, kind=error.kind, detail=error.detail, attempts=job.attempts)
        await self._flow.lasting.write(
            give_back,
            self._flow,
            job.id,
            job.account_id,
            job.fence,
            attempts=job.attempts,
            run_at=following.run_at,
            spent=following.spent,
            route_why=route_why,
        )
        checkpoint("run.given_back")

    def _perhaps_billed(self, job: Claimed, error: ProviderError) -> bool:
        """An unknown outcome may have been paid for where a provider of the route bills, or is off: who knows."""
        route = (self._flow.providers.get(name) for name in job.operation.providers)
        return error.kind == "unknown" and any(provider is None or provider.billed for provider in route)


async def cancel_at_provider(flow: Flow, job_id: str) -> None:
    """Stop what a provider does for a job that will not be waited for, as far as the provider can."""
    # Read by the writer, which has by then done what this job asked of it before: noting a reference, above all.
    for row in await flow.database.write(unfinished, job_id):
        provider = flow.providers.get(row["provider"])
        if provider is None or row["reference"] is None:
            continue
        try:
            async with asyncio.timeout(CANCEL_S):
                await provider.cancel(row["reference"])
        except Exception:
            log.exception("provider.cancel_failed", job=job_id, provider=provider.name)


def explained(choices: Sequence[Choice]) -> str | None:
    """Return as JSON whom a try's choices skipped and why, `[{provider, skipped: {name: reason}}]`; None if nobody."""
    told = [{"provider": each.provider, "skipped": dict(each.skipped)} for each in choices if each.skipped]
    return json.dumps(told, ensure_ascii=False) if told else None


def fill(prompt: str, texts: Mapping[str, str]) -> str:
    """Put the customer's texts into a prompt at `{name}`; what else stands in braces, in a text too, stays."""
    return PLACEHOLDER.sub(lambda found: texts.get(found[1], found[0]), prompt)


async def _rest(at_least_s: float, at_most_s: float, news: asyncio.Event) -> None:
    """Wait between two looks: at least so long, whoever tells news, and at most so long without any."""
    await asyncio.sleep(at_least_s)
    with suppress(TimeoutError):
        async with asyncio.timeout(at_most_s - at_least_s):
            await news.wait()


def _within(share: float | None) -> float | None:
    return None if share is None else PREPARED + (PROVIDED - PREPARED) * min(max(share, 0.0), 1.0)
