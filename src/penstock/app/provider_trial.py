"""A trial of a product's providers: is the key there and accepted, the model known, and what does a call cost?

    availability (is it on) -> health (a look that costs nothing) -> with `paid`, the smallest work there is

The work is made from the first operation whose route names the provider, with a few words and a small picture.
"""

import asyncio
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from penstock.jobs.run import POLL_FIRST_S, POLL_GROWTH, POLL_MOST_S, fill
from penstock.kit.children import Children
from penstock.kit.clock import SystemClock
from penstock.product.adapters import ADAPTERS, WRITES
from penstock.product.availability import ProviderState, availability
from penstock.product.schema import Product
from penstock.product.schema_providers import Provider as Settings
from penstock.product.schema_work import Operation
from penstock.providers.prices import token_prices
from penstock.providers.registry import open_providers, preload_for
from penstock.providers.seam import Attempt, Finished, Provider, ProviderError, Request
from penstock.providers.surroundings import Surroundings
from penstock.providers.vendor import Vendor, remedy_for

PICTURE_PIXELS = 256  # a side; some vendors take nothing smaller than 64
MS = 1_000
_WORDS = {"chat": "Answer with the one word: yes.", "diagram": "a leads to b"}
_OTHER_WORDS = "a red circle on a white ground"

State = Literal["answers", "off", "fails"]


@dataclass(frozen=True)
class Call:
    """One call that was really made.

    Args:
        cost_microdollars: millionths of a US dollar; None where nothing is known.
        cost_estimated: it is what the product file says, for the vendor reported nothing.
    """

    ms: int
    cost_microdollars: int | None
    cost_estimated: bool


@dataclass(frozen=True)
class Finding:
    """What the trial found of one provider.

    Args:
        ms: what the look took, connecting included; None where there was none.
        price: what a call is expected to cost, in words.
        detail: what is wrong, or what else the vendor says.
        remedy: what to do about it.
    """

    name: str
    adapter: str
    model: str | None
    state: State
    price: str
    ms: int | None = None
    detail: str = ""
    remedy: str | None = None
    call: Call | None = None


async def try_providers(product: Product, environment: Mapping[str, str], *, paid: bool) -> list[Finding]:
    """Look at every provider of a product, one after another, in the order of the file.

    Args:
        paid: also make one real call to each that answers and bills.
    """
    states = availability(product, environment).providers
    children = Children(1, preload=preload_for(product))
    usable = [name for name, state in states.items() if state.on]
    providers = open_providers(product, usable, Surroundings(children, SystemClock(), environment))
    findings = []
    try:
        for name, settings in product.providers.items():
            if name in providers:
                findings.append(await _look(product, providers[name], settings, paid=paid))
            else:
                findings.append(_off(name, settings, states[name]))
    finally:
        for provider in providers.values():
            await provider.close()
        await children.close()
    return findings


def _off(name: str, settings: Settings, state: ProviderState) -> Finding:
    price = _price(settings, None)
    reason, remedy = state.reason or "is off", state.remedy
    return Finding(name, settings.adapter, settings.model, "off", price, detail=reason, remedy=remedy)


async def _look(product: Product, provider: Provider, settings: Settings, *, paid: bool) -> Finding:
    started = time.perf_counter()
    health = await provider.health()
    ms = _since(started)
    state: State = "answers" if health.ok else "fails"
    detail, remedy, call = health.detail, health.remedy, None
    if paid and health.ok and provider.billed:
        try:
            call = await _call(product, provider)
        except ProviderError as error:
            state, detail, remedy = "fails", f"a real call failed: {error.detail}", remedy_for(error)
        else:
            remedy = None if call else "Name it in the route of an operation to try a real call."
    price = _price(settings, provider)
    return Finding(provider.name, settings.adapter, settings.model, state, price, ms, detail, remedy, call)


async def _call(product: Product, provider: Provider) -> Call | None:
    """Let a provider do the smallest work that it takes; None if no operation names it. Errors: ProviderError."""
    named = (operation for operation in product.operations.values() if provider.name in operation.providers)
    operation = next(named, None)
    if operation is None:
        return None
    with tempfile.TemporaryDirectory(prefix="penstock-trial-") as folder:
        request = await asyncio.to_thread(smallest_request, operation, Path(folder))
        started = time.perf_counter()
        try:
            async with asyncio.timeout(operation.timeout_s):
                finished = await _done(provider, request, operation.timeout_s)
        except TimeoutError:
            raise ProviderError("unknown", f"no answer within {operation.timeout_s} s; perhaps billed") from None
        return Call(_since(started), finished.cost_microdollars, finished.cost_estimated)


def smallest_request(operation: Operation, folder: Path) -> Request:
    """Return work for an operation with few words and small pictures, which are written into `folder`."""
    words = _WORDS.get(operation.task, _OTHER_WORDS)
    texts = {name: words for name, wanted in operation.inputs.items() if wanted.kind == "text" and wanted.required}
    pictures = {
        name: _picture(folder / f"{name}.png")
        for name, wanted in operation.inputs.items()
        if wanted.kind == "picture" and wanted.required
    }
    options = {name: option.start for name, option in operation.options.items() if option.start is not None}
    prompt = operation.prompt
    if prompt is not None:
        unwritten = {name: "" for name, wanted in operation.inputs.items() if wanted.kind == "text"}
        prompt = fill(prompt, {name: str(value) for name, value in options.items()} | unwritten | texts)
    return Request("trial", operation.task, pictures, texts, options, prompt, folder)


async def _done(provider: Provider, request: Request, timeout_s: float) -> Finished:
    answer = await provider.submit(request, Attempt(1, "trial", timeout_s))
    if isinstance(answer, Finished):
        return answer
    pause = POLL_FIRST_S
    try:
        while not isinstance(state := await provider.poll(answer.reference, request), Finished):
            await asyncio.sleep(max(pause, state.pause_s))
            pause = min(POLL_MOST_S, pause * POLL_GROWTH)
    except asyncio.CancelledError:
        await provider.cancel(answer.reference)
        raise
    return state


def _picture(path: Path) -> Path:
    """Write a small picture with something to see on it."""
    across = np.linspace(0, 255, PICTURE_PIXELS, dtype=np.uint8)
    grey = np.broadcast_to(across, (PICTURE_PIXELS, PICTURE_PIXELS))
    Image.fromarray(np.dstack([grey, grey.T, 255 - grey])).save(path, "PNG")
    return path


def _price(settings: Settings, provider: Provider | None) -> str:
    """Return what a call is expected to cost, in words."""
    if not ADAPTERS[settings.adapter].needs_key:
        return "costs nothing"
    told = []
    if Decimal(settings.cost_usd) > 0:
        told.append(f"about ${settings.cost_usd} a call")
    if settings.cost_usd_second is not None:
        told.append(f"${settings.cost_usd_second} a second")
    if isinstance(provider, Vendor) and provider.priced_as is not None and settings.model is not None:
        prices = token_prices(provider.priced_as, settings.model, pictures=not provider.tasks <= WRITES)
        if prices is not None:
            told.append(f"${prices[0]:f} in and ${prices[1]:f} out for a million tokens")
    return ", ".join(told) or "price unknown: set cost_usd"


def _since(started: float) -> int:
    return round((time.perf_counter() - started) * MS)
