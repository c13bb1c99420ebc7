"""Calls to a chat server, directly, through a job of ours, or through LiteLLM's proxy: milliseconds of each.

The chat server and ours are processes of their own; the client is this one, with one open request for each of
`--concurrent` callers, each of which begins its next call when the last has ended.
"""

import argparse
import asyncio
import json
import logging
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import structlog
import uvloop
from tests.support.flows import make_product
from tests.support.servers import API, Running, cheap_passwords, listening, loaded, settings_in
from tests.support.vendors.openai import CHAT_MODEL, OpenAiStandIn
from websockets.asyncio.client import ClientConnection

from benchmarks.engines import litellm_peer
from benchmarks.engines.report import MAX_S, NOTE, hand_in
from benchmarks.engines.sockets import address_of, opened
from penstock.accounts.clients import Client
from penstock.app import server
from penstock.app.application import create_app
from penstock.app.services import Parts
from penstock.app.wiring import open_services
from penstock.ledger import service as ledger
from penstock.ledger.service import Grant
from penstock.product.schema import Product

CALLS_EACH, CALLS_AT_LEAST = 2, 60  # of every caller, and of all together
WARM_UP = 1  # of every caller, not counted
SLOTS = 200

Call = Callable[[], Awaitable[None]]


# ---- the servers --------------------------------------------------------------------------------------------------


async def serve_chat() -> None:
    """Answer chats until the standard input ends."""
    stand_in = OpenAiStandIn()
    stand_in.keyless = True
    async with stand_in:
        print(json.dumps({"url": stand_in.url}), flush=True)
        await asyncio.to_thread(sys.stdin.readline)


async def serve_jobs(folder: Path, vendor: str, customers: int) -> None:
    """Serve a product whose one provider is that chat server, until the standard input ends."""
    parts = Parts(passwords=cheap_passwords())
    async with open_services(settings_in(folder), loaded(_product(vendor)), {}, parts=parts) as services:
        app = create_app(services)
        async with httpx2.AsyncClient() as unused, listening(Running(services, app, unused, {})) as reached:
            tokens = [await _customer(reached, number) for number in range(customers)]
            print(json.dumps({"url": reached.url, "tokens": tokens}), flush=True)
            await asyncio.to_thread(sys.stdin.readline)


def _product(vendor: str) -> Product:
    chat = {
        "title": "Chat",
        "description": "Answers",
        "task": "chat",
        "output": "text",
        "inputs": {"words": {"kind": "text", "title": "Words"}},
        "price": 1,
        "route": ["main"],
    }
    main = {"adapter": "openai_chat", "base_url": f"{vendor}/v1", "model": CHAT_MODEL, "concurrency": SLOTS}
    return make_product(operations={"chat": chat}, providers={"main": main}, workers={"slots": SLOTS})


async def _customer(run: Running, number: int) -> str:
    home = Client(address_of(number), "benchmark")
    signed_in = await run.services.accounts.register(f"customer{number}@example.org", "correct horse battery", home)
    account_id = signed_in.account.id
    given = Grant(10_000, "gift", f"benchmark/{number}", "For measuring")
    await run.services.database.write(ledger.grant, account_id, given)
    await run.services.database.write(run.services.accounts.set_plan, account_id, "open", None)
    return signed_in.access_token


@contextmanager
def _started(*arguments: str) -> Iterator[dict[str, Any]]:
    """Run one of the servers above in a process of its own; yields what it says of itself."""
    command = [sys.executable, "-m", "benchmarks.engines.calls", *arguments]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        yield json.loads(child.stdout.readline())
    finally:
        child.stdin.close()
        child.kill()
        child.wait()
        child.stdout.close()


# ---- the callers --------------------------------------------------------------------------------------------------


async def measure_each(way: str, url: str, tokens: list[str], levels: list[int]) -> dict[str, float]:
    """Return the measurements with so many callers, each named by how many."""
    found: dict[str, float] = {}
    for level in levels:
        measured = await measure(way, url, tokens[:level], level)
        found |= {f"{level}.{point}": value for point, value in measured.items()}
    return found


async def measure(way: str, url: str, tokens: list[str], concurrent: int) -> dict[str, float]:
    """Return the median and the 99th percentile of all calls, in milliseconds."""
    limits = httpx2.Limits(max_connections=concurrent, max_keepalive_connections=concurrent)
    async with httpx2.AsyncClient(base_url=url, limits=limits, timeout=MAX_S) as client:
        if way == "ours":
            sockets = await opened(url, tokens)
            calls = [_job(client, token, socket) for token, socket in zip(tokens, sockets, strict=True)]
        else:
            sockets, calls = [], [_chat(client, litellm_peer.KEY if way == "litellm" else None)] * concurrent
        each = max(CALLS_EACH, CALLS_AT_LEAST // concurrent)
        async with asyncio.timeout(MAX_S):
            took = await asyncio.gather(*(_caller(call, each) for call in calls))
        for socket in sockets:
            socket.transport.abort()
    all_ms = [one * 1e3 for some in took for one in some]
    return {"p50": statistics.median(all_ms), "p99": statistics.quantiles(all_ms, n=100)[-1]}


async def _caller(call: Call, count: int) -> list[float]:
    took = []
    for number in range(WARM_UP + count):
        started = time.perf_counter()
        await call()
        if number >= WARM_UP:
            took.append(time.perf_counter() - started)
    return took


def _chat(client: httpx2.AsyncClient, key: str | None) -> Call:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    body = {"model": CHAT_MODEL, "messages": [{"role": "user", "content": NOTE}]}

    async def call() -> None:
        answer = await client.post("/v1/chat/completions", json=body, headers=headers)
        assert NOTE in answer.json()["choices"][0]["message"]["content"], answer.text

    return call


def _job(client: httpx2.AsyncClient, token: str, socket: ClientConnection) -> Call:
    body = {"operation": "chat", "inputs": {"words": NOTE}}
    headers = {"authorization": f"Bearer {token}"}

    async def call() -> None:
        answer = await client.post(f"{API}/jobs", json=body, headers=headers)
        assert answer.status_code == 202, answer.text
        job = answer.json()["id"]
        while True:
            event = json.loads(await socket.recv())
            if event.get("job") == job and event["type"] in {"job.succeeded", "job.failed"}:
                assert event["type"] == "job.succeeded", event
                return

    return call


def _measured(chosen: argparse.Namespace) -> dict[str, float]:
    with ExitStack() as running:
        vendor = running.enter_context(_started("--serve", "chat", "--folder", str(chosen.folder)))["url"]
        url, tokens = vendor, []
        if chosen.way == "litellm":
            url = running.enter_context(litellm_peer.proxying(chosen.proxy, vendor, CHAT_MODEL, chosen.folder))
        elif chosen.way == "ours":
            arguments = ("--vendor", vendor, "--customers", str(max(chosen.concurrent)), "--folder", str(chosen.folder))
            told = running.enter_context(_started("--serve", "jobs", *arguments))
            url, tokens = told["url"], told["tokens"]
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(measure_each(chosen.way, url, tokens, chosen.concurrent))


def main() -> None:
    """Measure and print; see `benchmarks.engines.report`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", choices=("chat", "jobs"))
    parser.add_argument("--way", choices=("direct", "ours", "litellm"))
    parser.add_argument("--concurrent", type=int, nargs="+", default=[1])
    parser.add_argument("--customers", type=int, default=1)
    parser.add_argument("--vendor", default="")
    parser.add_argument("--proxy", type=Path)
    parser.add_argument("--folder", type=Path, required=True)
    chosen = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    server.allow_many_connections()
    if chosen.serve is None:
        hand_in(_measured(chosen))
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        served = serve_chat() if chosen.serve == "chat" else serve_jobs(chosen.folder, chosen.vendor, chosen.customers)
        runner.run(served)


if __name__ == "__main__":
    main()
